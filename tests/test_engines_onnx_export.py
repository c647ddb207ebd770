"""What the onnxruntime engine serves: how it is made, what is refused, and that nothing is sent to anybody."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from building import PROJECT, TEXTS, asked, prepare_tiny, synthetic, tiny
from onnx_models import MISSING, build, spec

from joulebench import config, engines, models
from joulebench.analysis.points import WantedRun, points
from joulebench.engines import open_engine
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError
from joulebench.inputs.yaml_files import read_yaml
from joulebench.plan import Plan, plan
from joulebench.records.files import read_model, read_run

needs_it = pytest.mark.skipif(find_spec("onnxruntime_genai") is None, reason=MISSING)
LLAMA = {"kind": "causal-lm", "model_type": "llama", "config": {}}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"dtype": "bfloat16"}, "serves float32, float32 int4, float32 int8 on cpu, found bfloat16 for"),
        ({"quantization": "int4", "dtype": "float16"}, "found float16 int4 for"),
        ({"quantization": "fp8"}, "engine onnxruntime knows int4, int8"),
        ({"device": "rocm"}, "serves on cpu and cuda, found rocm"),
        ({"device": "cuda", "quantization": "int4"}, "float16 int4, float16 int8 on cuda, found float32 int4"),
        ({"trust_remote_code": True}, "runs no code of others, found trust_remote_code for"),
        ({"task": "vlm-chat"}, "serves llm-chat, llm-code"),
        ({"tensor_parallel": 2}, "spreads a model over 1"),
        (
            {"architecture": LLAMA | {"model_type": "starcoder2"}},
            "llama, mistral, qwen2, qwen3, found starcoder2",
        ),
        (
            {"architecture": LLAMA | {"model_type": "qwen2", "config": {"use_sliding_window": True}}},
            "serves qwen2 without use_sliding_window, found it for",
        ),
        ({"architecture": LLAMA | {"model_type": "mistral"}}, "serves mistral with sliding_window null, found another"),
        (
            {"engine_settings": {"block_size": 16}},
            "settings: block_size: unknown key; known are max_model_len, threads",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_planning(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        engines.check(spec(**changes))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "form"),
    [
        ({}, "fp32-cpu"),
        ({"quantization": "int4"}, "int4-cpu"),
        ({"quantization": "int8"}, "int8-cpu"),
        ({"device": "cuda", "dtype": "float16"}, "fp16-cuda"),
        ({"device": "cuda", "dtype": "bfloat16"}, "bf16-cuda"),
        ({"device": "cuda", "dtype": "float16", "quantization": "int4"}, "int4-cuda"),
        ({"architecture": LLAMA | {"model_type": "mistral", "config": {"sliding_window": None}}}, "fp32-cpu"),
    ],
)
def test_what_can_be_has_a_folder_of_its_own(changes: dict[str, Any], form: str) -> None:
    engines.check(spec(**changes))
    assert engines.export_folder(spec(**changes), Path("m")) == Path("m/onnx", form)
    assert engines.export_folder(spec(engine="transformers"), Path("m")) is None


def of_onnx(**variants: Any) -> dict[str, Any]:
    """The tiny config with its chat served by ONNX Runtime: plainly, and by each variant."""
    raw = tiny()
    model = "joulebench/llama-1m"
    raw["engines"]["onnxruntime"] = {"kind": "onnxruntime"}
    raw["variants"] = variants
    raw["matrix"] = {
        "cpu": {"llm-chat": {"engine": "onnxruntime", "models": [model, *(f"{model}+{name}" for name in variants)]}}
    }
    return raw


def test_each_model_of_a_matrix_is_looked_at() -> None:
    raw = of_onnx()
    sizes = read_yaml(PROJECT / "config/models/starcoder2-4m.yaml", "starcoder2-4m")
    raw["models"]["a/other"] = raw["models"]["joulebench/llama-1m"] | {"architecture": sizes}
    raw["matrix"]["cpu"]["llm-chat"]["models"].append("a/other")
    with pytest.raises(ConfigError, match="found starcoder2 for a/other"):
        plan(raw)


def test_the_plan_knows_who_is_served_from_what() -> None:
    made = plan(of_onnx(int4={"quantization": "int4"}))
    place = Path("results/models/joulebench--llama-1m/onnx")
    assert [made.export(cell) for cell in made.cells("cpu")] == [
        place / "fp32-cpu/export.json",
        place / "int4-cpu/export.json",
    ]
    assert str(place / "int4-cpu/export.json") in made.prepared()
    assert made.spec(made.exporter(place / "int4-cpu/export.json")).quantization == "int4"
    with pytest.raises(ConfigError, match="no run of the config is served from"):
        made.exporter(place / "int8-cpu/export.json")
    assert [Plan(config.parse(tiny())).export(cell) for cell in Plan(config.parse(tiny())).cells("cpu")] == [None] * 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("qwen3-4m", tmp_path_factory.mktemp("model"))


@pytest.mark.slow
@needs_it
def test_the_record_says_what_was_made_of_what(folder: Path) -> None:
    place = folder / "onnx" / "fp32-cpu"
    made = engines.checked_export(spec(), folder, read_model(folder))
    assert made is not None
    printed = subprocess.run(["sha256sum", *sorted(made.files_sha256)], cwd=place, capture_output=True, text=True)
    assert {(name, digest) for digest, name in map(str.split, printed.stdout.splitlines())} == {
        *made.files_sha256.items()
    }
    assert sorted(made.files_sha256) == ["genai_config.json", "model.onnx", "model.onnx.data"]
    assert sorted(path.name for path in place.iterdir()) == ["export.json", *sorted(made.files_sha256)]
    assert (made.precision, made.provider) == ("fp32", "cpu")
    assert made.versions["onnxruntime-genai"].startswith("0.")


@pytest.mark.slow
@needs_it
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda record: record["model_files_sha256"].clear(),
            "another model_files_sha256 than now; delete it",
        ),
        (lambda record: record["arguments"].pop(), "another arguments than now; delete it"),
    ],
)
def test_an_export_of_another_model_is_not_served(folder: Path, tmp_path: Path, change: Any, complaint: str) -> None:
    shutil.copytree(folder, tmp_path / "m")
    file = tmp_path / "m/onnx/fp32-cpu/export.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    with pytest.raises(UserError, match=complaint):
        engines.checked_export(spec(), tmp_path / "m", read_model(tmp_path / "m"))
    file.unlink()
    with pytest.raises(UserError, match=r"export\.json"):
        engines.checked_export(spec(), tmp_path / "m", read_model(tmp_path / "m"))


@pytest.mark.slow
@needs_it
def test_a_checkpoint_of_another_kind_is_refused_before_it_is_read(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "m")
    file = tmp_path / "m/config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "bloom"}))
    with pytest.raises(UserError, match="found bloom for joulebench/llama-1m; take the engine transformers"):
        engines.export(spec(), tmp_path / "m")


def said(folder: Path, **changes: Any) -> list[int]:
    engine: Any = open_engine(spec(**changes), folder)
    (one,) = engine.prepare(asked(("def area(side):", None, None)))
    engine.submit(0, one)
    while not (step := engine.step()).finished:
        pass
    engine.close()
    return list(step.answers[0])


@pytest.mark.slow
@needs_it
def test_drawn_weights_are_those_of_the_engine_transformers(tmp_path: Path) -> None:
    models.prepare("a/b", synthetic("llama-1m"), TEXTS, tmp_path)
    drawn = {"weights": "synthetic", "weights_seed": 3}
    engines.export(spec(**drawn), tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))
    assert said(tmp_path, **drawn) == said(tmp_path, **drawn, engine="transformers-static")
    assert said(tmp_path, **drawn) != said(tmp_path, **drawn | {"weights_seed": 4}, engine="transformers-static")


@pytest.mark.slow
@needs_it
def test_four_bits_are_a_form_of_their_own(folder: Path) -> None:
    engines.export(spec(quantization="int4"), folder)
    sizes = {form: (folder / "onnx" / form / "model.onnx.data").stat().st_size for form in ("fp32-cpu", "int4-cpu")}
    assert sizes["int4-cpu"] < 0.5 * sizes["fp32-cpu"]
    assert len(said(folder, quantization="int4")) == 12


OPEN = """
import sys, time
from pathlib import Path
from onnx_models import spec
from joulebench.engines import open_engine
import joulebench.engines.onnx_export as exports
if sys.argv[2] == "loud":
    exports.QUIET.clear()
