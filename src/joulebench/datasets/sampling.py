"""Drawing prompts from the usable rows of a dataset, the same way for every dataset."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field

from joulebench.config.tasks import Sample
from joulebench.datasets.media import UnusableError
from joulebench.errors import UserError
from joulebench.records.models import Prompts
from joulebench.records.schemas import PROMPTS


class Row(NamedTuple):
    """A row that can be served.

    `reference` is the dataset's own answer, None where it has none; `media` the name of its image or video among the
    dataset's media.
    """

    source_id: str
    prompt: str
    reference: str | None
    media: str | None = None


@dataclass
class Rows:
    """Every row of a dataset's file: usable, in the file's order, or counted under the reason why not."""

    usable: list[Row] = field(default_factory=list)
    unusable: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, rows: Iterable[Row | str]) -> "Rows":
        """Usable rows, and the reasons why others are not."""
        found = cls()
        for row in rows:
            if isinstance(row, str):
                found.unusable[row] += 1
            else:
                found.usable.append(row)
        return found

    @property
    def count(self) -> int:
        return len(self.usable) + self.unusable.total()


class Sampled(Prompts):
    """What was drawn, from which file, and what of the file could not be used: the record of it, and the prompts.

    `prompts` has the schema records.PROMPTS. `origin` holds kind, file and sha256 of what was read, repo and
    revision where it came from the hub (and `asked`, the tag or branch that it was found by), url where it came from
    another host, and media where rows name any. `rows` counts every row of the file;
    `unusable` maps each reason to its rows, sorted by reason. `looked_at` is None, or the rows whose image was
    looked at: images are, in the drawn order, until there are enough.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    prompts: pl.DataFrame = Field(exclude=True)

    @property
    def usable(self) -> int:
        return self.rows - sum(self.unusable.values())


def draw(
    rows: Rows, sample: Sample, where: str, image_of: Callable[[str], bytes] | None = None
) -> tuple[pl.DataFrame, int]:
    """The first `sample.requests` usable rows after a seeded shuffle, schema records.PROMPTS; how many were looked at.

    The shuffle is numpy's `default_rng(seed).permutation(n)`, which is what `shuffle(seed)` of Hugging Face's
    datasets does with n rows. Prompts are numbered, and later served, in the drawn order. With `image_of`, a row
    whose image raises UnusableError is counted in `rows.unusable`, and the next one drawn is taken.
    Raises UserError where there are fewer usable rows than that; `where` opens its message.
    """
    count, drawn = rows.count, rows.usable
    if count == 0:
        raise UserError(f"{where}: holds no rows; expected the dataset's original file")
    taken: list[tuple[object, ...]] = []
    looked_at = 0
    for index in np.random.default_rng(sample.seed).permutation(len(drawn)):
        if len(taken) == sample.requests:
            break
        looked_at += 1
        row, image = drawn[index], None
        if image_of is not None:
            try:
                if row.media is None:
                    raise UnusableError("no image named")
                image = image_of(row.media)
            except UnusableError as reason:
                rows.unusable[str(reason)] += 1
                continue
        taken.append((len(taken), row.source_id, row.prompt, row.reference, image))
    if not taken:
        raise UserError(
            f"{where}: none of {count} rows can be used ({reasons(rows.unusable)}); "
            "check that it is the dataset's original file, or loosen dataset.filters"
        )
    if len(taken) < sample.requests:
        why = f" ({reasons(rows.unusable)})" if rows.unusable else ""
        raise UserError(
            f"{where}: {sample.requests} requests wanted, but {count - rows.unusable.total()} of {count} rows can be "
            f"used{why}; lower sample.requests, loosen dataset.filters, or take a larger file"
        )
    return pl.DataFrame(taken, schema=PROMPTS, orient="row"), looked_at


def why_unusable(what: str, text: object) -> str | None:
    """Why a row whose `what` is `text` cannot be served, if it cannot."""
    if not isinstance(text, str):
        return f"no text in {what}"
    if not text.strip():
        return f"empty {what}"
    return None if is_unicode(text) else f"{what} not valid Unicode"


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
