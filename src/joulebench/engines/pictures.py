"""A request's image as engines take it."""

import io
from typing import Any

from joulebench.errors import UserError


def picture(request: int, content: bytes | None) -> Any:
    """The image in a JPEG, PNG or WebP file: Pillow's, upright, in RGB. Raises UserError where there is none."""
    from PIL import Image, ImageOps

    if content is None:
        raise UserError(f"request {request} has no image, its task needs one; set dataset.media and sample again")
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"request {request}: its image is no JPEG, PNG or WebP file that can be read "
            f"({' '.join(str(error).split())[:100]}); sample the requests again"
        ) from error
