"""ShareGPT4Video: long captions of videos; `ShareGPT4Video/ShareGPT4Video` on the hub.

`sharegpt4video_40k.jsonl` has one JSON object a line with `video_id`, `zip_folder` (the archive under the repository's
zip_folder/ that holds the video) and `captions`, a list of `{"idx", "content"}`; the caption of the whole video has the
`idx` "-1". An older form is one object of two lists, `video_id` and `caption`: what ML.ENERGY's benchmark drew.

A row's prompt is the caption of the whole video; it has no reference. Its video is `{video_id}.mp4`, and its image, for
image to video, the first frame of that.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from joulebench.datasets import forms
from joulebench.datasets.media import first_frame
from joulebench.datasets.sampling import Row, Rows, why_unusable
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError, Strict, nearest

PACKAGED = "sharegpt4video.jsonl"
PACKAGED_MEDIA = "sharegpt4video"
USUAL = "sharegpt4video_[0-9]*.json*"

image = first_frame

_WHOLE_VIDEO = "-1"


class Filters(Strict):
    """Which captions can be used; ML.ENERGY's benchmark takes those of panda_videos_1.zip."""

    zip_folder: str | None = Field(
        None, min_length=1, description="Only the videos of this archive, such as panda_videos_1.zip; null: all."
    )


def read(text: str, filters: Filters, where: str) -> Rows:
    """The usable captions of the file's `text`, and the count of the others by reason.

    Raises UserError where the file was cut off within its last line, or the two lists of the older form differ in
    length, and ConfigError where the filter names an archive that the file does not have; `where` opens their messages.
    """
    wanted = filters.zip_folder
    lists = _two_lists(text)
    if lists is None:
        found = list(forms.objects(text, where))
        known = {raw["zip_folder"] for raw in found if isinstance(raw, dict) and isinstance(raw.get("zip_folder"), str)}
    else:
        found, known = list(_paired(lists, where)), set()
    if wanted is not None and wanted not in known:
        hint = nearest(wanted, known) or "; the rows of this file name no zip_folder, leave the filter out"
        raise ConfigError(f"{where}: filters.zip_folder: found '{wanted}'{hint}")
    return Rows.of(_row(raw, wanted) for raw in found)


def _two_lists(text: str) -> dict[str, Any] | None:
    """The whole file, where it is of the older form."""
    try:
        whole = forms.loads(text)
    except (ValueError, RecursionError, MemoryError):
        return None
    older = isinstance(whole, dict) and isinstance(whole.get("video_id"), list)
    return whole if older else None


def _paired(lists: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    names, captions = lists["video_id"], lists.get("caption")
    if not isinstance(captions, list) or len(names) != len(captions):
        found = f"{len(captions):,} in caption" if isinstance(captions, list) else "no list in caption"
        raise UserError(
            f"{where}: {len(names):,} entries in video_id but {found}; expected one of each a video: fetch it again"
        )
    for name, caption in zip(names, captions, strict=True):
        yield {"video_id": name, "captions": [{"idx": _WHOLE_VIDEO, "content": caption}]}


def _row(raw: dict[str, Any] | str, zip_folder: str | None) -> Row | str:
    if isinstance(raw, str):
        return raw
    if zip_folder is not None and raw.get("zip_folder") != zip_folder:
        return "zip_folder not asked for"
    captions = raw.get("captions")
    if not isinstance(captions, list):
        return "no list of captions"
    whole = [one for one in captions if isinstance(one, dict) and one.get("idx") == _WHOLE_VIDEO]
    if not whole:
        return "no caption of the whole video"
    name: Any = raw.get("video_id")
    caption: Any = whole[0].get("content")
    for what, words in (("video_id", name), ("caption", caption)):
        if why := why_unusable(what, words):
            return why
    return Row(name, caption, None, f"{name}.mp4")
