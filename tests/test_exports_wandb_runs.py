"""Runs of Weights & Biases, offline: read back from the files that W&B wrote, with its own reader."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import PROJECT, machine, point_record, point_row, run_record, table_of

from joulebench.errors import UserError
from joulebench.exports.wandb_runs import mode_of, write
from joulebench.records.files import write_json
from joulebench.tables import schemas
from joulebench.tables.files import write_csv

# Not importorskip: its import takes as long as all that is read here.
pytestmark = [
    pytest.mark.slow,  # to import it takes seconds
    pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed: envs/wandb.txt"),
]

SRC = PROJECT / "src"
KEY = "secret" * 7
GPU = {"name": "NVIDIA H100 80GB HBM3", "uuid": "GPU-7b828b40", "driver": "580.1", "power_limit_w": 700.0}
MODELS = (("llm-chat", "owner/name", None), ("text-to-image", "owner/pictures", "fp8"))


def measured(folder: Path, task: str, model: str, variant: str | None) -> Path:
    """A run folder with its run.json."""
    spec = {"task": task, "model": model, "variant": variant, "hardware": "h100", "engine": "vllm", "repeat": 1}
    moment = "2025-11-02T08:00:00Z"
    gpu = machine(
        host="the-measuring-host", device=GPU["name"], devices=[GPU], energy_sources={"gpu:0": "nvml_counter"}
    )
    facts = {"spec_hash": f"hash of {model}", "parameters": 8, "versions": {"vllm": "0.25.1"}, "machine": gpu}
    times = {"started_utc": moment, "ended_utc": moment}
    run = run_record(spec, point_record(1, started_utc=moment), **facts, **times)
    path = folder / task / f"{model.replace('/', '--')}{f'+{variant}' if variant else ''}"
    write_json(run, path / "run.json")
    return path


def row(task: str, model: str, variant: str | None, batch: int, **changes: object) -> dict[str, object]:
    known = {
        **{"task": task, "model": model, "variant": variant, "weights": "synthetic", "device": GPU["name"]},
        **{"load": "closed-loop", "max_batch_size": batch, "tdp_w": 700.0, "responses_per_s": 2.0},
        **{"energy_per_response_j": 100 / batch, "latency_p50_s": 0.5 * batch},
    }
    return point_row(**known | changes)


POINTS = [
    row(*MODELS[0], 1),
    row(*MODELS[0], 2, verdict="flagged: wide interval"),
    row(*MODELS[0], 4, energy_per_response_j=None, energy_source=None),
    row(*MODELS[0], 8, verdict="invalid: other processes"),
    row(*MODELS[0], 16, status="out_of_memory", verdict="invalid: out_of_memory", responses_per_s=None),
    row(*MODELS[1], 1, energy_source="codecarbon_estimate"),
]


class Listener(BaseHTTPRequestHandler):
    server: "Counting"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(401)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Counting(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Listener)
        self.asked: list[str] = []


@contextmanager
def service() -> Iterator[Counting]:
    """What W&B speaks to when it is online: here it refuses everybody."""
    with Counting() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def unasked() -> Iterator[Counting]:
    with service() as server:
        yield server


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, unasked: Counting) -> Path:
    """results/h100/wandb in an otherwise empty project and home, as a process of its own writes it, a key being set."""
    place = tmp_path_factory.mktemp("project")
    for name in ("home", "tmp"):
        (place / name).mkdir()
    runs = [measured(place / "results/h100/runs", *one) for one in (*MODELS, ("llm-code", "not/in-the-table", None))]
    write_csv(table_of(schemas.POINTS, *POINTS), schemas.POINTS, place / "points.csv")
    words = [str(one.relative_to(place)) for one in runs]
    code = f"""if True:
        import os
        from pathlib import Path
        from joulebench.exports.wandb_runs import mode_of, write
        from joulebench.tables.files import read_csv
        from joulebench.tables.schemas import POINTS
        points = read_csv(Path("points.csv"), POINTS)
        write(Path("results/h100/wandb"), [Path(one) for one in {words}], points, False, mode_of(os.environ))
    """
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SRC),
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "USER": "the-exporting-user",
        "WANDB_API_KEY": KEY,
        "WANDB_BASE_URL": f"http://127.0.0.1:{unasked.server_port}",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "results/h100/runs/llm-code/not--in-the-table: no row in the table of points, so not logged"
    ]
    return place / "results/h100/wandb"


def content(folder: Path, name: str) -> tuple[dict[str, Any], list[dict[str, Any]], Any]:
    """The config, the steps and the run's own record of the W&B run whose id holds `name`."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    [file] = folder.glob(f"*{name}*/*.wandb")
    store = DataStore()
    store.open_for_scan(str(file))
    config, steps, run = {}, [], None
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "run":
            run = record.run
            config = {item.key: json.loads(item.value_json) for item in run.config.update}
        elif record.WhichOneof("record_type") == "history":
            items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            steps.append({key: value for key, value in items.items() if key not in ("_runtime", "_timestamp")})
    store.close()
    return config, steps, run


@pytest.mark.slow
def test_a_run_has_its_spec_as_config(logged: Path) -> None:
    config, _, run = content(logged, "owner--name")
    assert config["spec"]["engine"] == "vllm"
    assert config["versions"] == {"vllm": "0.25.1"}
    assert (config["model"], config["weights"], config["variant"]) == ("owner/name", "synthetic", None)
    assert (config["power_limit_w"], config["driver"]) == (700.0, "580.1")
    assert config["started_utc"] == "2025-11-02T08:00:00Z"
    assert (run.display_name, run.run_group, run.job_type) == ("llm-chat owner--name", "llm-chat", "h100")
    assert list(run.tags) == ["h100", "llm-chat", "synthetic weights", "closed-loop"]


