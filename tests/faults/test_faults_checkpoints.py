"""Checkpoints of language models whose files disagree, or lack what most have: as people have them."""

from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import LONGEST, VOCABULARY, answered, asked, edited, llama, odd, prepared, words
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

ENGINES = ("transformers", "transformers-static")
TWO = asked("one", "def volume(side):")
SAID = 5


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("named_by", "tokens"),
    [
        odd("generation", "end tokens as a list in generation_config.json", "an answer ends at each of them",
               ["generation_config.json"], 1),
        odd("config", "an end token that config.json alone names", "an answer ends at it", ["config.json"], 1),
        odd("tokenizer", "an end of turn that the tokenizer alone names, the configurations another",
               "an answer ends at it", ["tokenizer"], 1),
        odd("none", "no end token anywhere", "an answer ends at its longest", [], LONGEST),
    ],
)  # fmt: skip
def test_an_answer_ends_at_what_any_file_names(engine: str, named_by: list[str], tokens: int, tmp_path: Path) -> None:
    llama(tmp_path, says=SAID)
    for name in ("config.json", "generation_config.json"):
        edited(tmp_path / name, eos_token_id=[7, SAID, 9] if name in named_by else (9 if named_by else None))
    tokenizer = words()
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(SAID) if "tokenizer" in named_by else None
    tokenizer.save_pretrained(tmp_path)
    assert answered(tmp_path, TWO, engine=engine) == {0: tokens, 1: tokens}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["completion", "chat"])
@pytest.mark.fault("input", "a tokenizer with add_eos_token", "the prompt does not end in end-of-sequence")
def test_a_prompt_does_not_end_in_the_end_of_sequence(engine: str, form: str, tmp_path: Path) -> None:
    llama(tmp_path)
    plain = prompt_ids(tmp_path, engine, form)
    tokenizer = words()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A <|end|>", special_tokens=[("<|end|>", 0)]
    )
    tokenizer.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)("one").input_ids[-1] == 0
    assert prompt_ids(tmp_path, engine, form) == plain


@pytest.mark.parametrize("engine", ENGINES)
def test_an_end_that_the_text_itself_names_stays(engine: str, tmp_path: Path) -> None:
    llama(tmp_path)
    assert prompt_ids(tmp_path, engine, "completion", "one<|end|>")[-1] == 0


def prompt_ids(folder: Path, engine: str, form: str, text: str = "def volume(side):") -> list[int]:
    (one,) = prepared(folder, asked(text), engine=engine, prompt_form=form)
    prompt: Any = one.prompt
    ids = prompt if isinstance(prompt, list) else prompt["input_ids"][0].tolist()
    assert one.prompt_tokens == len(ids)
    return list(ids)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.fault("input", "a pad token whose id is beyond the embedding", "served, another token in its place")
def test_a_pad_token_beyond_the_embedding(engine: str, tmp_path: Path) -> None:
    llama(tmp_path, says=SAID)
    plain = answered(tmp_path, TWO, engine=engine)
    tokenizer = words()
    missing = VOCABULARY - len(tokenizer)
    tokenizer.add_tokens([f"<more {number}>" for number in range(missing)])
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    tokenizer.save_pretrained(tmp_path)
    assert tokenizer.pad_token_id == VOCABULARY
    assert answered(tmp_path, TWO, engine=engine) == plain
