"""What is asked of models: the tasks, their datasets and the lengths of answers, a block of the config."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, NonNegativeInt, StringConstraints

from joulebench.config.quality import Quality
from joulebench.config.services import LatencyTarget
from joulebench.config.sweeps import Sweep
from joulebench.inputs.checked import Count, Strict
from joulebench.names import Address, Inside, ModelId, Revision, Sha256

PromptForm = Literal["chat", "completion"]
StopString = Annotated[str, StringConstraints(min_length=1)]


class HubFile(Strict):
    kind: Literal["hub"]
    repo: ModelId
    revision: Revision
    file: Inside


class HubFolder(Strict):
    kind: Literal["hub-folder"]
    repo: ModelId
    revision: Revision
    folder: str = Field("", description="The folder in the repository; its files are fetched one by one.")


class UrlFile(Strict):
    kind: Literal["url"]
    url: Address
    sha256: Sha256 = Field(description="What the file has to be; another one is refused.")


class UrlFolder(Strict):
    kind: Literal["url-folder"]
    url: Address = Field(description="What stands before a file's name in its address; files are fetched one by one.")


class LocalFile(Strict):
    kind: Literal["local"]
    path: str = Field(description="The file, or the folder that holds it.")


class Packaged(Strict):
    kind: Literal["packaged"]


Original = Annotated[HubFile | HubFolder | UrlFile | UrlFolder, Field(discriminator="kind")]
"""What is fetched in place of a path of this machine where nothing lies."""


FileSource = HubFile | UrlFile | LocalFile | Packaged
MediaSource = HubFile | HubFolder | UrlFile | UrlFolder | LocalFile | Packaged


class Dataset(Strict):
    """Where prompts come from, and which rows of it can be used."""

    name: str
    source: Annotated[FileSource, Field(discriminator="kind")]
    media: Annotated[MediaSource, Field(discriminator="kind")] | None = Field(
        default=None, description="The images or videos that the rows name: a folder or a ZIP archive."
    )
    filters: dict[str, JsonValue] = Field(default_factory=dict, description="What the dataset's own module knows.")


class Sample(Strict):
    requests: Count
    seed: NonNegativeInt = 0


class OutputLength(Strict):
    """How long an answer gets, in the model's own tokens."""

    kind: Literal["natural", "reference", "fixed"]
    tokens: Count = Field(description="fixed: exactly so many. natural and reference: at most so many.")


class Task(Strict):
    dataset: Dataset
    sample: Sample
    sweep: Sweep
    output_length: OutputLength | None = None
    prompt_form: PromptForm = Field("chat", description="chat: in the model's chat template. completion: as it is.")
    stop: tuple[StopString, ...] = Field((), description="Texts that end an answer, where the model may end it.")
    latency_target: LatencyTarget | None = None
    quality: Quality | None = Field(None, description="How right answers are told from wrong ones.")
