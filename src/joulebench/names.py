"""The names that a config may use: of tasks, and of what becomes a folder or a file."""

import re
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

Device = Literal["cpu", "cuda", "rocm"]
"""What a run is measured on: the processor, NVIDIA's GPUs or AMD's, by PyTorch's names of the platforms."""

TaskName = Literal["llm-chat", "llm-code", "vlm-chat", "text-to-image", "text-to-video", "image-to-video"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)
IMAGE_TASKS: frozenset[str] = frozenset({"vlm-chat", "image-to-video"})
"""Tasks whose prompts hold an image."""
VIDEO_TASKS: frozenset[str] = frozenset({"text-to-video", "image-to-video"})
"""Tasks whose response is a video: so many frames."""

RESERVED = frozenset({"prompts", "requests", "models", "figures", "site", "dataset", "logs", "all"})
"""Folders beside the hardware's, and `all`: what figures across hardware, and the target of everything, are called."""

LONGEST = 64
LONGEST_PART = 96
"""Letters of a name, and of each part of a model's id. A run's folder and its log are named owner--name+variant@k, and
a file's name has 255 bytes at most."""

_HARDWARE = r"[a-z0-9][a-z0-9_-]*"


def _model_id(value: str) -> str:
    part = r"[A-Za-z0-9][A-Za-z0-9._-]*"
    if any(len(one) > LONGEST_PART for one in value.split("/")):
        raise ValueError(f"owner and name have {LONGEST_PART} letters at most, since they name a folder")
    if not re.fullmatch(rf"{part}(/{part})?", value) or ".." in value or "--" in value:
        raise ValueError(
            "a model id is 'name' or 'owner/name' in letters, digits, '.', '_' and '-', "
            "without '..' or '--', since it names a folder under results/"
        )
    return value


def _hardware_name(value: str) -> str:
    if len(value) > LONGEST:
        raise ValueError(f"a hardware name has {LONGEST} letters at most, since it names a folder")
    if not re.fullmatch(_HARDWARE, value) or value in RESERVED:
        raise ValueError(
            "a hardware name is lower-case letters, digits, '_' and '-', since it names a folder "
            f"under results/, and none of {', '.join(sorted(RESERVED))}"
        )
    return value


def _run_name(value: str) -> str:
    model, *variant = value.split("+")
    _model_id(model)
    if len(variant) > 1:
        raise ValueError("a run is 'model' or 'model+variant', with one variant at most")
    return value


def _prompts_name(value: str) -> str:
    task, *places = value.split(".")
    if task not in TASKS or len(places) > 2 or not all(re.fullmatch(_HARDWARE, place) for place in places):
        raise ValueError(
            "expected a task, or 'task.hardware' where that hardware has a dataset of its own, or 'task.hardware.study'"
        )
    return value


def _study_name(value: str) -> str:
    if value in TASKS or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,47}", value):
        raise ValueError(
            "a study's name is lower-case letters, digits and '-', 48 at most, and no task's, since it names a folder"
        )
    return value


ModelId = Annotated[str, AfterValidator(_model_id)]
HardwareName = Annotated[str, AfterValidator(_hardware_name)]
ModelVariant = Annotated[str, AfterValidator(_run_name)]
StudyName = Annotated[str, AfterValidator(_study_name)]
"""Of a study: its runs lie in results/{hardware}/runs/{study}/."""


def _inside(value: str) -> str:
    if not value or any(part in ("", ".", "..") for part in value.split("/")) or "\\" in value:
        raise ValueError("expected a path inside the package or repository, without '..' and no '/' at its ends")
    return value


Inside = Annotated[str, AfterValidator(_inside)]
"""Of a file or folder inside a package or a repository: it leads nowhere else."""
PromptsName = Annotated[str, AfterValidator(_prompts_name)]
VariantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=48)]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


def is_commit(revision: str) -> bool:
    """Whether `revision` is a commit's 40 hex digits, and not the name of a tag or branch."""
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def _revision(value: str) -> str:
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", value)
        or ".." in value
        or "--" in value
        or value[-1] == "/"
    ):
        raise ValueError("expected a commit (40 hex digits), or the name of a tag or branch such as main")
    if re.fullmatch(r"[0-9a-f]{7,39}", value):
        raise ValueError(f"found {len(value)} hex digits, which is a part of a commit; give all 40")
    return value


Revision = Annotated[str, AfterValidator(_revision)]
"""Of a repository of the hub: a commit; or a tag or branch, which is resolved once and recorded."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or not value.isprintable() or " " in value:
        raise ValueError("expected an address that begins with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address holds no user and no password: it is recorded")
    return value


Address = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_address)]
PackageName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=LONGEST)
]
PackageVersion = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.!+_-]*$", max_length=LONGEST)]
