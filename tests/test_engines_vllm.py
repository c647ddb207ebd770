"""The vLLM engine's own side of the boundary: what it asks of vLLM and what it makes of the answers.

vLLM is not here. A small stand-in serves as its LLMEngine does at the points that are used (as read in 0.25.1);
whether vLLM itself is served well shows on a GPU alone.
"""

import ctypes
import io
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import make_dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from types import SimpleNamespace as Some
from typing import Any

import pytest
from building import asked, tiny_spec
from PIL import Image

from joulebench.config import sweeps
from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine, vllm_start
from joulebench.engines import vllm as ours
from joulebench.engines.base import Times
from joulebench.errors import UserError
from joulebench.measure import process

STATISTICS: dict[str, Any] = {
    "PrefixCacheStats": ("hits",),
    "SchedulerStats": ("num_running_reqs", "num_waiting_reqs", "kv_cache_usage", "prefix_cache_stats"),
    "RequestStateStats": ("num_generation_tokens", "scheduled_ts", "first_token_ts", "last_token_ts"),
    "IterationStats": ("num_generation_tokens", "num_prompt_tokens", "num_preempted_reqs", "time_to_first_tokens_iter"),
}


class IterationStats:  # no dataclass in vLLM either, and one of its numbers is a property
    def __init__(self) -> None:
        self.num_generation_tokens, self.num_preempted_reqs, self._prompts = 0, 0, 0
        self.time_to_first_tokens_iter: list[float] = []

    @property
    def num_prompt_tokens(self) -> int:
        return self._prompts


class Tokenizer:
    """One token a word."""

    chat_template = None
    eos_token_id = 7
    bos_token: str | None = None
    adds_end = False

    def __call__(self, text: str, **how: Any) -> Any:
        ids = [len(word) for word in text.split()]
        return Some(input_ids=ids + [7] * (self.adds_end and how.get("add_special_tokens", True)))

    def apply_chat_template(self, messages: Any, **_: Any) -> str:
        return f"<image> {messages[0]['content'][1]['text']}"


