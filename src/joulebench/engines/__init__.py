"""The engines, one module each.

A module has `Settings`, `TASKS`, `PACKAGES`, `MOST_DEVICES` (that a model is spread over), `QUANTIZATIONS` and
`ATTENTIONS` (that it serves with) and `Engine(spec, settings, folder)`, which loads the model in `folder` on the run's
device or devices. It may have `against(spec, settings)`, why it cannot serve a run as it is set, and `exports`, a
module that makes what it serves in place of the model's own files.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

from pydantic import BaseModel

from joulebench.config.spec import RunSpec
from joulebench.config.sweeps import Timed
from joulebench.engines.base import DiffusionEngine, TextEngine
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError, checked, nearest
from joulebench.records.models import Export, Model

ENGINES = {
    "transformers": "joulebench.engines.transformers",
    "transformers-static": "joulebench.engines.transformers_static",
    "vllm": "joulebench.engines.vllm",
    "onnxruntime": "joulebench.engines.onnxruntime",
    "diffusers": "joulebench.engines.diffusers",
    "server": "joulebench.engines.server",
}


FLASH = "flash_attention_2"


def module(kind: str) -> ModuleType:
    """The module of an engine; it loads no framework before `open_engine`. Raises ConfigError for an unknown kind."""
    if kind not in ENGINES:
        raise ConfigError(f"engines: no engine of kind '{kind}'{nearest(kind, ENGINES)}")
    return importlib.import_module(ENGINES[kind])


def check(spec: RunSpec, where: str | None = None, name: str | None = None) -> BaseModel:
    """The engine's own settings of a run, checked. Raises ConfigError.

    `where`, `name`: what the config calls the entry and the engine, for the error; else as the spec has them.
    """
    found = module(spec.engine)
    where, name = where or f"matrix.{spec.hardware}.{spec.task}", name or spec.engine
    if spec.task not in found.TASKS:
        raise ConfigError(f"{where}.engine: {spec.engine} serves {', '.join(found.TASKS)}")
    if spec.tensor_parallel > found.MOST_DEVICES:
        raise ConfigError(
            f"{where}: variant {spec.variant} wants {spec.tensor_parallel} devices for "
            f"{spec.model}; engine {spec.engine} spreads a model over {found.MOST_DEVICES}"
        )
    if spec.expert_parallel and spec.tensor_parallel == 1:
        raise ConfigError(
            f"{where}: variant {spec.variant} wants expert_parallel for {spec.model} on one "
            "device; give it tensor_parallel devices to share the experts, or leave it out"
        )
    _known(spec, where, spec.quantization, "QUANTIZATIONS", "quantisation")
    _known(spec, where, spec.attention, "ATTENTIONS", "attention but its own choice")
    if spec.attention == FLASH and not spec.on_gpu:
        raise ConfigError(
            f"{where}: variant {spec.variant} wants {FLASH} for {spec.model}, which is a "
            f"GPU's; on {spec.device} the engine {spec.engine} knows "
            f"{', '.join(one for one in found.ATTENTIONS if one != FLASH)}"
        )
    if isinstance(spec.sweep.protocol, Timed) and spec.sweep.protocol.min_batches and not _in_batches(spec.engine):
        raise ConfigError(
            f"{where}: min_batches asks for whole batches of {spec.model}, and engine {spec.engine} serves request by "
            f"request; {' and '.join(filter(_in_batches, ENGINES))} know it, elsewhere leave it out (`sweeps` gives "
            "single models their own)"
        )
    settings: BaseModel = checked(found.Settings, spec.engine_settings, f"engines.{name}.settings")
    if hasattr(found, "against") and (why := found.against(spec, settings)) is not None:
        raise ConfigError(f"{where}: engine {name}: {why}")
    return settings


def _in_batches(kind: str) -> bool:
    """Whether an engine serves whole batches: those of static ones, and pipelines of images and videos."""
    return bool(getattr(module(kind).Engine, "whole_batches", True))


def _known(spec: RunSpec, where: str, asked: str | None, names: str, none: str) -> None:
    """Raises ConfigError where the engine does not know what a variant asks for, with those that do."""
    known = getattr(module(spec.engine), names)
    if asked is None or asked in known:
        return
    others = [kind for kind in ENGINES if asked in getattr(module(kind), names) and spec.task in module(kind).TASKS]
    raise ConfigError(
        f"{where}: variant {spec.variant} wants {asked} for {spec.model}; "
        f"engine {spec.engine} knows {', '.join(known) or f'no {none}'}"
        + (f"; {asked} is known to {', '.join(others)}" if others else "")
    )


def looks_at_models(kind: str) -> bool:
    """Whether `check` finds one model of a matrix fit for the engine, and another not."""
    return hasattr(module(kind), "refused")


def export_folder(spec: RunSpec, folder: Path) -> Path | None:
    """Where lies what the run's engine serves in place of the model in `folder`; None where it serves that."""
    exports = getattr(module(spec.engine), "exports", None)
    return None if exports is None else exports.export_folder(spec, folder)


def export(spec: RunSpec, folder: Path) -> Export:
    """Make what lies in `export_folder`, its export.json last. Raises UserError where it cannot be made."""
    made: Export = module(spec.engine).exports.export(spec, folder)
    return made


def checked_export(spec: RunSpec, folder: Path, model: Model) -> Export | None:
    """export.json of what the run's engine serves; None where it serves the model's own files.

    `model`: model.json in `folder`. Raises UserError where the export is not there, or was made of another model.
    """
    exports = getattr(module(spec.engine), "exports", None)
    return None if exports is None else exports.checked_export(spec, folder, model)


def open_engine(spec: RunSpec, folder: Path, settings: BaseModel | None = None) -> TextEngine | DiffusionEngine:
    """Load the model in `folder` on the run's device. `settings`: what `check` gave; without them it is asked here.

    Raises UserError where a package of the engine's is not installed.
    """
    given = check(spec) if settings is None else settings
    found = module(spec.engine)
    try:
        engine: TextEngine | DiffusionEngine = found.Engine(spec, given, folder)
    except ModuleNotFoundError as error:
        if error.name not in found.PACKAGES:
            raise
        raise UserError(
            f"engine {spec.engine}: found no package {error.name} for {sys.executable}; install it there, or give "
            "engines.*.python an interpreter that has it (joulebench doctor says which there are)"
        ) from None
    return engine


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` is torch's own word that an allocation failed; nothing else counts.

    On CUDA that is torch.OutOfMemoryError. Torch's CPU allocator raises a plain RuntimeError, known by its name in
    the message. An error raised where torch was never imported is none of torch's.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return type(error) is RuntimeError and "DefaultCPUAllocator: can't allocate memory" in str(error)
