"""How good a task's answers are, and how that is found out: blocks of the config."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from joulebench.families import TEXT
from joulebench.inputs.checked import Count, Strict
from joulebench.names import ModelId, TaskName


class Answers(Strict):
    """The answers that are looked at: the model ends them itself, and they are greedy."""

    tasks: ClassVar[tuple[TaskName, ...]] = TEXT.tasks
    """What may be judged so."""
    tokens: Count = Field(512, description="An answer gets so many at most.")
    in_flight: Count = Field(32, description="So many requests are asked at once.")
    keep: bool = Field(False, description="Keep what the model said, beside the score; it is never published.")


class PassAt1(Answers):
    """Code: an answer is right that passes every test of its problem (HumanEval+)."""

    kind: Literal["pass-at-1"]
    form: Literal["completion", "chat"] = Field(
        "completion",
        description="completion: the model goes on with the function, up to the task's stop strings. chat: it is asked "
        "for the function in its chat template, and the code block of its answer counts.",
    )
    run_code: bool = Field(
        False, description="Whether what the model writes may be run here, where it can compute and nothing else."
    )


class ExactMatch(Answers):
    """Mathematics: an answer is right that comes to the reference's final number (GSM8K)."""

    kind: Literal["exact-match"]


class ClipScore(Strict):
    """Images: how near each is to its prompt in the space of a CLIP model, from 0 to 100."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("text-to-image",)
    kind: Literal["clip-score"]
    clip: ModelId = Field(description="The CLIP checkpoint, one of the config's `models`. It judges in float32.")
    images: Count | None = Field(None, description="So many prompts are judged, the sample's first. Null: all of them.")
    in_flight: Count = Field(
        1, description="So many images are made at once, of one seed together, and judged at once."
    )
    keep: bool = Field(False, description="Keep the images, beside the score; they are never published.")


Quality = Annotated[PassAt1 | ExactMatch | ClipScore, Field(discriminator="kind")]
