"""The models and the ways to serve them: blocks of the config."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, NonNegativeInt, PositiveInt, StringConstraints, model_validator

from joulebench.config.tasks import OutputLength
from joulebench.inputs.checked import Count, Strict, TableText
from joulebench.names import Inside, ModelId, PackageName, PackageVersion, PromptsName, Revision, Sha256

Dtype = Literal["float32", "bfloat16", "float16"]
Quantization = Literal[
    "fp8",
    "bitsandbytes",
    "awq",
    "gptq",
    "int4",
    "int8",
    "bitsandbytes-int8",
    "bitsandbytes-int4",
    "torchao-int8",
    "torchao-int4",
    "torchao-fp8",
]
Attention = Literal["eager", "sdpa", "flash_attention_2"]


Side = Annotated[
    int, Field(gt=0, lt=2**31, multiple_of=8, description="Pixels; the pipelines' VAEs halve it three times.")
]


class Generation(Strict):
    """What a diffusion pipeline is asked for."""

    height: Side
    width: Side
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


Digest = Annotated[
    Sha256 | None,
    Field(
        description="What the source has to be, as model.json tells it: the SHA-256 of the file; of a folder, that of "
        "the lines which sha256sum prints of the files that are taken, in the order of their names."
    ),
]


class LocalModel(Strict):
    kind: Literal["local"]
    path: str = Field(
        description="A .gguf file, or a folder with config.json, tokenizer and safetensors; it is copied once."
    )
    sha256: Digest = None


class PackagedModel(Strict):
    kind: Literal["package"]
    name: PackageName = Field(description="An installed package that carries the weights; none of its code is run.")
    version: PackageVersion = Field(description="The one that has to be installed.")
    file: Inside = Field(description="A .gguf file of the package, or a folder of it, by the package's list of files.")
    sha256: Digest = None


class HubGguf(Strict):
    kind: Literal["hub"]
    repo: ModelId
    revision: Revision
    file: Annotated[Inside, StringConstraints(pattern=r"\.gguf$")]


Source = Annotated[LocalModel | PackagedModel | HubGguf, Field(discriminator="kind")]


class Checkpoint(ModelFacts):
    """Published weights, of the hub at a revision or from a source. GGUF is unpacked once, and served in `dtype`."""

    weights: Literal["checkpoint"]
    revision: Revision | None = Field(
        None,
        description="Of the hub's repository of the model's own name: safetensors. A commit (40 hex digits), or a tag "
        "or branch such as main, which is resolved once.",
    )
    repo: ModelId | None = Field(None, description="Of the hub, where its name is not the model's own.")
    source: Source | None = Field(
        None, description="In place of `revision`: this machine, an installed package, or one GGUF file of the hub."
    )
    trust_remote_code: bool = Field(False, description="Run the repository's own code; with `revision` alone.")

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.revision is None) == (self.source is None):
            found = "both" if self.source else "neither"
            raise ValueError(f"found {found} of revision and source; a checkpoint is from one of them")
        for name in ("trust_remote_code", "repo"):
            if getattr(self, name) and self.source is not None:
                raise ValueError(f"{name} is for the hub at a revision alone; leave it out beside source")
        return self


class Published(Strict):
    """The same model's own weights on the hub."""

    revision: Revision = "main"
    repo: ModelId | None = Field(None, description="Where its name is not the model's own.")


class Synthetic(ModelFacts):
    weights: Literal["synthetic"]
    published: Published | None = Field(
        None, description="What `published_weights: true` serves in place of drawn weights."
    )
    architecture: dict[str, JsonValue] | str = Field(description="Classes and sizes, here or in a YAML file.")
    seed: NonNegativeInt = 0
    tokenizer: Tokenizer


Model = Annotated[Checkpoint | Synthetic, Field(discriminator="weights")]


class Variant(Strict):
    """What differs from a model's plain serving; `tensor_parallel` devices share each layer.

    With `expert_parallel` they share a mixture's layers by its experts: each has whole ones.
    """

    dtype: Dtype | None = None
    engine: str | None = None
    tensor_parallel: Count = 1
    expert_parallel: bool = False
    quantization: Quantization | None = Field(
        default=None,
        description="The format of the weights, where it is not `dtype`. Of vllm, and of what the engine server asks: "
        "fp8; bitsandbytes (NF4); awq and gptq, of checkpoints that are in it. Of onnxruntime: int8 and int4, in "
        "blocks of 32. Of transformers and transformers-static, which turn every linear layer but the output's while "
        "loading: bitsandbytes-int8 (LLM.int8(): activations too, but for outliers); bitsandbytes-int4 (NF4 in blocks "
        "of 64, products in `dtype`); torchao-int8 (weights alone, a scale a row); torchao-int4 (weights alone, groups "
        "of 128) and torchao-fp8 (weights and activations, a scale a row), both in bfloat16 on cuda.",
    )
    attention: Attention | None = Field(
        default=None, description="As transformers calls it. Null: the engine's choice."
    )
    output_length: OutputLength | None = Field(default=None, description="Instead of the entry's and the task's own.")
