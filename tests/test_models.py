"""Model folders: drawn from a seed, or fetched; what is in them, and what is refused."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
from building import PROJECT, REVISION, plain, synthetic
from huggingface_hub.errors import RevisionNotFoundError
from safetensors.numpy import save_file

from joulebench import config, models
from joulebench.config.models import Checkpoint, Synthetic
from joulebench.errors import UserError

PROMPTS = [f"Tell me, in {number} words, how a bicycle stays upright." for number in range(40)]


drawn = partial(synthetic, vocabulary=512)

LLAMA = {
    "kind": "causal-lm",
    "model_type": "llama",
    "config": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
}


def test_parameters_of_a_llama_are_what_its_sizes_say(tmp_path: Path) -> None:
    made = models.prepare("a/b", drawn(LLAMA), PROMPTS, tmp_path / "m")
    attention = 32 * 32 + 32 * 16 + 32 * 16 + 32 * 32  # q, k, v, o: four heads of 8, two of them for keys
    block = attention + 3 * 32 * 64 + 2 * 32  # gate, up, down; two norms
    assert made.parameters == 512 * 32 + 2 * block + 32
    assert (made.model, made.made_from["weights"]) == ("a/b", "synthetic")
    settings = tmp_path / "m" / "config.json"
    assert made.files_sha256["config.json"] == hashlib.sha256(settings.read_bytes()).hexdigest()
    assert json.loads(settings.read_text())["architectures"] == ["LlamaForCausalLM"]
    assert not [path for path in (tmp_path / "m").rglob("*") if path.suffix in (".bin", ".pt", ".pkl", ".safetensors")]


def test_parameters_that_the_config_says_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a/b: 34,976 parameters in its weights, the config says 40,000"):
        models.prepare("a/b", drawn(LLAMA, parameters=40_000), PROMPTS, tmp_path / "m")
    assert not (tmp_path / "m" / "model.json").exists()


@pytest.mark.parametrize(
    ("architecture", "complaint"),
    [
        ({"kind": "causal-lm", "model_type": "lama", "config": {}}, "cannot be built"),
        ({"kind": "causal-lm", "config": {}}, "model_type: field required"),
        ({"kind": "pipeline", "pipeline": "os", "components": {}}, "has no class os"),
        (
            {"kind": "pipeline", "pipeline": "AutoPipelineForText2Image", "components": {"x": {"class": "sys"}}},
            "class sys",
        ),
        (
            {"kind": "pipeline", "pipeline": "SanaPipeline", "components": {"tokenizer": {"class": "GemmaTokenizer"}}},
            "GemmaTokenizer cannot be trained here; the tokenizers that can are CLIPTokenizer, T5Tokenizer",
        ),
    ],
)
def test_an_architecture_that_cannot_be_built(tmp_path: Path, architecture: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        models.prepare("a/b", drawn(architecture), PROMPTS, tmp_path / "m")


def test_a_given_tokenizer(tmp_path: Path) -> None:
    models.prepare("a/b", drawn(LLAMA), PROMPTS, tmp_path / "first")
    given = {"kind": "given", "path": str(tmp_path / "first" / "tokenizer.json")}
    made = models.prepare("a/c", drawn(LLAMA, tokenizer=given), [], tmp_path / "second")
    assert made.parameters > 0
    with pytest.raises(UserError, match=r"no file nowhere\.json; name a tokenizer\.json"):
        models.prepare("a/d", drawn(LLAMA, tokenizer={"kind": "given", "path": "nowhere.json"}), [], tmp_path / "third")


@pytest.mark.slow
def test_synthetic_shapes_of_the_config_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    sizes = {}
    for name, model in config.load("config.yaml").models.items():
        if not name.startswith("joulebench/"):  # a real shape: never drawn in a test
            continue
        assert isinstance(model, Synthetic)
        sizes[name.rsplit("-", 1)[1]] = models.prepare(name, model, PROMPTS, tmp_path / name).parameters
    for label, parameters in sizes.items():
        millions = float(label.removesuffix("m"))
        assert abs(parameters / 1e6 - millions) < 0.5
        assert parameters < 20_000_000


T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 2, "feed_forward_proj": "gated-gelu"}


def sd3(**components: Any) -> dict[str, Any]:
    """Stable Diffusion 3's shape, as small as it goes: three text encoders, two tokenizers' kinds."""
    vae = {
        "block_out_channels": [16],
        "down_block_types": ["DownEncoderBlock2D"],
        "up_block_types": ["UpDecoderBlock2D"],
        "norm_num_groups": 8,
    }
    clip = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    encoder = {"class": "CLIPTextModelWithProjection", "config": clip | {"projection_dim": 16}}
    transformer = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 1,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "caption_projection_dim": 16,
        "pooled_projection_dim": 32,
        "pos_embed_max_size": 8,
    }
    parts = {
        "transformer": {"class": "SD3Transformer2DModel", "config": transformer},
        "vae": {"class": "AutoencoderKL", "config": vae},
        "text_encoder": encoder,
        "text_encoder_2": encoder,
        "text_encoder_3": {"class": "T5EncoderModel", "config": T5},
        "tokenizer": {"class": "CLIPTokenizer"},
        "tokenizer_2": {"class": "CLIPTokenizer"},
        "tokenizer_3": {"class": "T5Tokenizer"},
        "scheduler": {"class": "FlowMatchEulerDiscreteScheduler"},
    }
    return {"kind": "pipeline", "pipeline": "StableDiffusion3Pipeline", "components": parts | components}


@pytest.mark.slow
def test_every_text_encoder_has_the_vocabulary_of_its_own_tokenizer(tmp_path: Path) -> None:
    from transformers import CLIPTokenizer, T5Tokenizer

    models.prepare("a/b", drawn(sd3()), PROMPTS, tmp_path / "m")
    clip = CLIPTokenizer.from_pretrained(tmp_path / "m" / "tokenizer_2")
    t5 = T5Tokenizer.from_pretrained(tmp_path / "m" / "tokenizer_3")
    for number, words in (("_2", clip), ("_3", t5)):
        written = json.loads((tmp_path / "m" / f"text_encoder{number}" / "config.json").read_text())
        assert written["vocab_size"] == 512 >= len(words)
        assert (written["eos_token_id"], written["pad_token_id"]) == (words.eos_token_id, words.pad_token_id)
    # T5: unigram pieces, no start, one end; what was never seen is the unknown piece.
    ids = t5("how a bicycle stays upright.", padding="max_length", max_length=40)["input_ids"]
    assert t5.decode(ids, skip_special_tokens=True) == "how a bicycle stays upright."
    end = ids.index(t5.eos_token_id)
    assert ids[end:] == [t5.eos_token_id] + [t5.pad_token_id] * (40 - end - 1)
    assert t5.model_max_length == 512
    assert t5("你", add_special_tokens=False)["input_ids"][-1] == t5.unk_token_id


@pytest.mark.slow
def test_parameters_of_a_t5_encoder_are_what_its_sizes_say(tmp_path: Path) -> None:
    whole = models.prepare("a/b", drawn(sd3()), PROMPTS, tmp_path / "m")
    without = models.prepare("a/b", drawn(sd3(text_encoder_3=None, tokenizer_3=None)), PROMPTS, tmp_path / "n")
    attention = 4 * 32 * (2 * 8)  # q, k, v, o: two heads of 8
    layer = attention + 3 * 32 * 64 + 2 * 32  # gate, up, down; two norms
    biases = 32 * 2  # one for each of 32 buckets of distance and head, in the first layer alone
    assert whole.parameters - without.parameters == 512 * 32 + 2 * layer + biases + 32


def test_a_pipeline_may_leave_out_a_text_encoder(tmp_path: Path) -> None:
    shape = sd3(text_encoder_3=None, tokenizer_3=None)
    models.prepare("a/b", drawn(shape), PROMPTS, tmp_path / "m")
    index = json.loads((tmp_path / "m" / "model_index.json").read_text())
    assert (index["text_encoder_3"], index["tokenizer_3"]) == ([None, None], [None, None])
    assert not (tmp_path / "m" / "text_encoder_3").exists()


@pytest.mark.slow
def test_an_image_processor_is_saved_with_its_sizes(tmp_path: Path) -> None:
    shape = plain(PROJECT / "config" / "models" / "svd-7m.yaml")
    shape["components"]["feature_extractor"]["config"] = {"size": {"shortest_edge": 96}, "crop_size": 64}
    models.prepare("a/b", drawn(shape), PROMPTS, tmp_path / "m")
    written = json.loads((tmp_path / "m" / "feature_extractor" / "preprocessor_config.json").read_text())
    assert (written["size"], written["crop_size"]) == ({"shortest_edge": 96}, {"height": 64, "width": 64})


def llava() -> dict[str, Any]:
    return plain(PROJECT / "config" / "models" / "llava-5m.yaml")


def test_parameters_of_a_llava_are_what_its_sizes_say(tmp_path: Path) -> None:
    shape = llava()
    saved = models.prepare("a/b", drawn(shape), PROMPTS, tmp_path / "m").parameters
    # Vision: a class token, 14 x 14 x 3 patches without bias, 64 + 1 places, 4 layers, a norm before and one after.
    attention, mlp = 4 * (128 * 128 + 128), 128 * 512 + 512 + 512 * 128 + 128
    vision = 128 + 14 * 14 * 3 * 128 + 65 * 128 + 4 * (attention + mlp + 4 * 128) + 4 * 128
    projector = 128 * 256 + 256 + 256 * 256 + 256
    text = 512 * 256 + 5 * (4 * 256 * 256 + 3 * 256 * 768 + 2 * 256) + 256
    assert saved == vision + projector + text


def test_a_model_that_sees_knows_its_image_token(tmp_path: Path) -> None:
    from transformers import AutoProcessor

    models.prepare("a/b", drawn(llava()), PROMPTS, tmp_path / "m")
    processor = AutoProcessor.from_pretrained(tmp_path / "m", local_files_only=True)
    written = json.loads((tmp_path / "m" / "config.json").read_text())
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    assert written["image_token_id" if "image_token_id" in written else "image_token_index"] == image
    assert written["text_config"]["eos_token_id"] == processor.tokenizer.eos_token_id
    assert len(processor.tokenizer) <= 512
    question, picture = {"type": "text", "text": "What?"}, {"type": "image"}
    for content, said in (
        ([picture, question], "<image>What?"),
        ([question, picture], "What?<image>"),
        ("What?", "What?"),
    ):
        message = [{"role": "user", "content": content}]
        written = processor.apply_chat_template(message, add_generation_prompt=True)
        assert written == f"<|user|>{said}<|end|><|assistant|>"


def test_a_processor_that_cannot_be_built(tmp_path: Path) -> None:
    shape = llava()
    shape["processor"]["class"] = "os"
    with pytest.raises(UserError, match="has no class os that can be built"):
        models.prepare("a/b", drawn(shape), PROMPTS, tmp_path / "m")
    del shape["processor"]
    with pytest.raises(UserError, match=r"architecture: vision-language\.processor: field required"):
        models.prepare("a/b", drawn(shape), PROMPTS, tmp_path / "m")


def checkpoint(**changes: Any) -> Checkpoint:
    return Checkpoint.model_validate({"weights": "checkpoint", "revision": REVISION} | changes)


class Hub:
    """What huggingface_hub is asked: the listing of a repository, then its files."""

    def __init__(self, patch: pytest.MonkeyPatch, *files: str) -> None:
        self.files, self.patterns, self.asked = files, list[str](), set[tuple[str, str]]()
        patch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, revision, token: list(self.files))
        patch.setattr(huggingface_hub, "snapshot_download", self.download)

    def download(self, repository: str, *, revision: str, local_dir: Path, allow_patterns: list[str], **_: Any) -> str:
        self.asked.add((repository, revision))
        self.patterns += allow_patterns
        for file in self.files:
            save_file({"w": np.zeros((3, 5), np.float32)}, local_dir / file)
        return str(local_dir)


def test_a_checkpoint_is_fetched_at_its_revision_without_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, "model.safetensors")
    made = models.prepare("owner/name", checkpoint(), [], tmp_path / "m")
    assert made.parameters == 15
    assert hub.asked == {("owner/name", REVISION)}
    assert "*.py" not in hub.patterns
    assert not any("bin" in pattern or "pt" in pattern for pattern in hub.patterns)
    models.prepare("owner/name", checkpoint(trust_remote_code=True), [], tmp_path / "m")
    assert "*.py" in hub.patterns


def test_a_checkpoint_without_safetensors_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Hub(monkeypatch)
    with pytest.raises(UserError, match="owner/name: no safetensors weights"):
        models.prepare("owner/name", checkpoint(), [], tmp_path / "m")


def test_a_revision_that_the_hub_does_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(hub: Any, repository: str, revision: str, token: object) -> list[str]:
        response = type("Response", (), {"headers": {}, "request": None, "status_code": 404})()
        raise RevisionNotFoundError("404", response=response)  # type: ignore[arg-type]

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", listed)
    with pytest.raises(UserError, match=f"owner/name at revision {REVISION}: the repository has no such revision"):
        models.prepare("owner/name", checkpoint(), [], tmp_path / "m")
