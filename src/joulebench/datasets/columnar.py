"""A Parquet file's rows as text, one JSON object a line, read in a process apart (joulebench.inputs.apart)."""

from pathlib import Path

import polars as pl

from joulebench.errors import UserError
from joulebench.inputs import apart
from joulebench.inputs.reading import GIB, reason, shown, size_in_words

MOST_MEMORY_BYTES = 8 * GIB
MOST_SECONDS = 300.0
MOST_ROWS = 10_000_000


def json_lines(
    path: Path, most_bytes: int, *, most_memory_bytes: int = MOST_MEMORY_BYTES, most_seconds: float = MOST_SECONDS
) -> bytes:
    """The rows as text of `most_bytes` at most; columns that hold bytes, which JSON has no form for, are left out.

    Raises UserError in one line where the file is damaged, or holds more than the limits.
    """
    try:
        return apart.asked(
            __spec__.name, [str(path), str(most_bytes)], seconds=most_seconds, memory_bytes=most_memory_bytes
        )
    except apart.RefusedError as error:
        raise UserError(
            f"{shown(path)}: not a whole Parquet file ({error}); it may be cut off, fetch it again, or take the "
            "dataset's original file"
        ) from None


def _written(words: list[str]) -> bytes:
    path, most_bytes = Path(words[0]), int(words[1])
    try:
        rows = pl.scan_parquet(path, glob=False)  # a name may hold brackets
        count = rows.select(pl.len()).collect().item()
        if count > MOST_ROWS:
            raise UserError(f"{count:,} rows, expected {MOST_ROWS:,} at most")
        text = rows.select(name for name, dtype in rows.collect_schema().items() if _has_form(dtype)).collect()
        written = text.write_ndjson().encode()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, MemoryError) as error:
        why = reason(error)  # polars' OSError of no memory says nothing
        raise UserError(f"{why}: not enough memory" if why in ("OSError", "MemoryError") else why) from None
    if len(written) > most_bytes:
        raise UserError(f"{size_in_words(len(written))} of text, expected {size_in_words(most_bytes)} at most")
    return written


def _has_form(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return _has_form(dtype.inner)  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return all(_has_form(field.dtype) for field in dtype.fields)  # type: ignore[arg-type]
    return not isinstance(dtype, pl.Binary | pl.Object)


if __name__ == "__main__":
    apart.answer(_written)
