"""A request's image as engines take it."""

import io
import warnings
from typing import Any

from joulebench.errors import UserError


def picture(request: int, content: bytes | None) -> Any:
    """The image in a JPEG, PNG or WebP file: Pillow's, upright, in RGB. Raises UserError where there is none."""
    from PIL import Image

    if content is None:
        raise UserError(f"request {request} has no image, its task needs one; set dataset.media and sample again")
    try:
        with (
            warnings.catch_warnings(action="ignore", category=UserWarning),  # of damaged EXIF
            Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as opened,
        ):
            opened.load()
            return _upright(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        raise UserError(
            f"request {request}: its image is no JPEG, PNG or WebP file that can be read "
            f"({' '.join(str(error).split())[:100]}); sample the requests again"
        ) from error


def _upright(image: Any) -> Any:
    """Turned as the orientation in its EXIF says.

    Not ImageOps.exif_transpose: that writes the whole EXIF again, which Pillow cannot do for all that it reads.
    """
    from PIL import ExifTags, Image

    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 (an EXIF that cannot be read says nothing, whatever is wrong with it)
        return image
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = turns.get(orientation)
    return image if turn is None else image.transpose(turn)
