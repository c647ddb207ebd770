"""The engine `server`, against a small real server that does as vLLM does, or less, or misbehaves."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import polars as pl
import psutil
import pytest
from building import TEXTS, asked, painted, synthetic, tiny_spec
from serving_http import MODEL, Behaviour, command, served

from joulebench import models
from joulebench.checkpoints.chat import load_tokenizer
from joulebench.config.spec import RunSpec
from joulebench.config.sweeps import Fixed, Sweep
from joulebench.config.tasks import OutputLength
from joulebench.engines import check, open_engine, server, server_told
from joulebench.engines.base import TextEngine, Times
from joulebench.engines.server_client import Arrival
from joulebench.engines.server_start import Process
from joulebench.engines.server_stream import Ask, Growing
from joulebench.engines.server_ticks import Ticks
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError
from joulebench.loads.setting import Setting
from joulebench.measure.serving import Load, Serving
from joulebench.measure.text import of_setting, serve, warm_up
from joulebench.records.schemas import ITERATIONS

NATURAL, SIX = OutputLength(kind="natural", tokens=9), OutputLength(kind="fixed", tokens=6)
VLLM = """
# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{{engine="0",model_name="a b"}} 1.0
vllm:num_requests_waiting{{engine="0",model_name="a b"}} 0.0
vllm:prefix_cache_hits_total{{engine="0",model_name="a b"}} {hits}.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    models.prepare("a/b", synthetic("llama-1m"), TEXTS, made)
    return made


@pytest.fixture(scope="module")
def count(folder: Path) -> Callable[[dict[str, Any]], int]:
    """Prompt tokens, as the checkpoint's tokenizer has them; 50 where an image is among them."""
    tokenizer = load_tokenizer(folder, False)

    def of(body: dict[str, Any]) -> int:
        if "messages" not in body:
            prompt = body["prompt"]
            return len(prompt) if isinstance(prompt, list) else len(tokenizer(prompt).input_ids)
        if isinstance(body["messages"][0]["content"], list):
            return 50
        told = tokenizer.apply_chat_template(body["messages"], add_generation_prompt=True, return_dict=True)
        return len(told["input_ids"])

    return of


Opens = Callable[..., TextEngine]


@pytest.fixture
def opens(folder: Path, count: Callable[[dict[str, Any]], int]) -> Iterator[Opens]:
    with ExitStack() as stack:

        def made(does: Behaviour, *, length: OutputLength = SIX, **settings: Any) -> TextEngine:
            changes = {name: settings.pop(name) for name in ("stop", "sweep", "task") if name in settings}
            address = stack.enter_context(served(does, count))
            own = {"url": address, "ignore_eos": "vllm", "stall_s": 1.0} | settings
            spec = of_server(own, output_length=length, **changes)
            check(spec)
            engine = open_engine(spec, folder)
            stack.callback(engine.close)
            return engine  # type: ignore[return-value]

        yield made


def of_server(settings: dict[str, Any], task: str = "llm-chat", **changes: Any) -> RunSpec:
    return tiny_spec(task, engine="server", engine_settings=settings, **changes)


def table(*texts: str) -> Any:
    return asked(*((text, "one two three", None) for text in texts))


