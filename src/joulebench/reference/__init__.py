"""The reference pages, made from the code: python -m joulebench.reference config > docs/reference/config.md

`PAGES`: the name of a page under docs/reference/ -> what makes its Markdown.
"""

from collections.abc import Callable
from typing import Final

from joulebench.reference import columns, commands, config

PAGES: Final[dict[str, Callable[[], str]]] = {
    "config": config.markdown,
    "columns": columns.markdown,
    "commands": commands.markdown,
}
