"""The page's files as one: markup, style sheets, scripts and data, under a policy that lets nothing else in."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from joulebench.errors import UserError

STYLES = (
    "theme.css",
    "page.css",
    "controls.css",
    "chart.css",
    "table.css",
    "compare.css",
    "narrow.css",
    "print.css",
)
# A module comes after those that it imports from.
MODULES = (
    *("dom.js", "format.js", "data.js", "choose.js", "state.js", "csv.js"),
    *("axes.js", "tooltip.js", "marks.js", "chart.js"),
    *("cells.js", "table.js", "compare.js", "recommend.js", "limits.js", "controls.js", "main.js"),
)
_IMPORT = re.compile(r"^import [^;]+ from \"\./[a-z]+\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?function|const|class)", re.MULTILINE)
_LIBRARY_EXPORT = re.compile(r"export\{([^}]*?)([\w$]+) as default([^}]*)\};")


def assemble(document: dict[str, Any]) -> str:
    """The page with `document` in it."""
    # Escaped, no name in the data can end the script element that holds it.
    data = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    data = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    style, library = "".join(map(_file, STYLES)), _library()
    # The modules as one. What they import of each other is in the same scope then.
    script = "".join(_EXPORT.sub("", _IMPORT.sub("", _file(name))) for name in MODULES)
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src {_hashes([library, script])}; style-src {_hashes([style])}"
    )
    parts = {"policy": policy, "style": style, "library": library, "script": script, "data": data}
    return re.sub(r"<!--(\w+)-->", lambda mark: parts[mark[1]], _file("page.html"))


def _file(name: str) -> str:
    return (files("joulebench.site") / name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """DataTables (MIT), as the package itables carries it, made to name itself instead of exporting."""
    bundle = (files("itables") / "html" / "dt_bundle.js").read_text(encoding="utf-8")
    named, found = _LIBRARY_EXPORT.subn(r"globalThis.DataTable=\2;", bundle)
    if found != 1 or "</script" in named.lower():
        raise UserError("itables: its DataTables is not in the form that the page expects; install envs/analysis.txt")
    return named


def _hashes(texts: Sequence[str]) -> str:
    """Sources of a Content-Security-Policy that allow these inline texts and no other."""
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
