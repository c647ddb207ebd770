"""Serving drawn weights against trained ones: python benchmarks/trained_weights.py OUT TRAINED GROUP RUN [NUMBERS]

One vLLM engine of a run of config.yaml's h100 (GROUP: a task or a study) serves the same requests with weights that
are: dummy (uniform within 0.001, as vLLM draws them and as every published run has them), trained (those of the folder
TRAINED, a model in safetensors: its own where it is of the engine's shape, else blocks of its matrices laid side by
side until the engine's are full), and zero. They are laid into the engine that runs, so that nothing else differs:
neither card, nor compiled code, nor requests. NUMBERS are SECONDS REPEATS B ...: each kind and batch size runs REPEATS
times for SECONDS after a start in equilibrium, in random order. Prints, with 95 % intervals over the repeats: mJ per
output token, W, tokens/s.
"""

import functools
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import torch
from drawn_weights import BLOCK, mean

from joulebench import config, meters
from joulebench.analysis.energy import Drawn, headline
from joulebench.analysis.keyed import read_energy
from joulebench.analysis.windows import one_size, text_windows
from joulebench.config.sweeps import Sweep, Timed
from joulebench.engines import open_engine
from joulebench.loads.setting import Setting
from joulebench.measure.serving import Load, Serving
from joulebench.measure.text import serve, warm_up
from joulebench.meters.sampling import Sampling
from joulebench.plan import Plan
from joulebench.records.files import read_parquet, write_parquet
from joulebench.records.schemas import ITERATIONS, PROMPTS

KINDS = ("dummy", "trained", "zero")


class Weights:
    """Gives vLLM's worker a call that lays weights of one kind into its model."""

    def lay(self, kind: str, folder: str) -> None:
        model = self.model_runner.get_model()  # type: ignore[attr-defined]
        state = [one for one in model.state_dict().values() if torch.is_floating_point(one) and one.ndim]
        if kind == "trained":
            lay_trained(model, state, Path(folder))
            return
        generator = torch.Generator(state[0].device).manual_seed(0)
        for one in state:
            one.zero_() if kind == "zero" else one.uniform_(-1e-3, 1e-3, generator=generator)


@torch.no_grad()
def lay_trained(model: Any, state: list[torch.Tensor], folder: Path) -> None:
    """The model's own weights where the folder is of its shape, else blocks of the folder's side by side."""
    from safetensors.torch import load_file

    files = [load_file(path) for path in sorted(folder.glob("*.safetensors"))]
    given = {name: one for file in files for name, one in file.items()}
    if sum(one.numel() for one in given.values()) == sum(one.numel() for one in model.parameters()):
        model.load_weights(iter(given.items()))
        return
    inner = [one for name, one in sorted(given.items()) if "layers" in name]
    like = state[0]
    norms = torch.cat([one for one in inner if one.ndim == 1]).to(like.device, like.dtype)
    cut = [block for one in inner if one.ndim == 2 for row in one.split(BLOCK) for block in row.split(BLOCK, dim=1)]
    whole = [block.to(like.device, like.dtype) for block in cut if block.shape == (BLOCK, BLOCK)]
    place = 0
    for one in state:
        if one.ndim == 1:
            one.copy_(norms.repeat(-(-one.numel() // norms.numel()))[: one.numel()])
            continue
        for rows in one.split(BLOCK):
            for part in rows.split(BLOCK, dim=1):
                part.copy_(whole[place % len(whole)][: part.shape[0], : part.shape[1]])
                place += 1


def main(out: Path, folder: Path, group: str, run: str, seconds: int = 12, repeats: int = 3, *batches: int) -> None:
    import vllm

    batches = batches or (64, 256)
    plan = Plan(config.load("config.yaml"))
    cell = plan.cell("h100", group, run)
    protocol = Timed(kind="timed", seconds=seconds)
    sweep = Sweep(batch_sizes=batches, protocol=protocol, start="equilibrium")
    spec = plan.spec(cell).model_copy(update={"sweep": sweep})
    vllm.EngineArgs = functools.partial(vllm.EngineArgs, worker_extension_cls=f"{Path(__file__).stem}.Weights")
    engine: Any = open_engine(spec, cell.model_folder)
    prepared = engine.prepare(read_parquet(plan.prompts(cell), PROMPTS))
    warm_up(engine, prepared)
    tries = [(kind, batch) for kind in KINDS for batch in batches] * repeats
    random.Random(0).shuffle(tries)
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for kind, batch in tries:
        engine._engine.collective_rpc("lay", args=(kind, str(folder.absolute())))
        found.setdefault((kind, batch), []).append(point(engine, prepared, batch, protocol))
        said = [{"kind": kind, "batch": batch, "tries": of} for (kind, batch), of in found.items()]
        out.write_text(json.dumps(said, indent=1))
        print(kind, batch, {name: round(value, 5) for name, value in found[kind, batch][-1].items()}, flush=True)
    engine.close()
    print("| B | weights | mJ per output token | over dummy | W | tokens/s |\n|---|---|---|---|---|---|")
    for batch in batches:
        base = mean([one["j"] for one in found["dummy", batch]])[0]
        for kind in KINDS:
            j, half = mean([1e3 * one["j"] for one in found[kind, batch]])
            w, tokens = (mean([one[name] for one in found[kind, batch]])[0] for name in ("w", "tokens_per_s"))
            print(f"| {batch} | {kind} | {j:.2f} +- {half:.2f} | {j / 1e3 / base:.3f} | {w:.0f} | {tokens:,.0f} |")


def point(engine: Any, prepared: Any, batch: int, protocol: Timed) -> dict[str, float]:
    """J per output token, W and tokens/s over the window of one point."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Sampling.start(meters.choose("cuda").meters, Path(folder)) as sampling,
    ):
        load = Load(0, ITERATIONS)
        what = Serving(prepared, Setting(max_batch_size=batch), protocol, start="equilibrium")
        serve(engine, what, load, lambda _: sampling.check())
        file = Path(folder) / "energy.parquet"
        write_parquet(sampling.since(load.started, time.monotonic()), file)
        requests, iterations = (one.with_columns(key=pl.lit(0, pl.UInt32)) for one in load.tables())
        found = text_windows(iterations.lazy(), one_size(batch, begun=batch), requests.lazy()).collect()
        start, end = found["start_s"][0], found["end_s"][0]
        times = pl.DataFrame({"key": [0, 0], "at_s": [start, end]}, schema_overrides={"key": pl.UInt32})
        low, high = Drawn(headline(read_energy({0: file}))).energy_j(times, "at_s")
    tokens = iterations.filter(pl.col("end_s").is_between(start, end, closed="right"))["output_tokens"].sum()
    return {"j": (high - low) / tokens, "w": (high - low) / (end - start), "tokens_per_s": tokens / (end - start)}


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0]), Path(words[1]), *words[2:4], *map(int, words[4:]))  # type: ignore[arg-type]
