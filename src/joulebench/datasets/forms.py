"""The forms that several datasets share: text with one JSON value a line, and ShareGPT's conversations.

LLaVA took the latter over: one JSON array of
`{"id": ..., "conversations": [{"from": "human" | "gpt" | ..., "value": ...}, ...]}`.
"""

import json
from collections.abc import Iterator
from typing import Any

from joulebench.datasets.sampling import is_unicode
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
        except (ValueError, RecursionError) as error:
            if number < len(lines):
                yield NOT_JSON
            elif isinstance(error, json.JSONDecodeError):
                raise UserError(
                    f"{where}: line {number} is not JSON (character {error.pos + 1}: {error.msg}), and the last; "
                    "expected one object a line; the file may be cut off, fetch it again"
                ) from None
            else:
                raise UserError(
                    f"{where}: line {number} is JSON that cannot be read ({error}); fetch the dataset's original file"
                ) from None


NOT_JSON = "not JSON"
"""Of a line that holds none, or JSON nested so deeply that it cannot be read."""


def loads(text: str) -> Any:
    """JSON as Python's own reader has it, but an integer of thousands of digits is a float, as in most readers of JSON:
    a field that nobody reads must not refuse a file."""
    return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 1000 else float(digits)


def array(text: str, where: str) -> list[Any]:
    """The array of the file's `text`. Raises UserError where it is none; `where` opens its message."""
    try:
        content = loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{where}: broken JSON at character {error.pos:,} of {len(text):,} ({error.msg}); "
            "it is cut off or another file: delete it and fetch it again"
        ) from None
    except MemoryError:
        raise UserError(f"{where}: larger than this machine's memory; take a smaller file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: JSON that cannot be read ({error}); fetch the dataset's original file") from None
    if not isinstance(content, list):
        kind = "an object" if isinstance(content, dict) else type(content).__name__
        raise UserError(f"{where}: holds {kind}, expected a list of rows; fetch the dataset's original file")
    return content


def first_pair(raw: Any, min_turns: int = 2) -> tuple[str, str] | str:
    """What a conversation's human says first and gpt answers, as they are, or why there is no such pair."""
    turns = raw.get("conversations") if isinstance(raw, dict) else None
    if not isinstance(turns, list):
        return "not an object with a list of conversations"
    if len(turns) < min_turns:
        return f"fewer than {min_turns} turns"
    first, second = turns[:2]
    if not (_has_text(first) and _has_text(second)):
        return "turn without text"
    if first.get("from") != "human":
        return "first turn not from human"
    if second.get("from") != "gpt":
        return "second turn not from gpt"
    return first["value"], second["value"]


def source_id(given: Any, otherwise: str) -> str:
    """A conversation's own id where it has one that can be written."""
    named = isinstance(given, str) and given.strip() and is_unicode(given)
    return given if named else otherwise


def _has_text(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("value"), str)
