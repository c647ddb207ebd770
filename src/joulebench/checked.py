"""From plain keys and values to a pydantic model, with errors for people."""

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from joulebench.errors import UserError

M = TypeVar("M", bound=BaseModel)


class ConfigError(UserError):
    """The config says something that Joulebench does not understand or does not allow."""


class Strict(BaseModel):
    """A frozen block of the config in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def checked(model: type[M], raw: Any, name: str) -> M:
    """`raw` as a `model`; `name` opens each line of the error.

    Raises ConfigError with one line for each thing that is wrong: the key, the value found, what is allowed.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [f"{name}: {_explain(model, one)}" for one in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def nearest(word: str, names: Iterable[str]) -> str:
    """A hint to append to an error about `word`: the closest of `names`, or all of them."""
    known = sorted(names)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known are {', '.join(known)}" if known else ""


def _explain(model: type[BaseModel], error: Any) -> str:
    keys, allowed, nodes = _walk(model.model_json_schema(), error["loc"])
    where = ".".join(keys)
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key{nearest(keys[-1], allowed)}"
    if error["type"] == "missing":
        return f"{where}: missing"
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        tag = error["ctx"]["discriminator"].strip("'")
        options = {name for node in nodes for name in _mapping(node)}
        found = f"found {error['input'][tag]!r}" if tag in error["input"] else "missing"
        return f"{where}.{tag}: {found}; expected {' or '.join(sorted(options))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        pattern = error["ctx"]["pattern"]
        message = "expected a commit of 40 hex digits" if "{40}" in pattern else f"expected to match {pattern}"
    if not where:
        return message
    if isinstance(error["input"], dict):
        return f"{where}: {message}"
    message = message[0].lower() + message[1:]
    return f"{where}: found {error['input']!r}; {message}"


def _walk(schema: dict[str, Any], loc: tuple[Any, ...]) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """The keys on the way of `loc` (pydantic's own tags of unions left out), what is allowed beside the last,
    and the schema of what the last one holds."""
    keys: list[str] = []
    nodes, allowed = [schema], sorted(schema.get("properties", {}))
    for step in loc:
        nodes = [_deref(schema, node) for node in nodes]
        tagged = [node["discriminator"]["mapping"][step] for node in nodes if step in _mapping(node)]
        if tagged:
            nodes = [{"$ref": reference} for reference in tagged]
            continue
        if any(step == option.get("$ref", "").rsplit("/", 1)[-1] for node in nodes for option in _options(node)):
            nodes = [{"$ref": f"#/$defs/{step}"}]
            continue
        if isinstance(step, str) and ("[" in step or step in ("str", "dict")):
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
