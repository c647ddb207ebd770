"""A model as ONNX Runtime serves it: made once of the model's folder, by onnxruntime-genai's model builder.

results/models/{model}/onnx/{precision}-{provider}/ holds model.onnx with its weights beside it, the builder's
genai_config.json, and export.json, written last, with the SHA-256 of each file and of what it was made of.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from joulebench.config.spec import RunSpec
from joulebench.engines.loading import language_model
from joulebench.errors import UserError
from joulebench.files import sha256
from joulebench.records.files import read_export, read_model, write_json
from joulebench.records.models import Export, Model

FOLDER = "onnx"
RECORD = "export.json"
GRAPH, SETTINGS = "model.onnx", "genai_config.json"
KEPT = (GRAPH, f"{GRAPH}.data", SETTINGS)
"""What is served of what the builder writes; its copy of the tokenizer is not."""

QUANTIZATIONS = ("int4", "int8")
"""The builder's own rounding of the weights, without calibration: blocks of 32, MatMulNBits at run time."""

SERVED = {
    "cpu": {"float32": "fp32", "float32 int4": "int4", "float32 int8": "int8"},
    "cuda": {
        "float32": "fp32",
        "float16": "fp16",
        "bfloat16": "bf16",
        "float16 int4": "int4",
        "float16 int8": "int8",
    },
}
"""Device -> dtype, and quantization where there is one -> the builder's name of the precision."""

MODEL_TYPES = ("gemma", "gemma2", "granite", "llama", "mistral", "qwen2", "qwen3")
"""Transformers' model_type of what gave the same greedy tokens as transformers, drawn small. The builder (0.18) makes
more: olmo and nemotron came out with other tokens, phi3 and smollm3 not at all."""
UNWINDOWED = "mistral"
"""Of this one the builder leaves out the attention's window, where its configuration has one. Qwen's was not tried."""

QUIET = {
    "ORT_DISABLE_TELEMETRY": "1",  # read when the libraries load; their own calls that disable it leave a thread
    "HF_HUB_OFFLINE": "1",
}
BUILDER = "onnxruntime_genai.models.builder"
ARGUMENTS = ("prune_lm_head=true", "windowed_kv_cache=false", "hf_token=false", "hf_remote=false")
"""Extra options: logits of a prompt's last token alone, as every server computes them; a cache that holds every token,
at its own place; nobody's token, nobody's code."""
PACKAGES = ("onnxruntime-genai", "onnx", "onnx-ir", "torch", "transformers")
REMEDY = "make env-onnx"


def refused(spec: RunSpec) -> str | None:
    """Why a run cannot be served, and what can; None where it can, as far as the config tells."""
    known = SERVED.get(spec.device)
    if known is None:
        return f"serves on {' and '.join(SERVED)}, found {spec.device}"
    if _form(spec) not in known:
        found = f"{_form(spec)} for {spec.model}"
        return f"serves {', '.join(known)} on {spec.device}, found {found}; give a variant that says so"
    if spec.trust_remote_code:
        return f"runs no code of others, found trust_remote_code for {spec.model}; take the engine transformers"
    if spec.architecture is None:
        return None
    sizes = spec.architecture.get("config")
    kind = {"model_type": spec.architecture.get("model_type")}
    return _unfit({**kind, **(sizes if isinstance(sizes, dict) else {})}, spec)


def _unfit(configuration: Mapping[str, Any], spec: RunSpec) -> str | None:
    """Why a model of this configuration cannot be served, by its type and sizes."""
    kind = configuration.get("model_type")
    if kind not in MODEL_TYPES:
        known = ", ".join(MODEL_TYPES)
        return f"serves the model types {known}, found {kind} for {spec.model}; take the engine transformers"
    if kind == UNWINDOWED and configuration.get("sliding_window", 0) is not None:
        return f"serves {kind} with sliding_window null, found another for {spec.model}; take the engine transformers"
    if configuration.get("use_sliding_window"):
        return f"serves {kind} without use_sliding_window, found it for {spec.model}; take the engine transformers"
    return None


