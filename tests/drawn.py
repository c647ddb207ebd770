"""What a drawn figure says."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from joulebench.figures import render

SVG = "{http://www.w3.org/2000/svg}"


def texts(chart: Any, folder: Path) -> list[str]:
    """Every line of text of the figure, which is written into `folder` as figure.svg."""
    path = folder / "figure.svg"
    render.save(chart, [path])
    return [line for text in ElementTree.parse(path).iter(f"{SVG}text") for line in text.itertext()]
