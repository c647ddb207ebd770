"""How the raw records are written, read and checked."""

import io
import json
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from pydantic import BaseModel, ValidationError

from joulebench.errors import UserError, in_one_line
from joulebench.files import REMEDY, RecordError, require_file, sha256, whole_file, write_text
from joulebench.inputs.reading import GIB, MIB, read_bytes
from joulebench.records.models import Export, Model, Point, Prompts, Record, Run, Score
from joulebench.records.schemas import ADDED, POINT_FILES

MOST_TABLE_BYTES = 4 * GIB
MOST_JSON_BYTES = 64 * MIB
MOST_ROWS = 50_000_000
"""Of one table: eight GPUs polled 50 times a second have as many in a day and a half."""

R = TypeVar("R", bound=Record)


def write_parquet(frame: pl.DataFrame, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write `frame`, with `metadata` of the file, whole or not at all; the same frame gives the same bytes."""
    buffer = io.BytesIO()  # so that a full disk is Python's OSError, not an error of Parquet's
    frame.write_parquet(buffer, compression="zstd", statistics=False, metadata=metadata)
    with whole_file(path) as aside:
        aside.write_bytes(buffer.getbuffer())


def write_json(record: BaseModel | dict[str, Any], path: Path) -> None:
    """Write a record as indented JSON, whole or not at all."""
    content = record.model_dump(mode="json") if isinstance(record, BaseModel) else record
    write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", path)


def read_parquet(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """Read a table and hold it against its schema.

    Raises RecordError where the file is missing, damaged, lacks a column, or holds another kind of value in one.
    """
    require_file(path, MOST_TABLE_BYTES)
    try:
        frame = _bounded(path, schema)
    except PARQUET_ERRORS as error:
        raise RecordError(f"{path}: not a readable Parquet file ({in_one_line(error)}); {REMEDY}") from None
    frame = frame.with_columns(pl.lit(None).alias(name) for name in sorted(ADDED) if name not in frame.columns)
    if missing := [name for name in schema if name not in frame.columns]:
        raise RecordError(f"{path}: no column {', '.join(missing)}, expected {', '.join(schema)}; {REMEDY}")
    try:
        return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise RecordError(f"{path}: a value that its column cannot hold ({in_one_line(error)}); {REMEDY}") from None


def _holds(wanted: pl.DataType, found: pl.DataType) -> bool:
    """Whether another writer may have meant `wanted` by `found`: numbers of another size, or nothing but nulls."""
    if found == wanted or found == pl.Null:
        return True
    return (found.is_integer() and wanted.is_numeric()) or (found.is_float() and wanted.is_float())


def sha256s(folder: Path) -> dict[str, str]:
    """The SHA-256 of each of a point's files. Raises RecordError where one is missing or cannot be read."""
    return {name: sha256(folder / name) for name in POINT_FILES}


def _bounded(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """The columns of `schema` that a file has, of the kinds that they have there.

    Of no more rows than any record has: a few bytes of Parquet can stand for billions. Other columns are not read.
    """
    table = pl.scan_parquet(path, glob=False)
    rows = table.select(pl.len()).collect().item()
    if rows > MOST_ROWS:
        raise RecordError(f"{path}: {rows:,} rows, expected at most {MOST_ROWS:,}; {REMEDY}")
    found = table.collect_schema()
    wanted = {name: dtype for name, dtype in schema.items() if name in found}
    for name, dtype in wanted.items():
        if not _holds(dtype, found[name]):
            raise RecordError(f"{path}: {name} is of type {found[name]}, expected {dtype}; {REMEDY}")
    return table.select(*wanted).collect()


def read_run(folder: Path) -> Run:
    """Read a run folder's run.json. Raises RecordError where it is missing or damaged."""
    return _read_json(folder / "run.json", Run)


def read_prompts(path: Path) -> Prompts:
    """Read what results/prompts/{name}.json says. Raises RecordError where it is missing or damaged."""
    return _read_json(path, Prompts)


def read_score(path: Path) -> Score:
    """Read a score. Raises RecordError where it is missing or damaged."""
    return _read_json(path, Score)


def read_model(folder: Path) -> Model:
    """Read a model folder's model.json. Raises RecordError where it is missing or damaged."""
    return _read_json(folder / "model.json", Model)


def read_export(folder: Path) -> Export:
    """Read export.json of what was exported of a model. Raises RecordError where it is missing or damaged."""
    return _read_json(folder / "export.json", Export)


def read_point(folder: Path) -> Point:
    """Read a point folder's point.json. Raises RecordError where it is missing or damaged."""
    return _read_json(folder / "point.json", Point)


def _read_json(path: Path, model: type[R]) -> R:
    try:
        return model.model_validate_json(read_bytes(path, MOST_JSON_BYTES, REMEDY))
    except UserError as error:
        raise RecordError(str(error)) from None
    except ValidationError as error:
        raise RecordError(f"{path}: not a {model.__name__.lower()} record ({in_one_line(error)}); {REMEDY}") from None


PARQUET_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What polars raises of a damaged file; the second where it did not expect the damage."""
