"""Drawing requests from the usable rows of a dataset, the same way for every dataset."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from joulebench import config
from joulebench.errors import UserError
from joulebench.records import PROMPTS


class Row(NamedTuple):
    """A row that can be served; `reference` is the dataset's own answer, None where it has none."""

    source_id: str
    prompt: str
    reference: str | None


@dataclass
class Rows:
    """Every row of a dataset's file: usable, in the file's order, or counted under the reason why not."""

    usable: list[Row] = field(default_factory=list)
    unusable: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row | str) -> None:
        """Take a usable row, or the reason why one is not."""
        if isinstance(row, str):
            self.unusable[row] += 1
        else:
            self.usable.append(row)

    @property
    def count(self) -> int:
        return len(self.usable) + self.unusable.total()


@dataclass(frozen=True)
class Sampled:
    """What was drawn, from which file, and what of the file could not be used.

    `requests` has the schema records.PROMPTS. `origin` holds kind, file and sha256 of what was read, and repo and
    revision where it came from the hub. `rows` counts every row of the file; `unusable` maps each reason to its
    rows, sorted by reason.
    """

    requests: pl.DataFrame
    origin: dict[str, str]
    rows: int
    unusable: dict[str, int]

    @property
    def usable(self) -> int:
        return self.rows - sum(self.unusable.values())


def draw(rows: Rows, sample: config.Sample, where: str) -> pl.DataFrame:
    """The first `sample.requests` of the usable rows after a seeded shuffle; schema records.PROMPTS.

    The shuffle is numpy's `default_rng(seed).permutation(n)`, which is what `shuffle(seed)` of Hugging Face's
    datasets does with n rows. Requests are numbered, and later served, in the drawn order.
    Raises UserError where there are fewer usable rows than requests; `where` opens its message.
    """
    usable = len(rows.usable)
    if rows.count == 0:
        raise UserError(f"{where}: holds no rows; expected the dataset's original file")
    if usable == 0:
        raise UserError(
            f"{where}: none of {rows.count} rows can be used ({reasons(rows.unusable)}); "
            "check that it is the dataset's original file, or loosen dataset.filters"
        )
    if usable < sample.requests:
        why = f" ({reasons(rows.unusable)})" if rows.unusable else ""
        raise UserError(
            f"{where}: {sample.requests} requests wanted, but {usable} of {rows.count} rows can be used{why}; "
            "lower sample.requests, loosen dataset.filters, or take a larger file"
        )
    order = np.random.default_rng(sample.seed).permutation(usable)[: sample.requests]
    taken = [rows.usable[index] for index in order]
    return pl.DataFrame([(request, *row) for request, row in enumerate(taken)], schema=PROMPTS, orient="row")


def is_unicode(text: str) -> bool:
    """Whether `text` can be written: JSON's \\ud800 escapes can leave half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def reasons(unusable: Mapping[str, int]) -> str:
    """`201 prompt longer than 800 tokens, 8 fewer than 2 turns`: the most frequent first."""
    ranked = sorted(unusable.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {reason}" for reason, count in ranked)
