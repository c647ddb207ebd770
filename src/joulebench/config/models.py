"""The models and the ways to serve them: blocks of the config."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, NonNegativeInt, PositiveInt

from joulebench.inputs.checked import Count, Strict, TableText
from joulebench.names import PromptsName, Revision

Dtype = Literal["float32", "bfloat16", "float16"]
Quantization = Literal["fp8", "bitsandbytes", "awq", "gptq"]


class Generation(Strict):
    """What a diffusion pipeline is asked for."""

    height: Count
    width: Count
    frames: Count | None = Field(None, description="Needed for a video task.")
    denoising_steps: Count
    guidance_scale: float | None = Field(
        None,
        description="Null: the pipeline's own default. Above 1, most call their model for twice the batch.",
    )
    arguments: dict[str, JsonValue] = Field(
        default_factory=dict, description="Other arguments of this pipeline's call, by its own names."
    )


class TrainedTokenizer(Strict):
    kind: Literal["trained"]
    train_on: PromptsName = Field(description="The prompts whose texts it is trained on: results/prompts/.")
    vocabulary: Count


class GivenTokenizer(Strict):
    kind: Literal["given"]
    path: str = Field(description="A tokenizer.json in the format of the tokenizers library.")


Tokenizer = Annotated[TrainedTokenizer | GivenTokenizer, Field(discriminator="kind")]


class ModelFacts(Strict):
    parameters: PositiveInt | None = Field(None, description="Weights to check the loaded model against, within 1 %.")
    licence: TableText | None = None
    dtype: Dtype = "bfloat16"
    generation: Generation | None = Field(None, description="Needed for a diffusion task.")


class Checkpoint(ModelFacts):
    weights: Literal["checkpoint"]
    revision: Revision
    trust_remote_code: bool = False


class Synthetic(ModelFacts):
    weights: Literal["synthetic"]
    architecture: dict[str, JsonValue] | str = Field(description="Classes and sizes, here or in a YAML file.")
    seed: NonNegativeInt = 0
    tokenizer: Tokenizer


Model = Annotated[Checkpoint | Synthetic, Field(discriminator="weights")]


class Variant(Strict):
    """What differs from a model's plain serving; `tensor_parallel` devices share each layer."""

    dtype: Dtype | None = None
    engine: str | None = None
    tensor_parallel: Count = 1
    quantization: Quantization | None = None
