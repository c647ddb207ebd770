"""Tokenizers for synthetic weights: a given one, or one trained on the sampled prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joulebench.config.models import GivenTokenizer, TrainedTokenizer
from joulebench.errors import UserError
from joulebench.inputs.reading import GIB, is_there, require_plain, shown

END = "<|end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<<image>>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def chat(
    wanted: TrainedTokenizer | GivenTokenizer,
    prompts: Sequence[str],
    special: Sequence[str] = (),
    image_prompt: str = "",
) -> Any:
    """A tokenizer of transformers with a chat template, or as given. Byte-level: no text is out of vocabulary.

    `special` are further special tokens, and `image_prompt` what the template sets for an image, first of all parts
    or where it stands.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if isinstance(wanted, GivenTokenizer):
        words = PreTrainedTokenizerFast(tokenizer_file=str(_given(wanted)))
        words.add_special_tokens({"additional_special_tokens": list(special)})
        return words
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=wanted.vocabulary,
        special_tokens=[END, "<|user|>", "<|assistant|>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator(_texts(prompts), trainer)
    words = PreTrainedTokenizerFast(tokenizer_object=model, eos_token=END, pad_token=END)
    words.chat_template = CHAT_TEMPLATE.replace("<<image>>", image_prompt)
    return words


def clip(wanted: TrainedTokenizer | GivenTokenizer, prompts: Sequence[str]) -> Any:
    """CLIP's tokenizer (77 tokens, its own normalisation) with a vocabulary trained on the prompts."""
    from transformers import CLIPTokenizer

    if isinstance(wanted, GivenTokenizer):
        raise UserError("tokenizer: CLIP's form of it can only be trained here; set kind: trained")
    blank = CLIPTokenizer(model_max_length=77)
    return blank.train_new_from_iterator([_texts(prompts)], vocab_size=wanted.vocabulary, show_progress=False)


def t5(wanted: TrainedTokenizer | GivenTokenizer, prompts: Sequence[str]) -> Any:
    """T5's tokenizer (unigram pieces of words, 512 tokens) with a vocabulary trained on the prompts.

    Without T5's sentinels (`extra_ids`), which serve its pretraining alone.
    """
    from transformers import T5Tokenizer

    if isinstance(wanted, GivenTokenizer):
        raise UserError("tokenizer: T5's form of it can only be trained here; set kind: trained")
    blank = T5Tokenizer(extra_ids=0, model_max_length=512)
    return blank.train_new_from_iterator([_texts(prompts)], vocab_size=wanted.vocabulary, show_progress=False)


def vocabulary(wanted: TrainedTokenizer | GivenTokenizer, words: Any = None) -> dict[str, int | None]:
    """What a model's configuration takes from its tokenizer `words`; without them, its size alone.

    A model's sizes do not depend on the prompts: a trained tokenizer may stay under its vocabulary.
    """
    if isinstance(wanted, TrainedTokenizer):
        size = wanted.vocabulary
    else:
        size = len(words if words is not None else chat(wanted, ()))
    if words is None:
        return {"vocab_size": size}
    ends = {name: getattr(words, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    return {"vocab_size": size, **ends}


def _texts(prompts: Sequence[str]) -> list[str]:
    if not prompts:
        raise UserError("tokenizer: no prompts to train on; sample the task that train_on names first")
    return list(prompts)


def _given(wanted: GivenTokenizer) -> Path:
    path = Path(wanted.path)
    if not is_there(path):
        raise UserError(f"tokenizer.path: no file {shown(path)}; name a tokenizer.json")
    require_plain(path, "tokenizer.path: name a tokenizer.json", GIB)
    return path
