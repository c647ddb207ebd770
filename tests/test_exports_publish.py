"""Publishing, without a network: what is refused, what a dry run says, and what reaches a hub on this machine."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import PROJECT
from huggingface_hub import HfApi

from joulebench.errors import UserError
from joulebench.exports import dataset
from joulebench.exports.dataset import check_repo, publish, uploads
from joulebench.tables.files import write_csv
from joulebench.tables.schemas import TABLES

TOKEN = "hf_" + "x" * 34
NAMES = [
    "README.md",
    "data/h100/footprint.parquet",
    "data/h100/leaderboard.parquet",
    "data/h100/points.parquet",
    "docs/checks.md",
    "docs/methods.md",
]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """results/ of one piece of hardware with a valid and a flagged point."""
    found = tmp_path / "results"
    for name in dataset.TABLES:
        schema = TABLES[name]
        known = {"task": "llm-chat", "model": "owner/name", "hardware": "h100", "repeat": 1, "responses_per_s": 2.0}
        verdicts = {"points": ("valid", "flagged: wide interval"), "leaderboard": ("valid",), "footprint": ("", "")}
        rows = [
            {column: (known | {"verdict": verdict, "max_batch_size": batch}).get(column) for column in schema}
            for batch, verdict in enumerate(verdicts.get(name, ()), start=1)
        ]
        write_csv(pl.DataFrame(rows, schema=schema, orient="row"), schema, found / "h100" / f"{name}.csv")
    make(found, publish_flagged=False)
    return found


def make(results: Path, publish_flagged: bool) -> None:
    csvs = {"h100": {name: results / "h100" / f"{name}.csv" for name in dataset.TABLES}}
    dataset.write(results / "dataset", csvs, PROJECT / "docs", publish_flagged)


class Hub(ThreadingHTTPServer):
    """As much of the hub's API as one commit needs, in which every file is small enough to go in the commit itself."""

    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.status = status
        self.created: list[dict[str, Any]] = []
        self.commits: list[list[dict[str, Any]]] = []
        self.tokens: set[str | None] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Request(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        stored = (".gitattributes", "LICENSE", "data/old/points.parquet", "data/h100/points.parquet")
        tree = [{"type": "file", "path": path, "size": 1, "oid": "0" * 40} for path in stored]
        self.answer(tree if "/tree/" in self.path else {"id": "me/energy", "sha": "0" * 40, "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.tokens.add(self.headers["Authorization"])
        where = self.path.partition("?")[0]
        if where.startswith("/api/datasets/me/energy/preupload/"):
            files = json.loads(body)["files"]
            self.answer({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif where.startswith("/api/datasets/me/energy/commit/"):
            self.server.commits.append([json.loads(line) for line in body.splitlines()])
            self.answer({"success": True, "commitOid": "1" * 40, "commitUrl": f"{self.server.url}/datasets/me/energy"})
        elif where == "/api/repos/create":
            self.server.created.append(json.loads(body))
            self.answer({"url": f"{self.server.url}/datasets/me/energy"})
        else:
            self.answer({"errors": [], "warnings": []})  # of the card, at /api/validate-yaml

    def answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def command(results: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """As make calls it, where `results` lies."""
    known = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "JOULEBENCH_"))}
    given = {"PYTHONPATH": str(PROJECT / "src"), "JOULEBENCH_CONFIG": str(PROJECT / "config.yaml")} | environment
    words_of = [sys.executable, "-m", "joulebench", "publish", *words]
    where = results.parent
    return subprocess.run(
        words_of, cwd=where, env=known | given, capture_output=True, text=True, check=False, timeout=60
    )


def test_one_commit_holds_the_folder_and_removes_what_is_stale(results: Path, hub: Hub) -> None:
    folder = results / "dataset"
    (folder / "data" / "h100" / "notes.txt").write_text("not named by the card")
    address = publish(folder, "me/energy", uploads(folder, False), HfApi(endpoint=hub.url, token=TOKEN))
    assert address.endswith("/datasets/me/energy")
    assert [(one["name"], one["type"]) for one in hub.created] == [("energy", "dataset")]
    [[header, *operations]] = hub.commits
    assert header["key"] == "header"
    assert [one["value"]["path"] for one in operations if one["key"] == "deletedFile"] == ["data/old/points.parquet"]
    files = {one["value"]["path"]: one["value"] for one in operations if one["key"] == "file"}
    assert sorted(files) == NAMES
    for name, sent in files.items():
        assert sent["encoding"] == "base64"
        assert base64.b64decode(sent["content"]) == (folder / name).read_bytes()
    assert hub.tokens == {f"Bearer {TOKEN}"}


@pytest.mark.slow
def test_the_command_publishes_with_the_token_of_the_environment_and_never_says_it(results: Path, hub: Hub) -> None:
    done = command(results, "me/energy", HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert len(hub.commits) == 1
    assert done.stdout.splitlines()[-1] == f"{hub.url}/datasets/me/energy"
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_hub_that_refuses_is_one_line_without_the_token(status: int, results: Path, hub: Hub) -> None:
    hub.status = status
    done = command(results, "me/energy", HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("me/energy: not published (")
    assert TOKEN not in done.stdout + done.stderr
    assert hub.commits == []


@pytest.mark.slow
def test_a_dry_run_needs_no_token_and_no_network(results: Path, hub: Hub) -> None:
    hub.status = 500
    done = command(results, "me/energy", "--dry-run", HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    listed = [line.split("  ") for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [name for _, name, _ in listed] == NAMES
    sizes = {name: said for _, name, said in listed}
    size = (results / "dataset/data/h100/points.parquet").stat().st_size
    assert sizes["data/h100/points.parquet"] == f"{size:,} bytes, 1 rows"
    assert "the dataset me/energy" in done.stdout
    assert hub.tokens == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected a repository of the hub, found none; give one: joulebench publish OWNER/NAME"),
        (("",), "expected a repository of the hub, found none; give one: joulebench publish OWNER/NAME"),
        (("energy",), "expected a repository of the hub, found 'energy'; give one: joulebench publish OWNER/NAME"),
        (("me/energy",), "no HF_TOKEN in the environment; set it to a token that may write, or look first: --dry-run"),
    ],
)
def test_what_is_missing_is_one_line(words: tuple[str, ...], said: str, results: Path) -> None:
    done = command(results, *words)
    assert (done.returncode, done.stderr, done.stdout) == (1, f"{said}\n", "")


@pytest.mark.slow
def test_a_dry_run_needs_no_repository(results: Path) -> None:
    done = command(results, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("would go to the dataset OWNER/NAME, in one commit:\n")


@pytest.mark.parametrize("repo", ["", "energy", "a/b/c", "-a/b", "a/b c", "a/../b", "a/b.git"])
def test_a_name_that_is_none(repo: str) -> None:
    with pytest.raises(UserError, match="expected a repository of the hub"):
        check_repo(repo)
    check_repo("Owner-1/some.name_2")


@pytest.mark.parametrize("gone", [*NAMES, ""])
def test_a_file_that_is_missing_is_refused(gone: str, results: Path) -> None:
    folder = results / "dataset"
    (folder / gone).rename(results / "elsewhere")
    with pytest.raises(UserError, match=r"make it again: snakemake --cores all results/dataset/README\.md") as error:
        uploads(folder, publish_flagged=False)
    assert "\n" not in str(error.value)


def test_a_damaged_table_is_refused(results: Path) -> None:
    path = results / "dataset/data/h100/points.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"points\.parquet: missing or damaged"):
        uploads(results / "dataset", publish_flagged=False)


@pytest.mark.slow
def test_flagged_rows_are_refused_unless_the_config_lets_them_out(results: Path) -> None:
    make(results, publish_flagged=True)
    with pytest.raises(UserError, match=r"1 rows may not be published, as owner/name, 'flagged: wide interval'"):
        uploads(results / "dataset", publish_flagged=False)
    rows = {one.name: one.rows for one in uploads(results / "dataset", publish_flagged=True)}
    assert rows["data/h100/points.parquet"] == 2
    done = command(results, "me/energy", "--dry-run")  # the project's own config says no
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_invalid_figures_are_refused_whatever_the_config_says(results: Path) -> None:
    path = results / "dataset/data/h100/points.parquet"
    pl.read_parquet(path).with_columns(verdict=pl.lit("invalid: other processes")).write_parquet(path)
    with pytest.raises(UserError, match="1 rows may not be published"):
        uploads(results / "dataset", publish_flagged=True)


def test_a_dataset_that_is_older_than_its_tables_is_refused(results: Path) -> None:
    card = results / "dataset/README.md"
    later = card.stat().st_mtime + 10
    os.utime(results / "h100/points.csv", (later, later))
    with pytest.raises(UserError, match=r"points\.csv: newer than .*README\.md; make it again"):
        uploads(results / "dataset", publish_flagged=False)
