"""Every key of config.yaml, from the JSON schema that its models give."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from joulebench.config.whole import Config
from joulebench.reference.tables import table

_BEFORE = """# The config, key by key

`config.yaml` has the blocks of the first table. A type that is a link is a block of its own, further down. A key
without a default has to be there. A wrong key or value ends with one line that says what is allowed.

Editors that know YAML schemas check the file while you write: its first line names `config/schema.json`. How to use
each block is told in the pages under *How to*.

This page is made from the code: `python -m joulebench.reference config > docs/reference/config.md`.
"""
PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}

Schema = Mapping[str, Any]


def markdown() -> str:
    schema = Config.model_json_schema()
    blocks = {name: one for name, one in schema["$defs"].items() if "properties" in one}
    parts = [_BEFORE, "\n## config.yaml\n\n", _keys(schema, blocks)]
    for name, block in sorted(blocks.items()):
        said = block.get("description", "")
        parts += [f"\n## {name}\n\n", f"{said}\n\n" if said else "", _keys(block, blocks)]
    return "".join(parts)


def _keys(block: Schema, blocks: Schema) -> str:
    needed = set(block.get("required", ()))
    rows = (
        (f"`{key}`", _type(one, blocks), "" if key in needed else _default(one), one.get("description", ""))
        for key, one in block["properties"].items()
    )
    return table(("key", "type", "default", "meaning"), rows)


def _default(one: Schema) -> str:
    return f"`{json.dumps(one['default'], ensure_ascii=False)}`" if "default" in one else ""


def _type(one: Schema, blocks: Schema) -> str:
    """In words: `whole number from 1`, `list of text`, a link to a block."""
    if (name := one.get("$ref", "").rpartition("/")[2]) in blocks:
        return f"[{name}](#{name.lower()})"
    if "$ref" in one:
        return "any value"
    if "const" in one:
        return f"`{one['const']}`"
    if "enum" in one:
        return " or ".join(f"`{value}`" for value in one["enum"])
    for several in ("anyOf", "oneOf"):
        if several in one:
            return " or ".join(dict.fromkeys(_type(part, blocks) for part in one[several]))
    if one.get("type") == "array":
        items: Any = one.get("items") or next(iter(one.get("prefixItems", ())), {})
        return f"list of {_type(items, blocks)}" if items else "list"
    if one.get("type") == "object":
        inner: Any = one.get("additionalProperties")
        if not isinstance(inner, Mapping):
            patterns = list(one.get("patternProperties", {}).values())
            inner = patterns[0] if patterns else None
        return f"by name: {_type(inner, blocks)}" if inner else "keys and values"
    return PLAIN.get(one.get("type", ""), "any value") + "".join(_limits(one))


def _limits(one: Schema) -> Iterator[str]:
    for key, words in (("minimum", " from {}"), ("exclusiveMinimum", " above {}")):
        if key in one:
            yield words.format(one[key])
    for key, words in (("maximum", " to {}"), ("exclusiveMaximum", " below {}")):
        if key in one:
            yield words.format(f"{one[key]:,}" if isinstance(one[key], int) else one[key])