def run(engine: TextEngine, requests: int = 6, batch: int = 3) -> Load:
    """A closed loop over two prompts, through the one serving loop."""
    prepared = engine.prepare(table("one", "two and more words"))
    load = Load(0, ITERATIONS)
    what = Serving(prepared, Setting(max_batch_size=batch), Fixed(kind="fixed", requests=requests))
    serve(engine, what, load, lambda progress: None)
    return load


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({}, ("token ids", "token ids")),
        ({"token_ids": False}, ("token ids", "usage")),
        ({"token_ids": False, "per_chunk": 3}, ("token ids", "usage")),
        ({"token_ids": False, "continuous": False}, ("token ids", "chunks")),
        ({"token_ids": False, "continuous": False, "per_chunk": 3}, ("token ids", "text")),
        ({"token_ids": False, "continuous": False, "takes_ids": False}, ("text", "chunks")),
    ],
)
def test_tokens_are_counted_by_what_the_server_tells(opens: Opens, how: dict[str, Any], told: tuple[str, str]) -> None:
    engine = opens(Behaviour(**how))
    load = run(engine)
    assert load.failure is None
    assert (engine.start.server.prompts, engine.start.server.counted) == told  # type: ignore[attr-defined]
    requests, iterations = load.tables()
    assert requests["output_tokens"].to_list() == [6] * 6
    assert iterations["output_tokens"].sum() == 36
    assert iterations["first_tokens"].sum() == iterations["finished"].sum() == 6
    assert iterations["prompt_tokens"].sum() == requests["prompt_tokens"].sum()
    assert iterations["running"].max() == 3
    stages = [requests[name] for name in ("submitted_s", "admitted_s", "first_output_s", "finished_s")]
    assert all((before <= after).all() for before, after in pairwise(stages))
    assert requests["finished_s"].max() <= iterations["end_s"].max()  # type: ignore[operator]


def test_what_a_server_is_asked(opens: Opens) -> None:
    does = Behaviour()
    engine = opens(does, parameters={"repetition_penalty": 1.0}, stop=("\n\n",))
    one = engine.prepare(table("one"))[0]
    run(engine, requests=1, batch=1)
    assert does.asked[-1] == {
        "model": MODEL,
        "prompt": list(one.ids),
        "max_tokens": 6,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "return_token_ids": True,
        "ignore_eos": True,
        "repetition_penalty": 1.0,
    }
    natural = opens(does, length=NATURAL, ignore_eos="none", stop=("\n\n",), endpoint="chat")
    load = run(natural, requests=1, batch=1)
    assert does.asked[-1]["messages"] == [{"role": "user", "content": "one"}]
    assert does.asked[-1]["stop"] == ["\n\n"]
    assert "ignore_eos" not in does.asked[-1]
    assert load.requests[0].output_tokens == 4  # as the server ends it
    assert opens(Behaviour(), ignore_eos="min_tokens").start.server.version == "9.8.7"  # type: ignore[attr-defined]


def test_an_image_is_a_data_url_and_its_tokens_are_the_servers(
    opens: Opens, tmp_path: Path, count: Callable[[dict[str, Any]], int]
) -> None:
    models.prepare("a/b", synthetic("llava-5m"), TEXTS, tmp_path)
    does = Behaviour(metrics=VLLM)
    with served(does, count) as address:
        spec = of_server({"url": address, "ignore_eos": "vllm", "endpoint": "chat"}, "vlm-chat", output_length=SIX)
        engine = open_engine(spec, tmp_path)
        prepared = engine.prepare(asked(("what is it?", "a cat", painted("red"))))
        assert prepared[0].prompt_tokens == 50
        engine.submit(0, prepared[0])  # type: ignore[union-attr]
        while not engine.step().finished:  # type: ignore[union-attr]
            pass
        engine.close()
    image, text = does.asked[-1]["messages"][0]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert text == {"type": "text", "text": "what is it?"}
    names = [
        one["messages"][0]["content"][0]["uuid"]
        for one in does.asked
        if isinstance(one["messages"][0]["content"], list)
    ]
    assert len(set(names)) == len(names) == 2  # no image is known from before


@pytest.mark.slow
def test_a_server_that_goes_on_behind_its_end_is_let_go(opens: Opens) -> None:
    engine = opens(Behaviour("goes on", healthy=1))
    begun = time.monotonic()
    load = run(engine, requests=1, batch=1)
    assert load.failure is None
    assert time.monotonic() - begun < 2


def test_a_server_that_leaves_right_behind_its_end_has_answered(opens: Opens) -> None:
    assert run(opens(Behaviour("leaves", healthy=1)), requests=3, batch=1).failure is None


