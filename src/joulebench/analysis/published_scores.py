"""Scores that others published of models: columns of their CSV files, joined by the model's id.

A model has the score of the first file that knows it. The score is of the published weights, whatever weights were
measured: the leaderboard's `weights` says which these are.
"""

import csv
import io
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from joulebench.config.published import PublishedScores
from joulebench.errors import UserError, in_one_line
from joulebench.inputs.checked import MOST_LETTERS, nearest
from joulebench.inputs.reading import MIB, expanded, read_text, require_plain, shown

MOST_BYTES = 64 * MIB
REMEDY = "see published_scores in the config"

_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NO_NUMBER = ("", "nan")
_SCHEMA = pl.Schema(
    {
        "model": pl.String,
        "published_score": pl.Float64,
        **{f"published_score_{fact}": pl.String for fact in ("name", "unit", "source", "date")},
    }
)


def check_file(asked: PublishedScores) -> None:
    """Raises UserError in one line where the file is missing, no plain file, or too large."""
    require_plain(expanded(asked.file), REMEDY, MOST_BYTES)


def published_scores(asked: Sequence[PublishedScores], models: Collection[str]) -> pl.DataFrame:
    """One row a model of `models` that any of `asked` knows, the first of them that does: model, published_score, its
    name, unit, source and date.

    Raises UserError in one line where a file cannot be read, lacks a column, or says of one of `models` what is no
    number, or two different scores. What it says of other models is not looked at.
    """
    rows: dict[str, tuple[object, ...]] = {}
    for one in asked:
        for model, score in _scores(one, models).items():
            rows.setdefault(model, (model, score, one.name, one.unit, one.source, one.date))
    return pl.DataFrame(list(rows.values()), schema=_SCHEMA, orient="row")


def with_published(rows: pl.DataFrame, scores: pl.DataFrame | None) -> pl.DataFrame:
    """`rows` with the `published_scores` of each row's model; null where there is none, or `scores` is None."""
    known = _SCHEMA.to_frame() if scores is None else scores
    return rows.join(known.select(*_SCHEMA), on="model", how="left", maintain_order="left")


def _scores(asked: PublishedScores, models: Collection[str]) -> dict[str, float]:
    """The scores of one file. Three lines of it may say the same of a model, but not another thing."""
    found: dict[str, tuple[float, int]] = {}
    path = expanded(asked.file)
    for line, row in _rows(path, asked):
        model, said = row[asked.model].strip(), row[asked.score].strip()
        if model not in models or said.lower() in _NO_NUMBER:
            continue
        where = f"{shown(path)}: line {line}: {model}: {asked.score}"
        if not _NUMBER.fullmatch(said) or not math.isfinite(float(said)):
            raise UserError(f"{where} is '{said[:60]}', expected a number, or nothing; {REMEDY}")
        score, first = float(said), found.setdefault(model, (float(said), line))
        if score != first[0]:
            raise UserError(
                f"{where} is {score:g}, and {first[0]:g} in line {first[1]}; say which in `where`, by a column that "
                "tells them apart"
            )
    return {model: score for model, (score, _) in found.items()}


def _rows(path: Path, asked: PublishedScores) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows that `where` lets through, by the line that each ends in."""
    name = shown(path)
    reader = csv.reader(io.StringIO(read_text(path, MOST_BYTES, REMEDY), newline=""), strict=True)
    try:
        header = next(reader, [])
        for column in (asked.model, asked.score, *asked.where):
            if header.count(column) != 1:
                missing = f"is not there{nearest(column, filter(None, header))}"
                what = "stands twice; rename one" if column in header else missing
                raise UserError(f"{name}: the column '{column}' {what}"[:MOST_LETTERS])
        for cells in reader:
            if cells and len(cells) != len(header):
                raise UserError(
                    f"{name}: line {reader.line_num}: {len(cells)} cells, expected {len(header)} as in the first line"
                )
            row = dict(zip(header, cells, strict=False))
            if row and all(row[column] == value for column, value in asked.where.items()):
                yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{name}: line {reader.line_num}: not CSV ({in_one_line(error)}); {REMEDY}") from None
