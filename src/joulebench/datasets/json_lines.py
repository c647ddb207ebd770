"""Text with one JSON value a line."""

import json
from collections.abc import Iterator
from typing import Any

from joulebench.errors import UserError


def parsed(text: str, where: str) -> Iterator[Any]:
    """The value of each line that is not blank. Raises UserError at the first that is not JSON, as where a file was
    cut off; `where` opens its message. Only a line feed ends a line: JSON may hold Unicode's other line ends bare.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _value(line, f"{where}: line {number}")


def _value(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{where} is not JSON (character {error.pos + 1}: {error.msg}); "
            "expected one object a line; the file may be cut off, fetch it again"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is JSON that cannot be read ({error}); fetch the dataset's original file") from None