@pytest.mark.slow
def test_tokens_that_come_within_the_time_for_one_do_not_stall(opens: Opens) -> None:
    """Each 0.6 of it after the one before, wherever the deadline was put off last."""
    engine = opens(Behaviour(delay_s=0.18), stall_s=0.3)
    assert run(engine, requests=1, batch=1).failure is None


def test_what_a_server_repeats_of_name_and_password_is_not_told(
    folder: Path, count: Callable[[dict[str, Any]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = of_server({"url": "$OUR_SERVER", "ignore_eos": "vllm"}, output_length=SIX)
    with served(Behaviour(key="another"), count) as address:
        monkeypatch.setenv("OUR_SERVER", address.replace("//", "//me:hunter2@"))
        with pytest.raises(UserError, match=r"not the key: Basic \*\*\*"):
            open_engine(spec, folder)


@pytest.mark.parametrize(
    "address", ["http://[::1:80", "http://127.0.0.1:99999", "http://127.0.0.1:80?x=1", "http://me%3Ayou:p@127.0.0.1:80"]
)
def test_an_address_of_the_environment_that_is_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("OUR_SERVER", address)
    spec = of_server({"url": "$OUR_SERVER", "ignore_eos": "vllm"}, output_length=SIX)
    with pytest.raises(UserError, match=r"url: \$OUR_SERVER is no address; expected http://HOST:PORT"):
        open_engine(spec, folder)


def test_a_parameter_that_the_server_does_not_know(opens: Opens) -> None:
    with pytest.raises(UserError, match=r"does not know ignore_eos \(settings\.ignore_eos\)"):
        opens(Behaviour(strict=True))
    engine = opens(Behaviour(strict=True), length=NATURAL, ignore_eos="none")
    assert engine.start.server.counted == "usage"  # type: ignore[attr-defined] # of return_token_ids alone it went without
    assert run(engine).failure is None


def test_a_server_that_is_not_there(folder: Path) -> None:
    spec = of_server({"url": "http://127.0.0.1:9", "ignore_eos": "vllm"}, output_length=SIX)
    with pytest.raises(UserError, match=r"url: nobody answered in 2 s at http://127\.0\.0\.1:9; start the server"):
        open_engine(spec, folder)


def test_a_password_in_the_address_is_not_repeated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_SERVER", "http://us:s3cret@127.0.0.1:9/v1/")
    with pytest.raises(UserError, match=r" at http://127\.0\.0\.1:9; start"):
        open_engine(of_server({"url": "$OUR_SERVER", "ignore_eos": "vllm"}, output_length=SIX), folder)


def test_a_server_that_is_not_well_says_with_what_it_answered(opens: Opens) -> None:
    with pytest.raises(UserError, match=r"/health answered 503, expected 200, at http://127\.0\.0\.1:"):
        opens(Behaviour("never healthy"))


def test_a_server_that_does_not_list_its_models_is_told_the_name(opens: Opens) -> None:
    with pytest.raises(UserError, match=r"/v1/models answered 500, .*; say it in engines\.\*\.settings\.model_name"):
        opens(Behaviour("lists no models"))
    engine = opens(Behaviour("lists no models"), model_name=MODEL)
    assert run(engine).failure is None


def test_an_address_may_have_the_path_that_clients_are_given(folder: Path, count: Callable[[Any], int]) -> None:
    with served(Behaviour(), count) as address:
        engine = open_engine(of_server({"url": f"{address}/v1", "ignore_eos": "vllm"}, output_length=SIX), folder)
        try:
            assert run(engine).failure is None  # type: ignore[arg-type]
        finally:
            engine.close()


def test_a_cache_of_prefixes_is_refused(opens: Opens) -> None:
    clean = opens(Behaviour(metrics=VLLM))
    assert run(clean).failure is None
    assert clean.start.server.prefix_cache == "metrics"  # type: ignore[attr-defined]
    engine = opens(Behaviour(metrics=VLLM, cached=16))
    with pytest.raises(UserError, match=r"the server's cache of prefixes served tokens .*--no-enable-prefix-caching"):
        run(engine)


def test_metrics_are_told_apart() -> None:
    assert server_told.metrics(VLLM.format(hits=3).encode()) == server_told.Metrics("vllm", 1, 0, 3.0)
    more = b"vllm:num_requests_running 1\nvllm:num_preemptions_total 4.0\nvllm:kv_cache_usage_perc 0.25\n"
    assert server_told.metrics(more) == server_told.Metrics("vllm", 1, None, None, 4, 0.25)
    sglang = (
        b'sglang:num_running_reqs{model_name="m"} 5.0\nsglang:num_queue_reqs{model_name="m"} 2.0\n'
        b'sglang:cached_tokens_total{cache_source="device"} 4.0\nsglang:cached_tokens_total{cache_source="host"} 1.0\n'
    )
    assert server_told.metrics(sglang) == server_told.Metrics("sglang", 5, 2, 5.0)
    llama = b"llamacpp:requests_processing 1\nllamacpp:requests_deferred 7\nllamacpp:predicted_tokens_seconds nan\n"
    assert server_told.metrics(llama) == server_told.Metrics("llama.cpp", 1, 7, None)
    assert server_told.metrics(b"process_cpu_seconds_total 3\n") is None


def test_requests_that_wait_in_the_server_do_not_run(opens: Opens) -> None:
    waits = VLLM.replace('waiting{{engine="0",model_name="a b"}} 0', "waiting{{}} 2")
    iterations = run(opens(Behaviour(metrics=waits, delay_s=0.02))).tables()[1]
    assert iterations.select("running", "waiting").row(0) == (1, 2 + 3)  # two in the server, three not sent


def test_requests_that_the_server_has_done_with_are_seen(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "METRICS_EVERY_S", 0.02)
    engine = opens(Behaviour(metrics=VLLM, delay_s=0.05), length=OutputLength(kind="fixed", tokens=200), stall_s=5.0)
    assert isinstance(engine, server.Engine)
    assert (engine.watched().in_flight, engine.watched().in_engine) == (0, 0)
    for number, one in enumerate(engine.prepare(table("one", "two", "three", "four"))):
        engine.submit(number, one)
    deadline = time.monotonic() + 4
    while engine.watched().in_flight < 4 * 3:
        assert time.monotonic() < deadline
        engine.step()
    found = engine.watched()
    assert (found.in_flight % 4, found.in_engine) == (0, found.in_flight // 4)  # one runs, by the metrics


def test_preemptions_and_the_kv_cache_are_the_metrics(opens: Opens) -> None:
    engine = opens(Behaviour(metrics=VLLM + "vllm:num_preemptions_total {answers}\nvllm:kv_cache_usage_perc 0.25\n"))
    run(engine, requests=2, batch=1)
    engine.submit(0, engine.prepare(table("one"))[0])
    step = engine.step()
    assert step.preempted == 2  # since the start, as told at the end of the load before
    assert step.kv_cache_usage == 0.25


def test_aborted_requests_are_told_of_and_their_connections_closed(opens: Opens) -> None:
    does = Behaviour(delay_s=0.02)
    engine = opens(does, length=OutputLength(kind="fixed", tokens=200), stall_s=5.0)
    first, second = engine.prepare(table("one", "two"))
    engine.submit(0, first)
    engine.submit(1, second)
    tokens = 0
    while tokens < 6:
        tokens += engine.step().output_tokens
    told = engine.abort()
    assert set(told) == {0, 1}
    assert all(one.first_output is not None and one.finished is None for one in told.values())
    deadline = time.monotonic() + 2
    while does.broken_off < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    engine.submit(0, first)
    assert engine.step().running == 1


def test_a_start_in_equilibrium_and_other_prompts_are_token_ids(opens: Opens) -> None:
    does = Behaviour()
    engine = opens(does)
    prepared = engine.prepare(table("one", "two and more words"))
    load = Load(0, ITERATIONS)
    what = Serving(prepared, Setting(max_batch_size=3), Fixed(kind="fixed", requests=9), start="equilibrium")
    serve(engine, what, load, lambda progress: None)
    assert load.failure is None
    begun = [one for one in load.requests if one.begun_output_tokens is not None]
    assert len(begun) == 3
    assert all(one.asked_output_tokens + one.begun_output_tokens == 6 for one in begun)  # type: ignore[operator]
    assert [one.output_tokens for one in begun] == [one.asked_output_tokens for one in begun]
    (cut, _) = of_setting(engine, prepared, Setting(max_batch_size=1, input_tokens=3))
    assert cut.prompt == {"prompt": list(prepared[0].ids[:3])}
    text = opens(Behaviour(takes_ids=False))
    with pytest.raises(UserError, match="takes no token ids"):
        text.with_prompt(prepared[0], [1, 2])


def test_what_does_not_fit_is_refused_when_planning() -> None:
    url = "http://127.0.0.1:8000"
    with pytest.raises(ConfigError, match=r"need settings\.ignore_eos: vllm or min_tokens"):
        check(of_server({"url": url}, output_length=SIX))
    found = Sweep.model_validate(
        {"batch_sizes": [2], "protocol": {"kind": "timed", "seconds": 5}, "start": "equilibrium"}
    )
    with pytest.raises(ConfigError, match=r"start in equilibrium .* endpoint: chat"):
        check(of_server({"url": url, "endpoint": "chat", "ignore_eos": "vllm"}, output_length=SIX, sweep=found))
    with pytest.raises(ConfigError, match="set endpoint: chat"):
        check(of_server({"url": url}, "vlm-chat", output_length=NATURAL))
    with pytest.raises(ConfigError, match="prompt_form: completion"):
        check(of_server({"url": url, "endpoint": "chat"}, output_length=NATURAL, prompt_form="completion"))
    with pytest.raises(ConfigError, match="wants tensor_parallel"):
        check(of_server({"command": ["serve", "--port", "{port}"]}, output_length=NATURAL, tensor_parallel=2))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "found neither of url and command"),
        ({"url": "http://127.0.0.1:1", "command": ["a", "{port}"]}, "found both of url and command"),
        (
            {"url": "http://gpu-7.example.org:8000"},
            "url: found 'http://gpu-7.example.org:8000'; expected http://127.0.0.1:",
        ),
        ({"url": "http://127.0.0.1:8000/v2"}, "expected http://127.0.0.1:PORT (or localhost, or [::1]) without a path"),
        ({"url": "http://127.0.0.1:99999"}, "url: found 'http://127.0.0.1:99999'; expected http://127.0.0.1:PORT"),
        ({"command": ["vllm", "serve"]}, "command has no {port}"),
        (
            {"command": ["x", "{modelname}", "{port}"]},
            "command has {modelname}; what is filled in is {batch}, {dtype}, {host}",
        ),
        ({"command": ["vllm", "--port={port}", "--api-key", "abc"]}, "command has --api-key, and is published"),
        ({"command": ["vllm", "--port={port}", "--api-key=abc"]}, "command has --api-key, and is published"),
        ({"command": ["env", "HF_TOKEN=abc", "vllm", "{port}"]}, "command has HF_TOKEN, and is published"),
        ({"url": "$SERVER", "parameters": {"stream": False}}, "parameters has stream"),
    ],
)
def test_settings_that_make_no_sense_or_would_publish_a_secret(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(of_server(settings, output_length=NATURAL))
    assert said in str(caught.value)
    assert "abc" not in str(caught.value)


def test_words_about_tokens_are_no_secret() -> None:
    words = ["vllm", "serve", "{model}", "--port={port}", "--max-num-batched-tokens", "8192", "--tokenizer", "{model}"]
    check(of_server({"command": words}, output_length=NATURAL))


def test_a_key_is_sent_and_never_told(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UserError, match="api_key_env: OUR_KEY is not set"):
        opens(Behaviour(), api_key_env="OUR_KEY")
    monkeypatch.setenv("OUR_KEY", "s3cret-of-ours")
    engine = opens(Behaviour(key="s3cret-of-ours"), api_key_env="OUR_KEY")
    assert run(engine).failure is None
    assert "s3cret" not in engine.start.model_dump_json()  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"answered 401 .*not the key: Bearer \*\*\*"):
        opens(Behaviour(key="another"), api_key_env="OUR_KEY")
    assert "s3cret" not in caplog.text


def test_the_address_may_be_in_the_environment(
    folder: Path, count: Callable[[dict[str, Any]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = of_server({"url": "$OUR_SERVER", "ignore_eos": "vllm"}, output_length=SIX)
    with pytest.raises(UserError, match=r"url: \$OUR_SERVER is not set; expected http://HOST:PORT"):
        open_engine(spec, folder)
    with served(Behaviour(), count) as address:
        monkeypatch.setenv("OUR_SERVER", address)
        engine = open_engine(spec, folder)
        assert engine.start.server.reached == "url"  # type: ignore[union-attr]
        assert "127.0.0.1" not in engine.start.model_dump_json() + spec.model_dump_json()  # type: ignore[union-attr]
        engine.close()
        engine.close()


def started(fault: str = "", apart: bool = False, **settings: Any) -> RunSpec:
    own = {"command": command(fault, apart), "model_name": MODEL, "ignore_eos": "vllm", "stall_s": 1.0} | settings
    return of_server(own, output_length=SIX)


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True])
def test_a_server_that_the_run_starts_ends_with_its_children(folder: Path, apart: bool) -> None:
    engine = open_engine(started(apart=apart), folder)
    child = psutil.Process(int(engine._process.log.read_text().split()[1]))  # type: ignore[union-attr]
    parent = child.parent()
    assert engine.start.server.reached == "command"  # type: ignore[union-attr]
    assert run(engine).failure is None  # type: ignore[arg-type]
    engine.close()
    assert not child.is_running()
    assert parent is not None
    assert not parent.is_running()


@pytest.mark.slow
def test_a_server_that_is_never_there(folder: Path) -> None:
    words = [sys.executable, "-c", "import sys; print('no such model'); sys.exit(3)", "{port}"]
    with pytest.raises(UserError, match=r"the server ended with code 3 \(no such model\), before it was there; see "):
        open_engine(started(command=words), folder)
    with pytest.raises(UserError, match=r"the server was not there in 0\.7 s"):
        open_engine(started("never healthy", start_s=0.7), folder)
    with pytest.raises(UserError, match=r"cannot be started .* give the path of a program that is there"):
        open_engine(started(command=["/no/such/program", "{port}"]), folder)


def test_a_server_that_dies_while_it_serves(folder: Path) -> None:
    engine = open_engine(started(), folder)
    one = engine.prepare(table("one"))[0]
    os.kill(engine._process._process.pid, 9)  # type: ignore[union-attr]
    engine.submit(0, one)  # type: ignore[union-attr]
    failed = engine.step().failed[0]  # type: ignore[union-attr]
    engine.close()
    assert failed.startswith("the server ")
    assert "ended with code -9" in failed


@pytest.mark.slow
def test_the_servers_log_lies_beside_the_runs(folder: Path, tmp_path: Path) -> None:
    from joulebench.logs import journal

    with journal(tmp_path / "a-1.5b.log", "measuring"):
        engine = open_engine(started(), folder)
        engine.close()
    assert "child" in (tmp_path / "a-1.5b.server.log").read_text()


def test_a_text_that_grows_is_counted_as_a_whole(folder: Path) -> None:
    tokenizer = load_tokenizer(folder, False)
    text = "def volume(side, height): print('three') x = [1, 2, 3] def area(side): " * 3
    growing, seen = Growing(tokenizer), []
    for place in range(0, len(text), 5):
        seen.append(growing.add(text[place : place + 5]))
    assert seen == sorted(seen)
    assert abs(seen[-1] - len(tokenizer(text, add_special_tokens=False).input_ids)) <= 4


def test_warm_up_asks_for_a_short_answer_of_any_server(opens: Opens) -> None:
    engine = opens(Behaviour(strict=True), length=NATURAL, ignore_eos="none")
    warm_up(engine, engine.prepare(table("one")))


def test_ticks_follow_the_servers_pace() -> None:
    arrivals: SimpleQueue[int] = SimpleQueue()
    ticks = Ticks()

    def send() -> None:
        for iteration in range(6):
            for token in range(4):
                arrivals.put(4 * iteration + token)
            time.sleep(0.03)

    sender = threading.Thread(target=send)
    sender.start()
    found = [ticks.next(arrivals, 1.0) for _ in range(6)]
    sender.join()
    assert found == [list(range(first, first + 4)) for first in range(0, 24, 4)]
    with pytest.raises(UserError, match=r"nothing came from the server in 0\.05 s"):
        ticks.next(arrivals, 0.05)
    for one in range(3):
        arrivals.put(one)
    assert ticks.next(arrivals, 1.0) == [0, 1, 2]


@pytest.mark.slow
def test_answers_out_of_step_are_told_by_their_own_arrivals(opens: Opens) -> None:
    """Three answers of a server that waits 50 ms for each token, begun 17 ms apart."""
    does = Behaviour(delay_s=0.05)
    engine = opens(does, stall_s=5.0)
    one = engine.prepare(table("one"))[0]
    for request in range(3):
        engine.submit(request, one)
        time.sleep(0.017)
    gaps: list[float] = []
    times: list[Times] = []
    while len(times) < 3:
        step = engine.step()
        gaps += step.token_gaps_s or []
        times += step.times.values()
    assert len(gaps) == 3 * 5  # six tokens an answer
    took_s = sum(one.finished - one.first_output for one in times)  # type: ignore[operator]
    assert sum(gaps) == pytest.approx(took_s, rel=0.012)
    assert took_s == pytest.approx(sum(sent[-1] - sent[0] for sent in does.sent[-3:]), rel=0.25)


def test_tokens_of_one_chunk_share_the_time_since_the_one_before(opens: Opens) -> None:
    engine = opens(Behaviour(token_ids=False, per_chunk=3, delay_s=0.02))
    requests, iterations = run(engine, requests=2, batch=1).tables()
    took_s = requests["finished_s"] - requests["first_output_s"]
    gaps = iterations.filter(pl.col("token_gaps_s").list.len() > 0)["token_gaps_s"].to_list()
    # Of six tokens the first three open an answer.
    assert gaps == [pytest.approx([each_s / 3] * 3, rel=0.012) for each_s in took_s]


def test_tokens_that_were_counted_too_much_are_taken_off_and_their_gaps_stay(opens: Opens) -> None:
    engine = opens(Behaviour())
    long, short = (Ask(request, b"", MODEL, 9) for request in range(2))
    engine._open = {0: long, 1: short}  # type: ignore[attr-defined]
    for arrival in (Arrival(long, 4, True, False), Arrival(short, 1, True, False)):
        engine._client.arrivals.put(arrival)  # type: ignore[attr-defined]
    first = engine.step()
    assert (first.output_tokens, first.first_tokens, first.token_gaps_s) == (5, 2, [])
    for arrival in (Arrival(short, 3, False, False, 0.3), Arrival(long, -2, False, False)):
        engine._client.arrivals.put(arrival)  # type: ignore[attr-defined]
    then = engine.step()
    assert then.output_tokens == 1
    assert then.token_gaps_s == pytest.approx([0.1, 0.1, 0.1], rel=0.012)
    engine._open.clear()  # type: ignore[attr-defined]


def test_a_key_that_the_server_prints_is_not_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SERVERS_KEY", "sk-never-told")
    words = ["sh", "-c", "echo refused $SERVERS_KEY at {port}; exit 3"]
    process = Process(words, {}, key="sk-never-told")
    with pytest.raises(UserError, match=r"ended with code 3 \(refused \*\*\* at \d+\)"):
        process.wait(lambda: False, 10.0)
    process.close()
