"""Checkpoints of language models whose files disagree, or lack what most have: as people have them."""

from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import LONGEST, answered, asked, edited, llama, words

ENGINES = ("transformers", "transformers-static")
TWO = asked("one", "def volume(side):")
SAID = 5


def input_(id_: str, what: str, outcome: str, *values: Any) -> Any:
    return pytest.param(*values, id=id_, marks=pytest.mark.fault("input", what, outcome))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("named_by", "tokens"),
    [
        input_("generation", "end tokens as a list in generation_config.json", "an answer ends at each of them",
               ["generation_config.json"], 1),
        input_("config", "an end token that config.json alone names", "an answer ends at it", ["config.json"], 1),
        input_("tokenizer", "an end of turn that the tokenizer alone names, the configurations another",
               "an answer ends at it", ["tokenizer"], 1),
        input_("none", "no end token anywhere", "an answer ends at its longest", [], LONGEST),
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
