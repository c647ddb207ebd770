"""Checkpoints of language models whose files disagree, or lack what most have: as people have them."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from tiny_checkpoints import LONGEST, VOCABULARY, answered, asked, edited, llama, odd, prepared, words
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from joulebench.checkpoints import chat
from joulebench.config.models import Checkpoint
from joulebench.errors import UserError
from joulebench.models.checkpoint import check_prompts
from joulebench.names import TaskName

ENGINES = ("transformers", "transformers-static")
TWO = asked("one", "def volume(side):")
SAID = 5


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


SYSTEM_FIRST = "{% if messages[0].role != 'system' %}{{ raise_exception('a system message is needed') }}{% endif %}"
PARTS = (
    "{% for message in messages %}<|{{ message.role }}|>{% for part in message.content if part.type == 'text' %}"
    "{{ part.text }}{% endfor %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ONE_LINE = "refused in one line when the model is prepared"


def in_jinja(folder: Path, template: str) -> None:
    (folder / "chat_template.jinja").write_text(template)


def in_processor(folder: Path, template: str) -> None:
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))


def in_processor_config(folder: Path, template: str) -> None:
    (folder / "chat_template.jinja").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"chat_template": template}))


def check(folder: Path, form: Literal["chat", "completion"] = "chat", task: TaskName = "llm-chat") -> None:
    """What is done with the files of a published model once they are there."""
    checkpoint = Checkpoint(weights="checkpoint", revision="0" * 40)
    check_prompts("lab/tiny", checkpoint, folder, {task: form})


def refused(folder: Path, **how: Any) -> str:
    with pytest.raises(UserError) as error:
        check(folder, **how)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("models.lab/tiny: ")
    return str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("write", "template"), [
    odd("chat_template.json", "a chat template in chat_template.json alone", "served", in_processor, PARTS),
    odd("processor_config", "a chat template in processor_config.json alone", "served", in_processor_config, PARTS),
    odd("parts", "a chat template that takes words as parts alone", "served", in_jinja, PARTS),
])  # fmt: skip
def test_a_chat_template_of_another_place_or_form(
    write: Callable[[Path, str], None], template: str, engine: str, tmp_path: Path
) -> None:
    llama(tmp_path)
    plain = prompt_ids(tmp_path, engine, "chat")
    assert plain[0] == 1  # <|user|>
    write(tmp_path, template)
    check(tmp_path)
    assert prompt_ids(tmp_path, engine, "chat") == plain


LATE = "not done within 6 s"
COMPARED = (
    "{% set ns = namespace(a=[], b=[]) %}"
    "{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}"
    "{{ ns.a == ns.b }}"
)
LOOPS = (
    "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}"
)


@pytest.mark.slow
@pytest.mark.parametrize(("template", "complaint"), [
    odd("system", "a chat template that refuses a lone user turn", ONE_LINE, SYSTEM_FIRST, "a system message is"),
    odd("nothing", "a chat template that leaves out what the user says", ONE_LINE, "<|user|>", "leaves out what"),
    odd("syntax", "a chat template that is no Jinja", ONE_LINE, "{% for %}", "takes no lone user turn"),
    odd("sandbox", "a chat template that reaches out of its sandbox", ONE_LINE,
        "{{ messages.__class__.__mro__ }}", "takes no lone user turn"),
    odd("endless", "a chat template that loops a billion times", ONE_LINE,
        "{% for one in range(10**9) %}{% endfor %}", "Range too big"),
])  # fmt: skip
def test_a_chat_template_that_refuses(template: str, complaint: str, tmp_path: Path) -> None:
    llama(tmp_path)
    in_jinja(tmp_path, template)
    assert complaint in refused(tmp_path)
    for engine in ENGINES:
        with pytest.raises(UserError, match="chat template"):
            prepared(tmp_path, TWO, engine=engine)
    check(tmp_path, "completion")
    assert prompt_ids(tmp_path, ENGINES[0], "completion")


@pytest.mark.slow
@pytest.mark.parametrize(("template", "complaint"), [
    odd("nested", "a chat template of loops in loops", ONE_LINE, LOOPS, LATE),
    odd("folded", "a chat template with a number of ninety million digits", ONE_LINE, "{{ (9**99999999) % 7 }}", LATE),
    odd("compared", "a chat template that compares lists in lists", ONE_LINE, COMPARED, LATE),
    odd("huge", "a chat template whose text is 10 GB", ONE_LINE, "{{ 'a' * 10**10 }}", "MemoryError"),
    odd("long", "a chat template that makes 200 MB of a word", ONE_LINE, "joulebench {{ 'x ' * 10**8 }}", "191 MiB"),
])  # fmt: skip
def test_a_chat_template_without_end(
    template: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if complaint == LATE:
        monkeypatch.setattr(chat, "LONGEST_S", 6.0)
    llama(tmp_path)
    in_jinja(tmp_path, template)
    assert complaint in refused(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "content"), [
    odd("tokenizer.json", "half a tokenizer.json", ONE_LINE, "tokenizer.json", '{"version": "1.0", "model": '),
    odd("no model", "a tokenizer.json without its model", ONE_LINE, "tokenizer.json", "{}"),
    odd("tokenizer_config", "a tokenizer_config.json that is a web page", ONE_LINE, "tokenizer_config.json", "<html>"),
    odd("config", "a config.json that is a list", ONE_LINE, "config.json", "[]"),
    odd("no JSON", "a config.json that is no JSON", ONE_LINE, "config.json", "{"),
])  # fmt: skip
def test_a_damaged_tokenizer(file: str, content: str, tmp_path: Path) -> None:
    llama(tmp_path)
    (tmp_path / file).write_text(content)
    refused(tmp_path)


@pytest.mark.slow
@pytest.mark.fault("input", "a chat_template.json that is no JSON", ONE_LINE)
def test_a_damaged_template_of_the_processor(tmp_path: Path) -> None:
    llama(tmp_path)
    in_processor(tmp_path, "")
    (tmp_path / "chat_template.json").write_text("{")
    assert "chat_template.json: not readable JSON" in refused(tmp_path)


def sentencepiece(folder: Path) -> None:
    """A tokenizer.model alone: SentencePiece's BPE over letters, in its protocol buffers."""

    def field(number: int, content: bytes | int) -> bytes:
        if isinstance(content, int):
            return bytes([number << 3, content])
        return bytes([number << 3 | 2, len(content)]) + content

    def piece(text: str, score: float, kind: int) -> bytes:
        return field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + field(3, kind))

    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    pieces += [(letter, -1.0 - place, 1) for place, letter in enumerate("\u2581abcdefghijklmnopqrstuvwxyz")]
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / file).unlink()
    trainer, normalizer = field(3, 2), field(1, b"identity") + field(3, 1)  # BPE; a space before the text
    made = b"".join(piece(*one) for one in pieces) + field(2, trainer) + field(3, normalizer)
    (folder / "tokenizer.model").write_bytes(made)
    settings = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.slow
@pytest.mark.fault("input", "a tokenizer.model (SentencePiece) alone", "served where sentencepiece is installed")
def test_a_sentencepiece_tokenizer_alone(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    llama(tmp_path)
    sentencepiece(tmp_path)
    check(tmp_path)
    letters = [3 + "\u2581abc".index(letter) for letter in "\u2581ab\u2581c"]
    assert prompt_ids(tmp_path, ENGINES[0], "completion", "ab c")[-5:] == letters


@pytest.mark.fault("input", "a tokenizer.model alone, without sentencepiece", "refused in one line that says so")
def test_a_sentencepiece_tokenizer_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "find_spec", lambda name: None)
    llama(tmp_path)
    sentencepiece(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"no tokenizer")  # refused, whether it is installed here or not
    with pytest.raises(UserError, match=r"install sentencepiece, or take a revision with a whole tokenizer\.json"):
        chat.load_tokenizer(tmp_path, False)
