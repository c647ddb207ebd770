"""PartiPrompts (P2): prompts for text to image; PartiPrompts.tsv of google-research/parti, `nateraw/parti-prompts`
on the hub.

Tab-separated with the header Prompt, Category, Challenge, Note. The file does no quoting: a quotation mark is part of
the text. (A reader with CSV's quoting, such as Hugging Face datasets' own, takes the two marks off the one prompt that
begins with one; everything else is the same.)
"""

import re
from typing import Annotated

from pydantic import Field

from joulebench.datasets.sampling import Row, Rows
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError, Strict

PACKAGED = "partiprompts.tsv"
USUAL = "PartiPrompts*.tsv"

_Names = Annotated[list[str], Field(min_length=1)]
_FILTER_OF = {"Category": "categories", "Challenge": "challenges"}


class Filters(Strict):
    """Which prompts can be used; with the defaults every row, shuffled with seed 0, is ML.ENERGY's order."""

    categories: _Names | None = Field(None, description="Only these values of Category; null: all.")
    challenges: _Names | None = Field(None, description="Only these values of Challenge; null: all.")


def read(text: str, filters: Filters, where: str) -> Rows:
    """The usable prompts of the file's `text`, and the count of the others by reason; no prompt has a reference.

    A row's id is its place in the file, from 0 below the header. Raises UserError where the text is no table with a
    column Prompt, and ConfigError where a filter names a category or challenge that the file does not have.
    """
    lines = iter(_lines(text))
    header = next(lines, [])
    asked = {"Category": filters.categories, "Challenge": filters.challenges}
    wanted = {column: names for column, names in asked.items() if names is not None}
    for column in ("Prompt", *wanted):
        if column not in header:
            raise UserError(
                f"{where}: no column {column}, found {', '.join(header)[:200]}; "
                "expected the tab-separated columns Prompt, Category, Challenge, Note"
            )
    table = list(lines)
    for column, names in wanted.items():
        known = {line[header.index(column)] for line in table if len(line) == len(header)}
        if unknown := [name for name in names if name not in known]:
            found, expected = ", ".join(unknown), ", ".join(sorted(known))
            raise ConfigError(f"{where}: filters.{_FILTER_OF[column]}: found {found}; known are {expected}")
    return Rows.of(_row(place, line, header, wanted) for place, line in enumerate(table))


def _lines(text: str) -> list[list[str]]:
    """The fields of each line. Python's csv module, without quoting, splits alike, but limits a field's length."""
    lines = re.split(r"\r\n|\r|\n", text)
    if not lines[-1]:
        lines.pop()
    return [line.split("\t") if line else [] for line in lines]


def _row(place: int, line: list[str], header: list[str], wanted: dict[str, list[str]]) -> Row | str:
    if not line:
        return "blank line"
    if len(line) != len(header):
        return f"not the header's {len(header)} fields"
    fields = dict(zip(header, line, strict=True))
    for column, names in wanted.items():
        if fields[column] not in names:
            return f"{column.lower()} not asked for"
    if not fields["Prompt"].strip():
        return "empty prompt"
    return Row(f"partiprompts-{place:04d}", fields["Prompt"], None)
