"""From plain keys and values to a pydantic model, with errors for people."""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from joulebench.errors import UserError, printable

M = TypeVar("M", bound=BaseModel)


class ConfigError(UserError):
    """The config says something that Joulebench does not understand or does not allow."""


class Strict(BaseModel):
    """A frozen block of the config in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


MOST_VALUES = 200_000
"""Keys and values of a config, those that an alias repeats counted each time: the project's own has under 2,000."""
DEEPEST = 50
MOST_LETTERS = 900
"""Of one line of an error."""
LARGEST = 2**31 - 1
"""Of what is counted: records hold it in 32 bits."""

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")

Count = Annotated[int, Field(gt=0, le=LARGEST)]


def _no_formula(value: str) -> str:
    if value.lstrip()[:1] in ("=", "+", "-", "@"):
        raise ValueError("text of the tables cannot begin with '=', '+', '-' or '@': a spreadsheet would compute it")
    return value


TableText = Annotated[str, AfterValidator(_no_formula)]
"""Text that goes into a table as it is."""


def bounded(raw: Any, name: str) -> None:
    """Raises ConfigError where plain keys and values hold what no config needs: more than MOST_VALUES of them (a few
    lines of YAML aliases can stand for billions), deeper than DEEPEST, infinite or no numbers, integers beyond 64 bits,
    text that cannot be written to a file."""
    left = MOST_VALUES

    def opening(where: tuple[str, ...]) -> str:
        path = printable(".".join(where))[:300]
        return f"{name}: {path}: " if path else f"{name}: "

    def look(value: Any, where: tuple[str, ...]) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ConfigError(f"{name}: over {MOST_VALUES:,} values (an alias counts each time); write fewer")
        if len(where) > DEEPEST:
            raise ConfigError(f"{opening(where)}nested more than {DEEPEST} levels deep; expected keys and values")
        if isinstance(value, dict):
            for key, inner in value.items():
                look_at_text(key, where)
                look(inner, (*where, str(key)))
        elif isinstance(value, list | tuple):
            for place, inner in enumerate(value):
                look(inner, (*where, str(place)))
        elif isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{opening(where)}found {value}; expected a finite number, or leave it out")
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ConfigError(f"{opening(where)}found an integer of {value.bit_length()} bits; expected at most 64")
        else:
            look_at_text(value, where)

    def look_at_text(value: Any, where: tuple[str, ...]) -> None:
        if isinstance(value, str) and _UNWRITABLE.search(value):
            raise ConfigError(f"{opening(where)}found {_shown(value)}; a NUL or half a surrogate pair is in no text")

    look(raw, ())


def checked(model: type[M], raw: Any, name: str) -> M:
    """`raw` as a `model`; `name` opens each line of the error.

    Raises ConfigError with one line for each thing that is wrong: the key, the value found, what is allowed.
    """
    bounded(raw, name)
    try:
        made = model.model_validate(raw)
    except ValidationError as error:
        schema = model.model_json_schema()
        said = [_explain(schema, one) for one in _meant(schema, error.errors())]
        raise ConfigError("\n".join(printable(f"{name}: {one}")[:MOST_LETTERS] for one in said)) from None
    if lines := [
        f"{name}: {where}: found {str(value).lower()}; expected a number"
        for where, value in _counted(raw, made.model_dump())
    ]:
        raise ConfigError("\n".join(lines))
    return made


def _counted(raw: Any, made: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[str, bool]]:
    """Where true or false was taken for the number 1 or 0, as pydantic and Python do."""
    if isinstance(raw, bool):
        if isinstance(made, int | float) and not isinstance(made, bool):
            yield ".".join(where), raw
    elif isinstance(raw, dict) and isinstance(made, dict):
        for key, value in raw.items():
            yield from _counted(value, made.get(key), (*where, str(key)))
    elif isinstance(raw, list | tuple) and isinstance(made, list | tuple):
        for place, (value, other) in enumerate(zip(raw, made, strict=False)):
            yield from _counted(value, other, (*where, str(place)))


