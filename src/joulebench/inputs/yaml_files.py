"""YAML files in the one reading that people mean.

PyYAML and Snakemake read YAML 1.1, where 010 is 8, 1:20 is 80, 1_0 is 10, and yes, no, on and off are true and false.
YAML 1.2, which most people know, reads a plain number or a text there. So what the two read differently is refused, and
so are tags (!!int "010"), which are read so too, and a key that stands twice, whose first value would be lost.

    python -m joulebench.inputs.yaml_files FILE       says in one line what is wrong with a file, if anything
"""

import json
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError, bounded
from joulebench.inputs.reading import MIB, MissingError, read_text, reason, shown

MOST_BYTES = 16 * MIB
MOST_MERGED = 10_000
"""Keys of one mapping once what '<<' names is merged into it."""

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_SAME = {"int": _INT, "float": _FLOAT, "bool": _BOOL}
"""Plain scalars that both versions read alike, by what PyYAML takes them for."""
_WORDS = {"int": "the integer", "float": "the number", "bool": "the truth value"}


class _Loader(yaml.composer.Composer, yaml.CSafeLoader):  # type: ignore[misc]
    """PyYAML's loader of plain values, without what reads differently in another program.

    libyaml takes the text apart, seven times as fast as PyYAML's own parser; what is looked at here is put together by
    PyYAML's composer.
    """

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        yaml.composer.Composer.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:
            raise _Refused(event, "a tag ('!'); write the value itself")
        return super().compose_node(parent, index)

    def compose_scalar_node(self, anchor: Any) -> Any:
        node: Any = super().compose_scalar_node(anchor)
        kind = node.tag.removeprefix(_TAG)
        if node.style:  # in quotes, or a block
            return node
        if kind == "timestamp":
            raise _Refused(node, f"'{node.value}' is read as a date; put it in quotes")
        if kind in _SAME and not _SAME[kind].fullmatch(node.value):
            raise _Refused(
                node,
                f"'{node.value[:40]}' is {_WORDS[kind]} {self._read(node)} in YAML 1.1 and another value in YAML 1.2; "
                "write the value itself, or a text in quotes",
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node: Any = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                if (key.tag, key.value) in seen:
                    raise _Refused(key, f"the key '{key.value[:40]}' stands twice; merge the two, or leave one out")
                seen.add((key.tag, key.value))
        return node

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST_MERGED:
            raise _Refused(node, f"over {MOST_MERGED:,} keys once '<<' is merged")

    def _read(self, node: Any) -> str:
        try:
            return str(self.construct_object(node)).lower()
        except ValueError:
            return "of another base"


class _Refused(Exception):  # noqa: N818
    def __init__(self, node: Any, why: str) -> None:
        super().__init__(f"line {node.start_mark.line + 1}: {why}")


@lru_cache
def _parsed(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def read_yaml(path: Path, who: str) -> dict[str, Any]:
    """The keys and values of a YAML or a .json file; `who` opens the line of the error. Raises ConfigError for others.

    Numbers are finite, and everything is of a bounded size (checked.bounded).
    """
    name = shown(path)
    try:
        text = read_text(path, MOST_BYTES, "check the path")
        # What the workflow hands over is JSON, which YAML 1.1 reads otherwise: 1e-7 as a text, some signs not at all.
        content = json.loads(text) if path.suffix == ".json" else _parsed(text)
    except _Refused as error:
        raise ConfigError(f"{who}: {name}: {error}") from None
    except MissingError:
        raise ConfigError(f"{who}: no file {name}") from None
    except UserError as error:
        raise ConfigError(f"{who}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{who}: {name} is not readable YAML: nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # the second of an integer of thousands of digits
        hint = " (a tab: indent with spaces)" if "cannot start any token" in str(error) and "\t" in text else ""
        raise ConfigError(f"{who}: {name} is not readable YAML: {reason(error, 300)}{hint}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{who}: {name} holds {type(content).__name__}, expected keys and values")
    bounded(content, f"{who}: {name}")
    return content


if __name__ == "__main__":
    try:
        read_yaml(Path(sys.argv[1]), "config")
    except UserError as error:
        sys.exit(str(error))
