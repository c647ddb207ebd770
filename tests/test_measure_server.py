"""Whole runs with the engine `server`: from the config to a row of the tables, a small server and a real one."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from building import RESULTS, TEXTS, asked, prepare_tiny, synthetic, tiny_spec
from serving_http import MODEL, command
from test_measure_run import TASK, Bench

from joulebench import models
from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine
from joulebench.engines.base import TextEngine
from joulebench.records.files import read_run

SMOLLM = "HuggingFaceTB--SmolLM2-135M-Instruct"
WEIGHTS = RESULTS / "models" / SMOLLM if (RESULTS / "models" / SMOLLM / "model.safetensors").exists() else None
PROMPTS = (
    "What is the capital of France?",
    "Write a Python function that adds two numbers.",
    "Name the planets of the solar system.",
    "What is 12 times 12?",
    "Who wrote Romeo and Juliet?",
)
FIXED = {"batch_sizes": [1, 3], "protocol": {"kind": "fixed", "requests": 12}}
SERVE = [
    *(str(Path(sys.executable).parent / "transformers"), "serve", "{model}", "--host", "{host}", "--port", "{port}"),
    *("--continuous-batching", "--device", "cpu", "--dtype", "{dtype}", "--attn-implementation", "sdpa"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Requests and model of the tiny config, made once."""
    results = tmp_path_factory.mktemp("prepared")
    prepare_tiny(TASK, results / "prompts" / f"{TASK}.parquet", results / "models" / "joulebench--llama-1m")
    return results


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    left = [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
    assert not psutil.wait_procs(left, 5)[1]


def bench(folder: Path, prepared: Path, words: list[str], sweep: dict[str, Any] = FIXED, **settings: Any) -> Bench:
    own = {"command": words, "model_name": MODEL, "ignore_eos": "vllm", "stall_s": 5.0} | settings
    engine = {"kind": "server", "settings": own}
    return Bench(folder, prepared, engines__transformers=engine, tasks__llm_chat__sweep=sweep)


@pytest.mark.slow
def test_a_run_of_a_server_that_it_starts(tmp_path: Path, prepared: Path) -> None:
    one = bench(tmp_path, prepared, command(delay_s=0.01))
    code, said = one.finish()
    assert code == 0, said
    told = read_run(one.run).engine_start
    assert told is not None
    assert told.server is not None
    assert told.server.model_dump() == {
        "reached": "command",
        "command": command(delay_s=0.01),
        "name": told.server.name,
        "version": "9.8.7",
        "model": MODEL,
        "metrics": None,
        "prefix_cache": None,
        "prompts": "token ids",
        "counted": "token ids",
    }
    rows = one.table()
    assert rows.select("engine", "max_batch_size", "status", "answers").rows() == [
        ("server", 1, "measured", "reference"),
        ("server", 3, "measured", "reference"),
    ]
    assert (rows["ttft_p50_s"] >= 0.01).all()  # the server waits so long for each token
    assert rows["itl_p50_s"].is_between(0.01, 0.03).all()
    assert (tmp_path / "run.server.log").read_text().startswith("child ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "sweep",
    [
        {"batch_sizes": [4], "protocol": {"kind": "timed", "seconds": 1.0}, "start": "equilibrium"},
        {"batch_sizes": [4], "protocol": {"kind": "timed", "seconds": 1.0}},
        {"load": "poisson", "requests": 20, "rate_per_s": [20.0], "max_batch_size": 4},
    ],
)
@pytest.mark.parametrize("how", [{}, {"token_ids": False, "continuous": False, "per_chunk": 3}])
def test_the_tables_of_every_load_agree(
    tmp_path: Path, prepared: Path, sweep: dict[str, Any], how: dict[str, Any]
) -> None:
    one = bench(tmp_path, prepared, command(delay_s=0.005, **how), sweep)
    code, said = one.finish()
    assert code == 0, said
    rows = one.table()  # which refuses records that do not agree with each other
    assert rows["status"].to_list() == ["measured"]
    assert (rows["output_tokens"] > 0).all()


@pytest.mark.slow
def test_a_run_whose_server_dies_fails_in_one_line(tmp_path: Path, prepared: Path) -> None:
    one = bench(tmp_path, prepared, command("cuts"))
    code, said = one.finish()
    assert code == 1
    assert "the server cut its stream after 2 of " in said
    assert "Traceback" not in said
    assert json.loads((one.run / "run.json").read_text())["points"][-1]["status"] == "failed"


def answers(engine: TextEngine, prompts: tuple[str, ...]) -> tuple[list[str], list[int], int]:
    """The texts, how many tokens each has, and the tokens of all iterations."""
    for number, one in enumerate(engine.prepare(asked(*((prompt, None, None) for prompt in prompts)))):
        engine.submit(number, one)
    texts: dict[int, str] = {}
    lengths: dict[int, int] = {}
    tokens = 0
    while len(texts) < len(prompts):
        step = engine.step()
        assert not step.failed
        tokens += step.output_tokens
        lengths |= step.finished
        texts |= {number: engine.text(ids) for number, ids in step.answers.items()}
    order = range(len(prompts))
    return [texts[number] for number in order], [lengths[number] for number in order], tokens


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_transformers_serve_answers_as_transformers_in_the_process(endpoint: str, tmp_path: Path) -> None:
    """With SmolLM2's weights where they are; of drawn ones, whose answers are no text, the lengths alone."""
    folder = WEIGHTS or drawn(tmp_path / "model")
    spec = tiny_spec(weights="checkpoint", output_length=OutputLength(kind="natural", tokens=12))
    own = {"command": SERVE, "endpoint": endpoint, "start_s": 120.0}
    found = []
    for one in (spec, spec.model_copy(update={"engine": "server", "engine_settings": own})):
        engine = open_engine(one, folder)
        found.append(answers(engine, PROMPTS))  # type: ignore[arg-type]
        engine.close()
    assert found[0][1:] == found[1][1:]
    assert found[0][0] == found[1][0] or WEIGHTS is None


def drawn(folder: Path) -> Path:
    """A tiny Llama with weights on the disk."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    models.prepare("a/b", synthetic("llama-1m"), TEXTS, folder)
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32).save_pretrained(folder)
    return folder