engine = open_engine(spec(), Path(sys.argv[1]))
time.sleep(1)
"""


@pytest.mark.slow
@needs_it
def test_nothing_is_told_to_anybody(folder: Path, tmp_path: Path) -> None:
    """What the libraries mean to send they keep in the home first; an engine that does not quieten them shows it."""
    left = {}
    for how in ("quiet", "loud"):
        (home := tmp_path / how).mkdir()
        kept = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
        paths = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT / 'tests'}"}
        words = [sys.executable, "-c", OPEN, str(folder), how]
        done = subprocess.run(words, env=kept | paths, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        left[how] = [path for path in home.rglob("*") if "onnxruntime" in path.name]
    assert left["quiet"] == []
    assert left["loud"] != []


@needs_it
@pytest.mark.slow
def test_a_whole_run_from_its_export_to_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = of_onnx(int4={"quantization": "int4"})
    timed = {"kind": "timed", "seconds": 1.0}
    raw["tasks"]["llm-chat"]["sweep"] = {"batch_sizes": [1, 3], "protocol": timed, "start": "equilibrium"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(raw))
    results = tmp_path / "results"
    prepare_tiny("llm-chat", results / "prompts/llm-chat.parquet", results / "models/joulebench--llama-1m")
    made = Plan(config.load(tmp_path / "config.yaml"))
    scripts = PROJECT / "workflow/scripts"
    cell = list(made.cells("cpu"))[1]
    for script, *words in (
        ("export_model.py", str(made.export(cell)), "export.log"),
        ("measure.py", "cpu", "llm-chat", cell.folder.name, "run.log"),
    ):
        command = [sys.executable, str(scripts / script), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    rows, left_out = points([WantedRun(cell.folder, made.spec(cell), None)])
    assert left_out.is_empty()
    assert rows.select("engine", "dtype", "quantization", "max_batch_size", "status", "start").rows() == [
        ("onnxruntime", "float32", "int4", batch, "measured", "equilibrium") for batch in (1, 3)
    ]
    run = read_run(cell.folder)
    assert run.export is not None
    assert run.export.precision == "int4"
    assert run.versions["onnxruntime"] is not None