def nearest(word: str, names: Iterable[str]) -> str:
    """A hint to append to an error about `word`: the closest of `names`, or all of them."""
    known = sorted(names)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known are {', '.join(known)}" if known else ""


def _meant(schema: dict[str, Any], errors: Sequence[Any]) -> Iterator[Any]:
    """One error a key: of a value that may be of several kinds (a number or a list) there is one a kind.

    The kind that was meant is the one that got furthest: into the list, or beyond the question of its type.
    """
    by_key: dict[tuple[str, ...], list[Any]] = {}
    for error in errors:
        of_name = [step for step in error["loc"][-1:] if step == "[key]"]  # the key itself, not what it holds
        by_key.setdefault((*_walk(schema, error["loc"])[0], *of_name), []).append(error)
    for keys, of in by_key.items():
        if not any(other[: len(keys)] == keys for other in by_key if len(other) > len(keys)):
            yield next((one for one in of if not one["type"].endswith("_type")), of[0])


def _explain(schema: dict[str, Any], error: Any) -> str:
    keys, allowed, nodes = _walk(schema, error["loc"])
    where = ".".join(keys)
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key{nearest(keys[-1], allowed)}"
    if error["type"] == "missing":
        return f"{where}: missing"
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        tag = error["ctx"]["discriminator"].strip("'")
        options = {name for node in nodes for one in (node, *_options(node)) for name in _mapping(one)}
        found = f"found {_shown(error['input'][tag])}" if tag in error["input"] else "missing"
        return f"{where}.{tag}: {found}; expected {' or '.join(sorted(options))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        pattern = error["ctx"]["pattern"]
        message = "expected a commit of 40 hex digits" if "{40}" in pattern else f"expected to match {pattern}"
    if not where:
        return message
    if isinstance(error["input"], dict):
        return f"{where}: {message}"
    message = (message[0].lower() + message[1:]).replace("tuple", "list")
    return f"{where}: found {_shown(error['input'])}; {message}"


def _shown(value: Any) -> str:
    """A value as an error shows it: as Python writes it, no longer than anybody reads."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."


def _walk(schema: dict[str, Any], loc: tuple[Any, ...]) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """The keys on the way of `loc` (pydantic's own tags of unions left out), what is allowed beside the last,
    and the schema of what the last one holds."""
    keys: list[str] = []
    nodes, allowed = [schema], sorted(schema.get("properties", {}))
    for step in loc:
        nodes = [_deref(schema, node) for node in nodes]
        unions = [one for node in nodes for one in (node, *_options(node))]  # a union that may be null lies in another
        tagged = [_mapping(one)[step] for one in unions if step in _mapping(one)]
        if tagged:
            nodes = [{"$ref": reference} for reference in tagged]
            continue
        if any(step == option.get("$ref", "").rsplit("/", 1)[-1] for node in nodes for option in _options(node)):
            nodes = [{"$ref": f"#/$defs/{step}"}]
            continue
        if isinstance(step, str) and ("[" in step or step in ("str", "dict") or step.startswith("constrained-")):
            continue
        keys.append(str(step))
        allowed = sorted({key for node in _leaves(schema, nodes) for key in node.get("properties", {})})
        nodes = [child for node in _leaves(schema, nodes) for child in _children(node, step)]
    return keys, allowed, nodes


def _deref(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node


def _mapping(node: dict[str, Any]) -> dict[Any, str]:
    found: dict[Any, str] = node.get("discriminator", {}).get("mapping", {})
    return found


def _options(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [*node.get("anyOf", []), *node.get("oneOf", [])]


def _leaves(schema: dict[str, Any], nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for node in nodes:
        node = _deref(schema, node)
        found += _leaves(schema, _options(node)) if _options(node) else [node]
    return found


def _children(node: dict[str, Any], step: Any) -> list[dict[str, Any]]:
    if step in node.get("properties", {}):
        return [node["properties"][step]]
    if isinstance(node.get("additionalProperties"), dict):
        return [node["additionalProperties"]]
    return list(node.get("patternProperties", {}).values()) or ([node["items"]] if "items" in node else [])