class Core:
    """LLMEngine: admits while it has room, then one token to each; its counts are taken when the ended are gone."""

    def __init__(self, arguments: Any, loggers: Any, kinds: Any) -> None:
        self.arguments, self.kinds, self.clock, self.silent, self.hits, self.ends = arguments, kinds, 0.0, False, 0, 0
        self.states: dict[str, Any] = {}
        self.late: Any = None
        self.waiting, self.running, self.added = list[str](), list[str](), list[Any]()
        self.model_config = Some(
            max_model_len=arguments.max_model_len or 2048,
            hf_config=Some(eos_token_id=None),
            hf_text_config=Some(eos_token_id=[4, 5]),
            try_get_generation_config=lambda: {"eos_token_id": 6},
        )
        self.renderer = Some(render_cmpl=lambda asked: [self.rendered(one) for one in asked])
        self.engine_core = Some(shutdown=lambda: setattr(self, "ends", self.ends + 1))
        prometheus = Some(record=None)  # left in, it would be called
        self.logger_manager = Some(stat_loggers=[*(one(None, 0) for one in loggers), prometheus])
        self.get_tokenizer = Tokenizer
        self.output_processor = self

    @property
    def request_states(self) -> dict[str, Any]:
        """vLLM keys them by names of its own."""
        return {f"{name}-0a1b": Some(external_req_id=name, stats=told) for name, (_, _, told) in self.states.items()}

    def rendered(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "multi_modal_data" not in asked:
            return asked
        pixels = asked["multi_modal_data"]["image"].tobytes()  # vLLM's hash is of these: one for the same image
        return {"prompt_token_ids": asked["prompt_token_ids"], "mm_hashes": {"image": [pixels.hex()]}}

    def add_request(self, name: str, prompt: Any, params: Any) -> None:
        self.added.append((prompt, params))
        self.waiting.append(name)
        self.states[name] = prompt, params, self.kinds.RequestStateStats(0, 0.0, 0.0, 0.0)

    def abort_request(self, names: list[str]) -> None:
        self.aborted = names
        self.late = self.kinds.SchedulerStats(len(self.running), 0, 1.0, self.kinds.PrefixCacheStats(0))
        self.states = {name: state for name, state in self.states.items() if name not in names}  # forgotten at once

    def has_unfinished_requests(self) -> bool:
        return bool(self.states)

    def step(self) -> list[Any]:
        self.clock += 1.0
        if self.late is not None:  # an iteration that was under way at the abort
            self.logger_manager.stat_loggers[0].record(self.late, IterationStats())
            self.late = None
            return []
        if self.silent:  # a part of a prompt: no output, and then nothing is recorded
            return []
        iteration, finished = IterationStats(), []
        while self.waiting and len(self.running) < self.arguments.max_num_seqs:
            self.running.append(self.waiting.pop(0))
        for name in list(self.running):
            if name not in self.states:  # the last output of an aborted one
                self.running.remove(name)
                continue
            prompt, params, told = self.states[name]
            if told.num_generation_tokens == 0:
                told.scheduled_ts, told.first_token_ts = self.clock - 0.75, self.clock
                iteration._prompts += len(prompt["prompt_token_ids"])
                iteration.time_to_first_tokens_iter.append(0.25)
            told.num_generation_tokens += 1
            told.last_token_ts = self.clock
            iteration.num_generation_tokens += 1
            if told.num_generation_tokens == params.max_tokens:
                self.running.remove(name)
                del self.states[name]
                said = [Some(token_ids=[7] * told.num_generation_tokens)]
                finished.append(Some(request_id=name, finished=True, metrics=told, outputs=said))
        hits = self.kinds.PrefixCacheStats(self.hits)
        scheduler = self.kinds.SchedulerStats(len(self.running), len(self.waiting), len(self.running) / 8, hits)
        for logger in self.logger_manager.stat_loggers:
            logger.record(scheduler, iteration, mm_cache_stats=None, engine_idx=0)
        return finished


def opened(
    patch: pytest.MonkeyPatch,
    task: str = "llm-chat",
    environment: Mapping[str, str] = MappingProxyType({}),
    starts: Callable[[], None] = lambda: None,
    **changes: Any,
) -> tuple[ours.Engine, Any]:
    """Our engine on the stand-in, which is in vLLM's place until the test ends, as are its environment variables."""
    for name in (*ours.ENVIRONMENT, vllm_start.METHOD):
        patch.setenv(name, "")
        patch.delenv(name)
    for name, value in environment.items():
        patch.setenv(name, value)
    where = Some(VLLM_CACHE_ROOT=os.environ.get("VLLM_CACHE_ROOT", "nowhere"), VLLM_DISABLE_COMPILE_CACHE=False)
    stats = Some(**{name: make_dataclass(name, read) for name, read in STATISTICS.items()})
    stats.IterationStats = IterationStats

    def from_engine_args(arguments: Any, stat_loggers: Any) -> Core:
        starts()
        return Core(arguments, stat_loggers, stats)

    start = Some(from_engine_args=from_engine_args)
    modules: dict[str, dict[str, Any]] = {
        "vllm": {"__version__": "0.25.1", "EngineArgs": Some, "SamplingParams": Some, "envs": where},
        "vllm.v1.engine.llm_engine": {"LLMEngine": start},
        "vllm.v1.metrics": {"stats": stats},
        "vllm.v1.metrics.stats": vars(stats),
        "vllm.v1.metrics.loggers": {"StatLoggerBase": object},
        "vllm.sampling_params": {"RequestOutputKind": Some(FINAL_ONLY="final only")},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        patch.setitem(sys.modules, name, module)
    spec = tiny_spec(task, **{"engine": "vllm", "engine_settings": {}} | changes)
    engine = ours.Engine(spec, ours.Settings.model_validate(spec.engine_settings), Path("made"))
    return engine, engine._engine


THREE = asked(("a b c", "x y", None), ("a b", "x", None), ("a b c d e", "x y z", None))


def statistics(**changes: Any) -> ModuleType:
    made = ModuleType("stats")
    kept = {name: read for name, read in (STATISTICS | changes).items() if read is not None}
    vars(made).update({name: make_dataclass(name, [*read, "another"]) for name, read in kept.items()})
    return made


def test_statistics_that_lack_something_are_refused_by_name() -> None:
    ours.check_statistics(statistics(), "0.26.0")
    for changes, what in (
        ({"SchedulerStats": ("num_running_reqs", "prefix_cache_stats")}, "no num_waiting_reqs, kv_cache_usage in "),
        ({"RequestStateStats": STATISTICS["RequestStateStats"][:3]}, "no last_token_ts in "),
        ({"IterationStats": None}, "no class "),
    ):
        with pytest.raises(UserError) as refused:
            ours.check_statistics(statistics(**changes), "0.99.3")
        assert f"found vLLM 0.99.3, whose statistics have {what}{next(iter(changes))}; install" in str(refused.value)
        assert "\n" not in str(refused.value)


def test_without_its_package_an_engine_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    for name in ours.ENVIRONMENT:
        monkeypatch.setenv(name, "1")  # the engine sets what is not set
    spec = tiny_spec(engine="vllm", engine_settings={})
    with pytest.raises(UserError, match=f"engine vllm: found no package vllm for {sys.executable}; install it there"):
        open_engine(spec, tmp_path)
    monkeypatch.setattr(ours, "PACKAGES", ())
    with pytest.raises(ModuleNotFoundError):  # of nobody's package: a fault of the project's own
        open_engine(spec, tmp_path)


def test_what_the_engine_is_opened_with(monkeypatch: pytest.MonkeyPatch) -> None:
    _, core = opened(monkeypatch, tensor_parallel=4, quantization="fp8")
    told = core.arguments
    assert (told.model, told.dtype, told.load_format, told.trust_remote_code) == ("made", "float32", "dummy", False)
    assert (told.enable_prefix_caching, told.mm_processor_cache_gb) == (False, 0)
    assert (told.tensor_parallel_size, told.quantization, told.enable_expert_parallel) == (4, "fp8", False)
    _, core = opened(monkeypatch, tensor_parallel=8, expert_parallel=True)
    assert (core.arguments.tensor_parallel_size, core.arguments.enable_expert_parallel) == (8, True)
    assert told.max_num_seqs == 4  # of the tiny config's 1 and 4
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    _, core = opened(monkeypatch, "vlm-chat", weights="checkpoint")
    assert (core.arguments.load_format, core.arguments.limit_mm_per_prompt) == ("safetensors", {"image": 1})


@pytest.mark.parametrize(("kind", "tokens"), [("natural", [9, 9, 9]), ("fixed", [9, 9, 9]), ("reference", [2, 1, 3])])
def test_an_answer_ends_by_itself_only_where_it_may(
    kind: str, tokens: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    length = OutputLength(kind=kind, tokens=9)  # type: ignore[arg-type]
    engine, core = opened(monkeypatch, output_length=length, stop=("\n\n",))
    for number, one in enumerate(engine.prepare(THREE)):
        engine.submit(number, one)
    params = [params for _, params in core.added]
    assert [one.max_tokens for one in params] == tokens
    free = kind == "natural"
    assert [(one.ignore_eos, one.stop) for one in params] == [(not free, ["\n\n"] if free else None)] * 3
    # The tokenizer's, the generation's and the text model's; vLLM stops at them though it ignores the end.
    assert [one.stop_token_ids for one in params] == [[4, 5, 6, 7] if free else None] * 3


def test_an_image_has_another_name_each_time_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (4, 4)).save(file := io.BytesIO(), "PNG")
    engine, core = opened(monkeypatch, "vlm-chat")
    first, second = engine.prepare(asked(("a", None, file.getvalue()), ("b", None, file.getvalue())))
    for number, one in enumerate((first, second, first)):
        engine.submit(number, one)
    assert len({name for prompt, _ in core.added for name in prompt["mm_hashes"]["image"]}) == 3


@pytest.mark.fault("input", "a tokenizer with add_eos_token, on vLLM", "the prompt does not end in end-of-sequence")
def test_a_prompt_does_not_end_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (4, 4)).save(file := io.BytesIO(), "PNG")
    monkeypatch.setattr(Tokenizer, "adds_end", True)
    for task, expected in (("llm-chat", [1, 2]), ("vlm-chat", [7, 1, 2])):  # "<image>" is seven letters
        engine, _ = opened(monkeypatch, task)
        (one,) = engine.prepare(asked(("a bc", "x", file.getvalue() if task == "vlm-chat" else None)))
        assert one.prompt["prompt_token_ids"] == expected  # type: ignore[index]
    monkeypatch.setattr(Tokenizer, "bos_token", "<image>")  # a template that writes the beginning itself
    (one,) = engine.prepare(asked(("a bcdefgh", "x", file.getvalue())))
    assert one.prompt["prompt_token_ids"] == [7, 1, 7]  # type: ignore[index]


def test_a_steps_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = {"batch_sizes": [1, 2], "protocol": {"kind": "fixed", "requests": 24}}
    engine, core = opened(monkeypatch, sweep=sweeps.Sweep.model_validate(sweep))
    for number, one in enumerate(engine.prepare(THREE)):
        engine.submit(10 + number, one)  # prompts of 3, 2 and 5 tokens; answers of 2, 1 and 3; two at a time
    step = engine.step()
    assert (step.running, step.waiting, step.kv_cache_usage) == (2, 1, 1 / 8)  # one of the two has ended
    assert (step.prompt_tokens, step.output_tokens, step.first_tokens) == (5, 2, 2)
    assert (step.finished, step.times) == ({11: 1}, {11: Times(0.25, 1.0, 1.0)})
    core.silent = True
    step = engine.step()
    assert (step.running, step.waiting, step.output_tokens, step.finished) == (1, 1, 0, {})
    core.silent = False
    step = engine.step()
    assert (step.running, step.prompt_tokens, step.output_tokens, step.first_tokens) == (2, 5, 2, 1)
    assert (step.finished, step.times) == ({10: 2}, {10: Times(0.25, 1.0, 3.0)})
    core.hits = 16
    with pytest.raises(RuntimeError, match="prefix cache served tokens"):
        engine.step()


def test_a_request_over_the_models_length_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = opened(monkeypatch, engine_settings={"max_model_len": 8})
    assert len(engine.prepare(THREE)) == 3  # 5 + 3 tokens at most
    engine, _ = opened(monkeypatch, engine_settings={"max_model_len": 7})
    with pytest.raises(UserError, match=r"^engine vllm: a request of 5 \+ 3 tokens is longer .*, 7; [^\n]+$"):
        engine.prepare(THREE)


def test_what_was_aborted_counts_for_nothing_and_closing_twice_is_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, core = opened(monkeypatch)
    one, two, three = engine.prepare(THREE)
    engine.submit(0, one)
    engine.submit(1, three)
    engine.step()
    engine.submit(2, three)
    # The first two got a token at 1 s, the third has not been admitted; none was finished.
    dropped = {0: Times(0.25, 1.0, None), 1: Times(0.25, 1.0, None), 2: Times(None, None, None)}
    assert engine.abort() == dropped
    assert engine.abort() == {}
    assert (core.aborted, core.has_unfinished_requests()) == (["1", "2", "3"], False)
    engine.submit(0, two)  # the same id again
    step = engine.step()
    assert (step.running, step.finished, step.output_tokens, step.prompt_tokens) == (1, {0: 1}, 1, 2)
    assert (step.waiting, step.kv_cache_usage) == (0, 0.0)
    engine.close()
    engine.close()
    assert core.ends == 1


ON_A_GPU: dict[str, Any] = {"device": "cuda"}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The threads of this process, as a measurement has them; whatever runs the tests has its own."""
    running = [Some(name="MainThread"), Some(name=process.WATCHER)]
    monkeypatch.setattr(threading, "enumerate", lambda: running)
    return running


def test_the_core_is_forked_only_where_nothing_stands_against_it(
    alone: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    def started(task: str = "llm-chat", environment: Mapping[str, str] = MappingProxyType({}), **changes: Any) -> Any:
        engine, _ = opened(monkeypatch, task, environment, **ON_A_GPU | changes)
        return engine.start.process

    fork = {vllm_start.METHOD: "fork"}
    assert started() == os.environ[vllm_start.METHOD] == "spawn"
    assert started(environment=fork) == os.environ[vllm_start.METHOD] == "fork"
    assert started(environment=fork, tensor_parallel=2) == os.environ[vllm_start.METHOD] == "spawn"
    assert started(environment=fork, device="cpu") == "spawn"
    assert started("vlm-chat", fork) == "spawn"
    assert started(environment={vllm_start.METHOD: "spawn"}) == "spawn"
    assert started(environment={"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}) is None
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING")
    with monkeypatch.context() as patch, caplog.at_level("INFO"):
        patch.setattr(torch.cuda, "is_initialized", lambda: True)
        assert started(environment=fork) == "spawn"
        assert "spawned, not forked: CUDA is initialised in this process already" in caplog.text
    alone.append(Some(name="a pool"))
    assert started(environment=fork) == "spawn"
    assert caplog.messages[-1].endswith("other threads run in this process (a pool)")


def test_cuda_that_others_than_torch_have_initialised_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for code, used in ((0, True), (3, False)):
        monkeypatch.setattr(ctypes, "CDLL", lambda _, code=code: Some(cuDeviceGetCount=lambda _: code))
        assert vllm_start.uses_cuda() is used

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not vllm_start.uses_cuda()


def test_vllm_that_spawns_after_all_is_recorded_so(alone: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def in_wsl() -> None:
        os.environ[vllm_start.METHOD] = "spawn"

    assert opened(monkeypatch, starts=in_wsl, **ON_A_GPU)[0].start.process == "spawn"


def test_what_the_core_found_in_the_compile_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "torch_compile_cache"

    def kind(starts: Callable[[], None] = lambda: None, **settings: Any) -> str | None:
        engine, _ = opened(
            monkeypatch, "llm-chat", {"VLLM_CACHE_ROOT": str(tmp_path)}, starts, engine_settings=settings
        )
        return engine.start.compile_cache

    def compile_one(path: str) -> None:
        (cache / path).parent.mkdir(parents=True, exist_ok=True)
        (cache / path).write_text("made")

    assert kind() is None  # nothing is compiled
    assert kind(lambda: compile_one("torch_aot_compile/ab12/rank_0_0/model")) == "cold"
    assert kind() == "warm"
    assert (
        kind(lambda: compile_one("torch_aot_compile/ab12/inductor_cache/fx/kernel")) == "warm"
    )  # a kernel tuned later
    assert kind(lambda: compile_one("0f3d/rank_0_0/backbone/vllm_compile_cache.py")) == "cold"
    old = cache / "torch_aot_compile/ab12/rank_0_0/model"
    assert kind(lambda: os.utime(old, ns=(0, 0))) == "cold"  # made again, for other sources
    assert kind(enforce_eager=True) is None
