"""What simulated.py serves, and what a step of it costs."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Server:
    """What a step costs."""

    base_j: float = 2.75
    per_token_j: float = 0.019
    per_context_j: float = 20e-6
    per_prompt_j: float = 0.0150
    base_s: float = 6.3e-3
    per_token_s: float = 14e-6
    per_context_s: float = 35e-9
    per_prompt_s: float = 8e-6
    power_limit_w: float = 690.0
    budget: int = 8192
    gap: int = 2
    """Steps that a place in the batch stays empty between two requests."""
    white: float = 0.025
    """Standard deviation of the power's noise within 100 ms, as a share, independent from one to the next."""
    slow: float = 0.0055
    slow_s: float = 2.0
    """The same of a first-order autoregressive noise, and its time constant."""


H100 = Server()


def times(factor: float) -> Server:
    """One whose every step costs so many times the energy and time."""
    costs = {name: factor * cost for name, cost in vars(H100).items() if name.startswith(("base_", "per_"))}
    return replace(H100, **costs)


@dataclass(frozen=True)
class Lengths:
    """Prompt and output tokens of the sampled requests, in the order of sampling."""

    prompts: Ints
    outputs: Ints

    @classmethod
    def draw(cls, rng: np.random.Generator, requests: int = 500) -> "Lengths":
        """Log-normal; means and standard deviations about those of the llm-chat sample (109 and 183; 308 and 203)."""
        prompts = np.exp(rng.normal(4.0, 1.18, requests))
        outputs = np.exp(rng.normal(5.56, 0.64, requests))
        return cls(np.clip(prompts, 4, 1311).astype(np.int64), np.clip(outputs, 4, 1000).astype(np.int64))

    def drawn_from(self, rng: np.random.Generator, requests: int) -> "Lengths":
        """So many of these requests at random, any of them as often as it comes."""
        chosen = rng.integers(0, self.outputs.size, requests)
        return Lengths(self.prompts[chosen], self.outputs[chosen])

    @property
    def prompt_per_output(self) -> float:
        return float(self.prompts.sum() / self.outputs.sum())

    def energy_per_output_token_j(self, batch: int, server: Server = H100) -> float:
        """What a run without end would give: the steps are linear, so means over the sampled requests are enough.

        A request takes a place for `gap` + outputs steps, its first token comes with its prompt, and its i-th token
        after that reads prompt + i tokens.
        """
        outputs, prompts = self.outputs.astype(float), self.prompts.astype(float)
        context = ((outputs - 1) * prompts + (outputs - 1) * outputs / 2).sum()
        steps = (outputs + server.gap).sum() / batch
        spent = (
            server.base_j * steps
            + server.per_token_j * outputs.sum()
            + server.per_context_j * context
            + server.per_prompt_j * prompts.sum()
        )
        return float(spent / outputs.sum())
