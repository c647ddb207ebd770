"""The images that a pipeline makes of the sampled prompts: one each."""

import io
from collections.abc import Sequence

from joulebench import engines
from joulebench.engines.base import DiffusionEngine, Prepared
from joulebench.errors import UserError


def pictures(engine: DiffusionEngine, prepared: Sequence[Prepared], in_flight: int) -> list[bytes]:
    """A PNG file for each of `prepared`, in their order, `in_flight` made at once.

    Raises UserError where so many do not fit the device's memory.
    """
    found: list[bytes] = []
    for first in range(0, len(prepared), in_flight):
        batch = prepared[first : first + in_flight]
        try:
            made = engine.images(batch)
        except Exception as error:
            if not engines.is_out_of_memory(error):
                raise
            remedy = "set quality.in_flight to fewer" if in_flight > 1 else "take a device with more memory"
            raise UserError(f"quality: out of memory with {len(batch)} images at once; {remedy}") from error
        for image in made:
            file = io.BytesIO()
            image.convert("RGB").save(file, "PNG", compress_level=1)
            found.append(file.getvalue())
    return found
