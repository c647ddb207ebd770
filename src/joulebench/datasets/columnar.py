"""A Parquet file's rows as text, one JSON object a line, read in a process of its own.

A few kilobytes of Parquet can stand for terabytes, and a damaged file can end polars in ways that Python does not
catch. So the process that reads has limits of memory, time and output, and whatever happens to it is one line here.

    python -m joulebench.datasets.columnar FILE MEMORY_BYTES OUTPUT_BYTES     to standard output
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

import polars as pl

from joulebench.errors import UserError
from joulebench.reading import GIB, reason, shown, size_in_words

MOST_MEMORY_BYTES = 8 * GIB
MOST_SECONDS = 300.0
MOST_ROWS = 10_000_000

_WRONG = b"!"
"""What opens the output where there is no text: the line that says why follows."""


def json_lines(
    path: Path, most_bytes: int, *, most_memory_bytes: int = MOST_MEMORY_BYTES, most_seconds: float = MOST_SECONDS
) -> bytes:
    """The rows as text of `most_bytes` at most; columns that hold bytes, which JSON has no form for, are left out.

    Raises UserError in one line where the file is damaged, or holds more than the limits.
    """
    command = [sys.executable, "-m", "joulebench.datasets.columnar", str(path), str(most_memory_bytes), str(most_bytes)]
    environment = os.environ | {"POLARS_MAX_THREADS": "2", "RUST_BACKTRACE": "0"}
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=most_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{shown(path)}: not read within {most_seconds:g} s; {_REMEDY}") from None
    if ended.returncode == 0 and not ended.stdout.startswith(_WRONG):
        return ended.stdout
    why = ended.stdout.removeprefix(_WRONG).decode(errors="replace")
    if not why:  # ended by the system, or by Rust, which gives up where there is no memory
        why = f"over {size_in_words(most_memory_bytes)} of memory, or another end of its reader ({ended.returncode})"
    raise UserError(f"{shown(path)}: not a whole Parquet file ({why}); {_REMEDY}")


_REMEDY = "it may be cut off, fetch it again, or take the dataset's original file"


def _written(path: Path, most_bytes: int) -> bytes:
    try:
        rows = pl.scan_parquet(path, glob=False)  # a name may hold brackets
        count = rows.select(pl.len()).collect().item()
        if count > MOST_ROWS:
            return _WRONG + f"{count:,} rows, expected {MOST_ROWS:,} at most".encode()
        text = rows.select(name for name, dtype in rows.collect_schema().items() if _has_form(dtype)).collect()
        written = text.write_ndjson().encode()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, MemoryError) as error:
        why = reason(error)  # polars' OSError of no memory says nothing
        return _WRONG + (f"{why}: not enough memory" if why in ("OSError", "MemoryError") else why).encode()
    if len(written) > most_bytes:
        return _WRONG + f"{size_in_words(len(written))} of text, expected {size_in_words(most_bytes)} at most".encode()
    return written


def _has_form(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return _has_form(dtype.inner)  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return all(_has_form(field.dtype) for field in dtype.fields)  # type: ignore[arg-type]
    return not isinstance(dtype, pl.Binary | pl.Object)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[2]), int(sys.argv[2])))
    sys.stdout.buffer.write(_written(Path(sys.argv[1]), int(sys.argv[3])))
