"""How far apart a server's tokens come: python benchmarks/ticks.py MODEL [IN_FLIGHT] [TOKENS]

`transformers serve` with continuous batching on the CPU, in float32, serves so many requests at once. The engine
`server` takes what comes close together for one iteration (server_ticks). Printed: the gaps between arrivals by
their length, and how many requests got a token in each tick.
"""

import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any


def main(folder: Path, in_flight: int = 8, tokens: int = 48) -> None:
    import polars as pl

    from joulebench.config.spec import RunSpec
    from joulebench.engines import open_engine
    from joulebench.records.schemas import PROMPTS

    words = [str(Path(sys.executable).parent / "transformers"), "serve", "{model}", "--host", "{host}"]
    words += ["--port", "{port}", "--continuous-batching", "--device", "cpu", "--dtype", "{dtype}"]
    nothing = ("reports_as", "variant", "architecture", "weights_seed", "tokenizer", "generation")
    spec: dict[str, Any] = {
        **dict.fromkeys(nothing),
        **{"hardware": "cpu", "device": "cpu", "task": "llm-chat", "model": "a/b", "weights": "checkpoint"},
        **{"revision": "0" * 40, "trust_remote_code": False, "dtype": "float32", "engine": "server"},
        "engine_settings": {"command": words},
        "dataset": {"name": "synthetic", "source": {"kind": "packaged"}},
        "sample": {"requests": in_flight},
        "output_length": {"kind": "natural", "tokens": tokens},
        "sweep": {"batch_sizes": [in_flight], "protocol": {"kind": "fixed", "requests": in_flight}},
    }
    engine: Any = open_engine(RunSpec.model_validate(spec), folder)
    rows = [(one, str(one), f"Tell me a story of {one} dogs.", None, None) for one in range(in_flight)]
    times: list[float] = []
    put = engine._client.arrivals.put
    engine._client.arrivals = Noted(engine._client.arrivals, put, times)
    ticks: Counter[int] = Counter()
    for number, one in enumerate(engine.prepare(pl.DataFrame(rows, schema=PROMPTS, orient="row"))):
        engine.submit(number, one)
    left = in_flight
    while left == in_flight:  # until the first ends
        step = engine.step()
        ticks[step.output_tokens] += 1
        left -= len(step.finished)
    engine.abort()
    engine.close()
    gaps = [1000 * (after - before) for before, after in pairwise(times)]
    for least, most in ((0, 0.5), (0.5, 1), (1, 2), (2, 5), (5, 10), (10, 20), (20, float("inf"))):
        print(f"gaps of {least} to {most} ms: {sum(least <= gap < most for gap in gaps)}")
    print("ticks by their tokens:", dict(sorted(ticks.items())))


class Noted:
    """The queue of arrivals, which notes when each was put in."""

    def __init__(self, queue: Any, put: Any, times: list[float]) -> None:
        self._queue, self._put, self._times = queue, put, times

    def put(self, one: Any) -> None:
        import time

        if one.tokens > 0:
            self._times.append(time.monotonic())
        self._put(one)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
