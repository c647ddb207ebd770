"""A fresh clone on a machine that has a network: one command, and nothing that is fetched by hand.

The hub is one of this machine, which speaks the hub's protocol: a dataset at `main`, and a model's own weights.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from building import BIN, PROJECT, copy_project, plain, prepare_tiny
from fake_hub import Hub, serving

from joulebench.records.files import read_run
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import LEADERBOARD

pytestmark = pytest.mark.slow

COMMIT = "5" * 40
CONFIG = {
    "measure_on": ["cpu"],
    "publish_flagged": True,
    "hardware": {"cpu": {"device": "cpu"}},
    "originals": {
        "data/sharegpt": {"kind": "hub", "repo": "some/talks", "revision": "main", "file": "ShareGPT_V3.json"}
    },
    "tasks": {
        "llm-chat": {
            "dataset": {"name": "sharegpt", "source": {"kind": "local", "path": "data/sharegpt"}},
            "sample": {"requests": 8},
            "output_length": {"kind": "reference", "tokens": 8},
            "sweep": {"batch_sizes": [4], "protocol": {"kind": "fixed", "requests": 8}},
        }
    },
    "models": {
        "lab/tiny": {
            "weights": "synthetic",
            "published": {"revision": "main"},
            "architecture": "config/models/llama-1m.yaml",
            "tokenizer": {"kind": "trained", "train_on": "llm-chat", "vocabulary": 512},
            "dtype": "float32",
        }
    },
    "engines": {
        "transformers": {
            "kind": "transformers",
            "settings": {"block_size": 16, "num_blocks": 512, "max_batch_tokens": 256},
        }
    },
    "matrix": {"cpu": {"llm-chat": {"engine": "transformers", "models": ["lab/tiny"]}}},
}


def publish(root: Path, folder: Path, name: str = "lab/tiny") -> None:
    """The repositories of the hub: the packaged conversations as a dataset, and a tiny model with weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    prepare_tiny("llm-chat", folder / "p.parquet", folder / "model")
    (root / "some" / "talks").mkdir(parents=True)
    talks = PROJECT / "src/joulebench/datasets/packaged/sharegpt.json"
    shutil.copyfile(talks, root / "some" / "talks" / "ShareGPT_V3.json")
    own = root / name
    own.mkdir(parents=True)
    for file in (folder / "model").glob("*.json"):
        if file.name != "model.json":
            shutil.copyfile(file, own / file.name)
    network = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder / "model"))
    network.save_pretrained(own)


README_MODEL = "HuggingFaceTB/SmolLM2-360M-Instruct"


def snakemake(where: Path, hub: Hub, *words: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(where / "src"),
        "JOULEBENCH_PROC_STAT": "/no/such/file",
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(where / "hf"),
    }
    command = [str(BIN / "snakemake"), "--cores", "2", *words, "--configfile", "mine.yaml"]
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_fresh_clone_fetches_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "clone"
    copy_project(where)
    (where / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    publish(tmp_path / "hub", tmp_path)
    with serving(tmp_path / "hub", monkeypatch) as hub:
        hub.commits = {"main": COMMIT}
        said = snakemake(where, hub, "fetch")
        assert f"main is the commit {COMMIT}" in said
        told = json.loads((where / "results/prompts/llm-chat.json").read_text())["origin"]
        assert (told["revision"], told["asked"]) == (COMMIT, "main")
        assert "model.safetensors" not in hub.fetched

        board = "results/cpu/leaderboard.csv"
        snakemake(where, hub, board)
        runs = where / "results/cpu/runs/llm-chat"
        drawn = (runs / "lab--tiny" / "run.json").read_bytes()
        assert read_csv(where / board, LEADERBOARD)["weights"].to_list() == ["synthetic"]

        snakemake(where, hub, board, "--config", "published_weights=true")
        assert "model.safetensors" in hub.fetched
        assert read_csv(where / board, LEADERBOARD).select("model", "weights").rows() == [("lab/tiny", "checkpoint")]
        own = read_run(runs / "lab--tiny--hub")
        assert (own.spec["weights"], own.spec["revision"], own.model_commit) == ("checkpoint", "main", COMMIT)
        assert (runs / "lab--tiny" / "run.json").read_bytes() == drawn

        snakemake(where, hub, board)
        assert read_csv(where / board, LEADERBOARD)["weights"].to_list() == ["synthetic"]
        assert (runs / "lab--tiny" / "run.json").read_bytes() == drawn


def test_the_readmes_model_is_measured_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its block over config.yaml, its command, on this CPU: no dataset is there, and none is asked for."""
    where = tmp_path / "clone"
    copy_project(where)
    readme = (where / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```\n\n```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    given, raw = yaml.safe_load(block[0]), plain(PROJECT / "config.yaml")
    for name in ("hardware", "models", "matrix"):
        raw[name] |= given[name]
    (where / "mine.yaml").write_text(yaml.safe_dump(raw))
    publish(tmp_path / "hub", tmp_path, README_MODEL)
    with serving(tmp_path / "hub", monkeypatch) as hub:
        hub.commits = {"main": COMMIT}
        words = shlex.split(block[1])
        assert words[:3] == ["snakemake", "--cores", "all"]
        snakemake(where, hub, *words[3:], "--config", "publish_flagged=true")
    best = read_csv(where / "results/my-machine/leaderboard.csv", LEADERBOARD)
    assert best.select("model", "weights").rows() == [(README_MODEL, "checkpoint")]
    assert not (where / "data/sharegpt").exists()
    assert "ShareGPT_V3.json" not in hub.fetched
