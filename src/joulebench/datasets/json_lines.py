"""Text with one JSON value a line."""

import json
from collections.abc import Iterator
from typing import Any

from joulebench.errors import UserError


def objects(text: str, where: str) -> Iterator[dict[str, Any] | str]:
    """The object of each line that is not blank, or why it holds none.

    Raises UserError where the last line is none and no line feed ends it, as where a file was cut off; `where` opens
    its message. Only a line feed ends a line: JSON may hold Unicode's other line ends bare.
    """
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = loads(line)
            yield found if isinstance(found, dict) else "not an object"
        except json.JSONDecodeError as error:
            if number == len(lines):
                raise UserError(
                    f"{where}: line {number} is not JSON (character {error.pos + 1}: {error.msg}), and the last; "
                    "expected one object a line; the file may be cut off, fetch it again"
                ) from None
            yield NOT_JSON
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                raise UserError(
                    f"{where}: line {number} is JSON that cannot be read ({error}); fetch the dataset's original file"
                ) from None
            yield NOT_JSON


NOT_JSON = "not JSON"
"""Of a line that holds none, or JSON nested so deeply that it cannot be read."""


def loads(text: str) -> Any:
    """JSON as Python's own reader has it, but an integer of thousands of digits is a float, as in most readers of JSON:
    a field that nobody reads must not refuse a file."""
    return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 1000 else float(digits)
