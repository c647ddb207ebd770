"""Whether drawn weights cost what trained ones do: python benchmarks/drawn_weights.py OUT MODEL [SECONDS REPEATS]

A GPU draws less where fewer bits of its data change, so a product of matrices of zeros is cheaper than one of numbers.
Every published figure is of drawn weights: this says what that is worth. MODEL is the folder of a trained model in
safetensors (results/models/...). Products of an 8 B shape, (rows x 4096) by (4096 x 14336) in bfloat16, with weights
that are: trained (blocks of MODEL's own matrices, laid side by side), normal (drawn, of the same mean and standard
deviation), dummy (uniform within 0.001, as vLLM draws them) and zero. Rows: 16, 256 and 4,096 random activations, as in
a decode step of few requests, of many, and in a prefill. Each runs REPEATS times for SECONDS, all in random order, on
the GPU's energy counter. Prints, with 95 % intervals over the repeats, J and ms a product, W, MHz, and J over trained.
"""

import json
import random
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from scipy.special import stdtrit

INNER, OUTER, BLOCK = 4096, 14336, 576
ROWS = (16, 256, 4096)
KINDS = ("trained", "normal", "dummy", "zero")


def trained(folder: Path, inner: int, outer: int, block: int) -> torch.Tensor:
    """Blocks of the model's matrices of `block` x `block`, side by side until (inner, outer) is full."""
    blocks = []
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in sorted(file.keys()):
                matrix = file.get_tensor(name)
                if "layers" in name and matrix.ndim == 2:
                    rows, columns = matrix.shape[0] // block, matrix.shape[1] // block
                    cut = matrix[: rows * block, : columns * block].reshape(rows, block, columns, block)
                    blocks += list(cut.transpose(1, 2).reshape(-1, block, block))
    down, across = -(-inner // block), -(-outer // block)
    if len(blocks) < down * across:
        raise SystemExit(f"{folder}: {len(blocks)} blocks of {block} x {block}; {down * across} are needed")
    lines = [torch.cat(blocks[place * across : (place + 1) * across], dim=1) for place in range(down)]
    return torch.cat(lines)[:inner, :outer].contiguous()


def of_kind(kind: str, like: torch.Tensor) -> torch.Tensor:
    """Weights of one kind, of the shape of the trained ones, `like`."""
    generator = torch.Generator().manual_seed(0)
    if kind == "trained":
        return like
    if kind == "normal":
        drawn = torch.randn(like.shape, generator=generator)
        return drawn * float(like.float().std()) + float(like.float().mean())
    return (
        torch.empty(like.shape).uniform_(-1e-3, 1e-3, generator=generator)
        if kind == "dummy"
        else torch.zeros(like.shape)
    )


def product(weights: torch.Tensor, rows: int, seconds: float) -> dict[str, float]:
    """Multiply for so long; J, ms, W and MHz."""
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    given = torch.randn(rows, weights.shape[0], device="cuda", dtype=torch.bfloat16)
    result = torch.empty(rows, weights.shape[1], device="cuda", dtype=torch.bfloat16)

    def run(for_s: float) -> list[tuple[float, int, int, int]]:
        """Seconds, products so far, the counter in mJ and the clock in MHz, each time that the GPU was waited for."""
        seen, count, end = [], 0, time.monotonic() + for_s
        while time.monotonic() < end:
            for _ in range(max(1, 65536 // (rows + 512))):
                torch.mm(given, weights, out=result)
                count += 1
            torch.cuda.synchronize()
            clock = pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)
            seen.append((time.monotonic(), count, pynvml.nvmlDeviceGetTotalEnergyConsumption(handle), clock))
        return seen

    run(0.5)
    seen = run(seconds)
    moved = [one for before, one in pairwise(seen) if one[2] != before[2]]  # the counter moves every 20 to 100 ms
    (began, first, before, _), (ended, last, after, _) = moved[0], moved[-1]
    took, count, drawn = ended - began, last - first, (after - before) / 1e3
    mhz = float(np.mean([clock for *_, clock in seen]))
    return {"j": drawn / count, "ms": 1e3 * took / count, "w": drawn / took, "mhz": mhz}


def mean(values: list[float]) -> tuple[float, float]:
    """And the half-width of its 95 % interval."""
    if len(values) < 2:
        return values[0], float("nan")
    return float(np.mean(values)), float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / len(values) ** 0.5)


def main(out: Path, folder: Path, seconds: float = 3.0, repeats: int = 5) -> None:
    import pynvml

    pynvml.nvmlInit()
    like = trained(folder, INNER, OUTER, BLOCK)
    weights = {kind: of_kind(kind, like).to("cuda", torch.bfloat16) for kind in KINDS}
    tries = [(kind, rows) for kind in KINDS for rows in ROWS] * repeats
    random.Random(0).shuffle(tries)
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for kind, rows in tries:
        found.setdefault((kind, rows), []).append(product(weights[kind], rows, seconds))
        said: list[dict[str, Any]] = [{"kind": kind, "rows": rows, "tries": of} for (kind, rows), of in found.items()]
        out.write_text(json.dumps(said, indent=1))
    print(f"{torch.cuda.get_device_name()}, {repeats} x {seconds:g} s each")
    print("| rows | weights | J a product | ms | W | MHz | J over trained |\n|---|---|---|---|---|---|---|")
    for rows in ROWS:
        base = mean([one["j"] for one in found["trained", rows]])[0]
        for kind in KINDS:
            j, half = mean([one["j"] for one in found[kind, rows]])
            ms, w, mhz = (mean([one[name] for one in found[kind, rows]])[0] for name in ("ms", "w", "mhz"))
            print(f"| {rows} | {kind} | {j:.4g} +- {half:.2g} | {ms:.3f} | {w:.0f} | {mhz:.0f} | {j / base:.3f} |")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]), *map(float, sys.argv[3:4]), *map(int, sys.argv[4:5]))
