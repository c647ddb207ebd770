"""Photographs whose EXIF holds what cameras and editors write there, right or wrong."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_checkpoints import odd

from joulebench.datasets.media import picture as looked_at
from joulebench.engines.prompts import picture
from joulebench.errors import UserError

ORIENTATION, X_RESOLUTION, UNIT, STRIPS, WIDTH, EXIF, GPS = 0x0112, 0x011A, 0x0128, 0x0111, 0x0100, 0x8769, 0x8825
SHORT, LONG, FLOAT = 3, 4, 11
SIZE = (24, 16)
HEADER = b"Exif\0\0II*\0\x08\0\0\0"
TURNED = (ORIENTATION, SHORT, 1, b"\x06\0\0\0")
AFTER_TWO = struct.pack("<I", 8 + 2 + 2 * 12 + 4)
"""Where in the TIFF its directory of two entries ends: what is longer than 4 bytes lies there."""


def exif(*entries: tuple[int, int, int, bytes], behind: bytes = b"") -> bytes:
    """A little-endian TIFF directory of (tag, type, count, value or offset)."""
    rows = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return HEADER + struct.pack("<H", len(entries)) + rows + b"\0\0\0\0" + behind


def photograph(written: bytes) -> bytes:
    """A JPEG, black above and white below."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    pixels[SIZE[1] // 2 :] = 255
    Image.fromarray(pixels).save(file := io.BytesIO(), "JPEG", exif=written)
    return file.getvalue()


def of(id_: str, what: str, written: bytes, turned: bool = True) -> Any:
    return odd(id_, f"a picture's EXIF with {what}", "shown upright" if turned else "shown as it is", written, turned)


@pytest.mark.parametrize(
    ("written", "turned"),
    [
        pytest.param(exif(TURNED), True, id="sane"),
        of("signed-rational", "a signed rational below 0 for a resolution",
            exif(TURNED, (X_RESOLUTION, 10, 1, AFTER_TWO), behind=struct.pack("<ii", -1, 2))),
        of("float-for-short", "a float where a short belongs", exif(TURNED, (UNIT, FLOAT, 1, struct.pack("<f", 2.5)))),
        of("negative-offset", "a negative offset", exif(TURNED, (STRIPS, 9, 1, struct.pack("<i", -5)))),
        of("negative-width", "a negative width", exif(TURNED, (WIDTH, 8, 1, struct.pack("<hh", -1, 0)))),
        of("text-for-number", "a text where a number belongs", exif(TURNED, (X_RESOLUTION, 2, 4, b"abc\0"))),
        of("nan", "a resolution that is not a number",
            exif(TURNED, (X_RESOLUTION, 12, 1, AFTER_TWO), behind=struct.pack("<d", float("nan")))),
        of("gps-as-text", "a GPS pointer that is a text", exif(TURNED, (GPS, 2, 4, b"abc\0"))),
        of("far-pointer", "a pointer beyond its end", exif(TURNED, (EXIF, LONG, 1, struct.pack("<I", 0xFFFFFF)))),
        of("pointer-to-itself", "a pointer to itself", exif(TURNED, (EXIF, LONG, 1, struct.pack("<I", 8)))),
        of("orientation-text", "an orientation that is a text", exif((ORIENTATION, 2, 2, b"6\0\0\0")), turned=False),
        of("orientation-9", "an orientation of 9", exif((ORIENTATION, SHORT, 1, b"\x09\0\0\0")), turned=False),
        of("cut", "half a directory", exif(TURNED)[:14], turned=False),
        of("no-tiff", "no directory at all", b"Exif\0\0nothing here", turned=False),
    ],
)  # fmt: skip
def test_a_picture_is_turned_whatever_else_its_exif_says(
    written: bytes, turned: bool, recwarn: pytest.WarningsRecorder
) -> None:
    content = photograph(written)
    assert looked_at(content) == content
    recwarn.clear()
    shown = picture(0, content)
    assert not list(recwarn)
    width, height = SIZE
    assert (shown.size, shown.mode) == ((height, width) if turned else SIZE, "RGB")
    # Turned by a quarter clockwise, what was above is on the right.
    dark, light = ((height - 2, 2), (2, 2)) if turned else ((2, 2), (2, height - 2))
    assert shown.getpixel(dark)[0] < 60
    assert shown.getpixel(light)[0] > 195


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([ORIENTATION, X_RESOLUTION, UNIT, STRIPS, WIDTH, EXIF, GPS, 0x9999]),
                       st.integers(0, 14), st.integers(0, 9), st.binary(min_size=4, max_size=4)), max_size=6),
    st.binary(max_size=40),
)  # fmt: skip
def test_an_exif_of_anything_is_a_picture_or_one_line(
    entries: list[tuple[int, int, int, bytes]], behind: bytes
) -> None:
    content = photograph(exif(*entries, behind=behind))
    try:
        assert sorted(picture(0, content).size) == sorted(SIZE)
    except UserError as refused:
        assert "\n" not in str(refused)  # noqa: PT017