@pytest.mark.slow
def test_each_point_that_may_be_published_is_a_step(logged: Path) -> None:
    config, steps, _ = content(logged, "owner--name")
    assert [(step["_step"], step["max_batch_size"], step["status"]) for step in steps] == [
        (0, 1, "measured"),
        (1, 4, "measured"),
        (2, 16, "out_of_memory"),
    ]
    assert (steps[0]["energy_per_response_j"], steps[0]["latency_p50_s"]) == (100.0, 0.5)
    assert "energy_per_response_j" not in steps[1]  # null: not measured, and not 0
    assert steps[1]["latency_p50_s"] == 2.0
    assert config["points_not_published"] == 2


@pytest.mark.slow
def test_an_estimate_is_named_one(logged: Path) -> None:
    config, steps, run = content(logged, "owner--pictures+fp8")
    assert config["variant"] == "fp8"
    assert "estimated energy" in run.tags
    assert [step["energy_source"] for step in steps] == ["codecarbon_estimate"]


def test_the_index_names_each_run(logged: Path) -> None:
    index = json.loads((logged / "runs.json").read_text())
    assert index["mode"] == "offline"
    assert [(one["task"], one["run"], one["points"], one["url"]) for one in index["runs"]] == [
        ("llm-chat", "owner--name", 3, None),
        ("text-to-image", "owner--pictures+fp8", 1, None),
    ]
    for one in index["runs"]:
        assert len(list(logged.glob(f"offline-run-*-{one['id']}/run-{one['id']}.wandb"))) == 1


def test_nothing_lies_outside_its_folder(logged: Path) -> None:
    place = logged.parents[2]
    assert {path.name for path in place.iterdir()} == {"home", "tmp", "points.csv", "results"}
    assert [*(place / "home").rglob("*"), *(place / "tmp").rglob("*")] == []
    kinds = {path.suffix for path in logged.rglob("*") if path.is_file()}
    assert kinds == {".json", ".wandb", ".syncstate"}


def test_nothing_is_said_of_this_machine_nor_of_the_host_that_measured(logged: Path) -> None:
    held = b"".join(path.read_bytes() for path in logged.rglob("*") if path.is_file())
    names = [
        str(logged.parents[2]),
        str(SRC),
        sys.executable,
        "the-exporting-user",
        KEY,
        "the-measuring-host",
        GPU["uuid"],
    ]
    for secret in (*names, os.uname().release):
        assert secret.encode() not in held, secret
    for name in ("owner--name", "owner--pictures"):
        run = content(logged, name)[2]
        assert (run.host, run.entity, run.git.remote_url, run.git.commit) == ("", "", "", "")
    kinds = {path.name for path in logged.rglob("files/*")}
    assert kinds == set()


def test_no_network_is_asked_for(logged: Path, unasked: Counting) -> None:
    assert logged.is_dir()
    assert unasked.asked == []


@pytest.mark.slow
def test_logging_again_replaces_what_was(logged: Path, tmp_path: Path) -> None:
    run = measured(tmp_path / "runs", *MODELS[0])
    points = table_of(schemas.POINTS, *POINTS)
    before = dict(os.environ)
    names = []
    for publish_flagged in (False, True):
        write(tmp_path / "wandb", [run], points, publish_flagged, "offline")
        assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 1
        names.append(json.loads((tmp_path / "wandb/runs.json").read_text())["runs"][0])
    assert names[0]["id"] == names[1]["id"] == json.loads((logged / "runs.json").read_text())["runs"][0]["id"]
    assert (names[0]["points"], names[1]["points"]) == (3, 4)
    assert [step["max_batch_size"] for step in content(tmp_path / "wandb", "owner--name")[1]] == [1, 2, 4, 16]
    assert dict(os.environ) == before


@pytest.mark.slow
def test_a_service_that_refuses_is_one_line_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = measured(tmp_path / "runs", *MODELS[0])
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "before").touch()
    points = table_of(schemas.POINTS, *POINTS)
    with service() as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(UserError, match=r"Weights & Biases: .* error 401") as error:
            write(tmp_path / "wandb", [run], points, publish_flagged=False, mode="online")
    assert "\n" not in str(error.value)
    assert KEY not in str(error.value) + "".join(capfd.readouterr())
    assert server.asked != []
    assert [path.name for path in (tmp_path / "wandb").iterdir()] == ["before"]
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "wandb"}


def test_without_the_package_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"not installed: make wandb, or pip install -r envs/wandb\.txt") as error:
        write(tmp_path / "wandb", [], pl.DataFrame(schema=schemas.POINTS), False, "offline")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "wandb").exists()


@pytest.mark.parametrize(
    ("environment", "mode"),
    [({}, "offline"), ({"WANDB_MODE": ""}, "offline"), ({"WANDB_MODE": "online", "WANDB_API_KEY": KEY}, "online")],
)
def test_offline_unless_asked(environment: dict[str, str], mode: str) -> None:
    assert mode_of(environment) == mode


def test_online_without_a_key_and_other_modes_are_refused() -> None:
    with pytest.raises(UserError, match="no WANDB_API_KEY in the environment"):
        mode_of({"WANDB_MODE": "online"})
    with pytest.raises(UserError, match="WANDB_MODE is 'disabled', expected offline or online"):
        mode_of({"WANDB_MODE": "disabled", "WANDB_API_KEY": KEY})