def _form(spec: RunSpec) -> str:
    return " ".join(filter(None, (spec.dtype, spec.quantization)))


def export_folder(spec: RunSpec, folder: Path) -> Path:
    """Where the export of the model in `folder` lies that the run is served from: onnx/{precision}-{provider} in it."""
    return folder / FOLDER / f"{SERVED[spec.device][_form(spec)]}-{spec.device}"


def checked_export(spec: RunSpec, folder: Path, model: Model) -> Export:
    """export.json of the run's export, held against `model`, model.json in `folder`.

    Raises UserError where it was made of another, or by other arguments.
    """
    place = export_folder(spec, folder)
    found = read_export(place)
    wanted = {"made_from": model.made_from, "model_files_sha256": model.files_sha256, "arguments": list(ARGUMENTS)}
    if changed := [name for name, value in wanted.items() if getattr(found, name) != value]:
        raise UserError(
            f"{place}: made with another {', '.join(changed)} than now; delete it and give the same command again"
        )
    return found


def export(spec: RunSpec, folder: Path) -> Export:
    """Make what the run is served from of the model in `folder`; export.json is written last.

    Weights that are drawn are drawn here, on the CPU, in the run's dtype and from the model's seed: those that the
    engine transformers draws there. Raises UserError where the builder is not installed or cannot make it.
    """
    model, place = read_model(folder), export_folder(spec, folder)
    if why := _unfit(json.loads((folder / "config.json").read_text()), spec):
        raise UserError(f"engine {spec.engine}: {why}")
    try:
        versions = {package: metadata.version(package) for package in PACKAGES}
    except metadata.PackageNotFoundError as error:
        raise UserError(f"engine {spec.engine}: the package {error.name} is not installed; {REMEDY}") from None
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    precision, _, provider = place.name.partition("-")
    with tempfile.TemporaryDirectory(prefix=".made-", dir=place) as made, _weights(spec, folder) as weights:
        _build(spec, weights, Path(made), precision, provider)
        for name in KEPT:
            if (Path(made) / name).exists():
                (Path(made) / name).replace(place / name)
    record = Export(
        model=spec.model,
        made_from=model.made_from,
        model_files_sha256=model.files_sha256,
        precision=precision,
        provider=provider,
        arguments=list(ARGUMENTS),
        versions=versions,
        files_sha256={name: sha256(place / name) for name in KEPT if (place / name).exists()},
    )
    write_json(record, place / RECORD)
    return record


@contextmanager
def _weights(spec: RunSpec, folder: Path) -> Iterator[Path]:
    """A folder with the model's safetensors: its own, or one for the time being with those that are drawn."""
    if spec.weights == "checkpoint":
        yield folder
        return
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as drawn:
        for file in folder.iterdir():
            if file.is_file():
                shutil.copy(file, drawn)
        here = spec.model_copy(update={"device": "cpu", "quantization": None})
        language_model(AutoModelForCausalLM, here, folder).save_pretrained(drawn)
        yield Path(drawn)


def _build(spec: RunSpec, weights: Path, made: Path, precision: str, provider: str) -> None:
    """Run the builder in a process of its own, without a network: it prints a line for each weight."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [sys.executable, "-m", BUILDER, "-i", str(weights), "-o", str(made), "-p", precision, "-e", provider]
        words += ["-c", scratch, "--extra_options", *ARGUMENTS]
        done = subprocess.run(words, env={**os.environ, **QUIET}, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (made / GRAPH).exists():
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise UserError(
            f"engine {spec.engine}: the model builder made no {precision} model of {spec.model} for {provider} "
            f"({said[-1].strip()[:200] if said else f'exit code {done.returncode}'}); take the engine transformers"
        )


def settings_of(place: Path) -> dict[str, Any]:
    """genai_config.json of an export: the names of the graph's inputs, and how its cache is laid out."""
    found: dict[str, Any] = json.loads((place / SETTINGS).read_text())
    return found
