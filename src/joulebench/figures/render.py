"""A chart as files: SVG, PNG and a page that needs no network. The same chart gives the same bytes."""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, cached_property
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from joulebench.errors import UserError
from joulebench.files import whole_file, write_text

PNG_SCALE = 2
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<script>{bundle}</script>
</head>
<body>
<div id="figure"></div>
<script type="application/json" id="spec">{spec}</script>
<script>
const spec = JSON.parse(document.getElementById("spec").textContent);
const actions = {{export: true, source: false, compiled: false, editor: false}};
const options = {{renderer: "svg", logLevel: 1, actions}};
vegaEmbed("#figure", spec, options).catch(console.error);
</script>
</body>
</html>
"""


def save(chart: alt.TopLevelMixin, paths: Sequence[Path]) -> None:
    """Write `chart` to each of `paths`, as its suffix says: .svg, .png (two pixels a point) or .html.

    Raises UserError for another suffix, before anything is written, and where a file cannot be written.
    """
    for path in paths:
        if path.suffix not in _WRITERS:
            raise UserError(f"{path}: a figure is written as {', '.join(_WRITERS)}; give it one of these suffixes")
    drawn = _Drawn(chart.to_dict())
    for path in paths:
        with whole_file(path) as aside:
            aside.write_bytes(_WRITERS[path.suffix](drawn))


class _Drawn:
    """A chart as Vega-Lite has it, laid out once however many files are made of it."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec

    @cached_property
    def svg(self) -> str:
        _register_fonts()
        return str(vl_convert.vegalite_to_svg(self.spec, vl_version=_VEGA_LITE))


@cache
def _register_fonts() -> None:
    """Give vl-convert the font that text is measured and drawn with.

    vl-convert takes a font of the system before one of its own or one registered, and cannot be told not to. Only a
    family name that no system has keeps them out, so the font is Liberation Sans under a name of ours.
    """
    vl_convert.register_font_directory(str(files("joulebench.figures") / "fonts"))


def _svg(drawn: _Drawn) -> bytes:
    return drawn.svg.encode()


def _png(drawn: _Drawn) -> bytes:
    return bytes(vl_convert.svg_to_png(drawn.svg, scale=PNG_SCALE))


def _html(drawn: _Drawn) -> bytes:
    # Escaped, no name in the data can end the script element that holds it.
    spec = json.dumps(drawn.spec, sort_keys=True)
    escaped = spec.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return _PAGE.format(title="Joulebench", bundle=_bundle(), spec=escaped).encode()


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script. To build it takes seconds, so the user's cache keeps it."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "joulebench")
    with suppress(RuntimeError):  # nobody's home is known
        folder = folder.expanduser()
    kept = folder / f"vega-{_VEGA_LITE}-{version('vl-convert-python')}.js"
    with suppress(OSError, UnicodeDecodeError):
        return kept.read_text(encoding="utf-8")
    built = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_VEGA_LITE))
    if kept.is_absolute():
        with suppress(UserError):  # no room, or no right to write there
            write_text(built, kept)
    return built


_WRITERS: dict[str, Callable[[_Drawn], bytes]] = {".svg": _svg, ".png": _png, ".html": _html}
