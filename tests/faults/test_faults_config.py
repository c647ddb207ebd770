"""Odd values in config.yaml: each is one line for people, and none is taken for another value."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from building import PROJECT, TINY, tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from joulebench.inputs.checked import ConfigError
from joulebench.inputs.yaml_files import read_yaml
from joulebench.plan import plan


def refused(what: str, says: str, *edits: tuple[str, str], id: str) -> Any:
    """A case: the tiny config with texts replaced, and what the line says."""
    return pytest.param(edits, says, id=id, marks=pytest.mark.fault("input", what, "refused: one line"))


def one_line_each(error: Exception) -> str:
    text = str(error)
    lines = text.splitlines()
    assert lines
    assert all(line.isprintable() and 10 < len(line) < 1000 for line in lines), text
    assert "Traceback" not in text
    return text


def edited(*edits: tuple[str, str]) -> str:
    text = TINY.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, f"the tiny config has no {old!r}"
        text = text.replace(old, new, 1)
    return text


def planned(path: Path) -> None:
    """As the Snakefile reads a config: the file is looked at, and what Snakemake read of it is planned."""
    read_yaml(path, "config")
    plan(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.FullLoader), path.name)


CPU = "cpu: {device: cpu}"
AT_MOST = "at_most_s: 0.2"
SIZES = "batch_sizes: [1, 4]"
FIXED = "protocol: {kind: fixed, requests: 24}"
SAMPLE = "sample: {requests: 8, seed: 0}"
CARBON = "\nfootprint: {carbon: {kind: number, g_per_kwh: %s, source: %s}}\n"
TRANSFORMERS = "transformers: {kind: transformers}"
BIG = "9" * 25

CASES = [
    # Numbers that are none, or no finite ones.
    refused("`tdp_w: .inf`", "hardware.cpu.tdp_w: found inf", (CPU, "cpu: {device: cpu, tdp_w: .inf}"), id="inf"),
    refused("`tdp_w: -.inf`", "hardware.cpu.tdp_w: found -inf", (CPU, "cpu: {device: cpu, tdp_w: -.inf}"), id="-inf"),
    refused("`tdp_w: .nan`", "hardware.cpu.tdp_w: found nan", (CPU, "cpu: {device: cpu, tdp_w: .nan}"), id="nan"),
    refused("`tdp_w: 1e999`", "tdp_w: found '1e999'", (CPU, "cpu: {device: cpu, tdp_w: 1e999}"), id="1e999"),
    refused("`tdp_w: 1.0e+999`", "tdp_w: found inf", (CPU, "cpu: {device: cpu, tdp_w: 1.0e+999}"), id="1.0e+999"),
    refused(
        "`tdp_w: 'inf'`, in quotes", "tdp_w: found 'inf'", (CPU, "cpu: {device: cpu, tdp_w: 'inf'}"), id="quoted-inf"
    ),
    refused(
        "`seconds: .inf`, a run without end",
        "seconds: found inf",
        (FIXED, "protocol: {kind: timed, seconds: .inf}"),
        id="seconds-inf",
    ),
    refused("a latency target of `.nan`", "at_most_s: found nan", (AT_MOST, "at_most_s: .nan"), id="target-nan"),
    refused(
        "an infinite carbon intensity",
        "g_per_kwh: found inf",
        ("\nengines:", CARBON % (".inf", "me") + "\nengines:"),
        id="carbon-inf",
    ),
    refused(
        "an infinity in an engine's settings",
        "threads: found inf",
        (TRANSFORMERS, "transformers: {kind: transformers, settings: {threads: .inf}}"),
        id="settings-inf",
    ),
    # What YAML 1.1 and 1.2 read differently.
    refused(
        "`requests: 010`, 8 in YAML 1.1",
        "'010' is the integer 8 in YAML 1.1",
        (SAMPLE, "sample: {requests: 010}"),
        id="octal",
    ),
    refused(
        "`at_most_s: 1:20`, 80 in YAML 1.1", "'1:20' is the integer 80", (AT_MOST, "at_most_s: 1:20"), id="sexagesimal"
    ),
    refused(
        "`at_most_s: 1:20.5`", "'1:20.5' is the number 80.5", (AT_MOST, "at_most_s: 1:20.5"), id="sexagesimal-float"
    ),
    refused(
        "`requests: 1_0`, 10 in YAML 1.1",
        "'1_0' is the integer 10",
        (SAMPLE, "sample: {requests: 1_0}"),
        id="underscore",
    ),
    refused(
        "`requests: 0b11`, 3 in YAML 1.1", "'0b11' is the integer 3", (SAMPLE, "sample: {requests: 0b11}"), id="binary"
    ),
    refused(
        "`publish_flagged: yes`",
        "'yes' is the truth value true in YAML 1.1",
        ("publish_flagged: true", "publish_flagged: yes"),
        id="yes",
    ),
    refused(
        "the country Norway, `iso: NO`",
        "'NO' is the truth value false",
        ("\nengines:", "\nfootprint: {carbon: {kind: country, iso: NO}}\nengines:"),
        id="norway",
    ),
    refused("a key `on:`", "'on' is the truth value true", (CPU, CPU + "\n  on: {device: cpu}"), id="key-on"),
    refused(
        "a date as text",
        "'2024-01-01' is read as a date",
        (CPU, "cpu: {device: cpu, reports_as: 2024-01-01}"),
        id="date",
    ),
    refused(
        "`requests: true`",
        "requests: found true; expected a number",
        (SAMPLE, "sample: {requests: true}"),
        id="true-integer",
    ),
    refused(
        "`tdp_w: true`",
        "tdp_w: found true; expected a number",
        (CPU, "cpu: {device: cpu, tdp_w: true}"),
        id="true-number",
    ),
    refused(
        "`seed: false`",
        "seed: found false; expected a number",
        (SAMPLE, "sample: {requests: 8, seed: false}"),
        id="false-seed",
    ),
    refused(
        "`batch_sizes: [true, 4]`", "batch_sizes.0: found true", (SIZES, "batch_sizes: [true, 4]"), id="true-in-a-list"
    ),
    refused(
        "`reports_as: true`",
        "reports_as: found True; input should be a valid string",
        (CPU, "cpu: {device: cpu, reports_as: true}"),
        id="true-text",
    ),
    # Keys that stand twice.
    refused(
        "a key that stands twice",
        "the key 'device' stands twice",
        (CPU, "cpu: {device: cpu, device: cuda}"),
        id="twice",
    ),
    refused(
        "a block that stands twice",
        "the key 'hardware' stands twice",
        ("\ntasks:", "\nhardware:\n  other: {device: cpu}\ntasks:"),
        id="block-twice",
    ),
    refused(
        "a key that stands twice, once in quotes",
        "the key 'cpu' stands twice",
        (CPU, CPU + "\n  'cpu': {device: cpu}"),
        id="twice-quoted",
    ),
    # Numbers out of bounds.
    refused(
        "`repeats: 1000000000`",
        "repeats: found 1000000000; input should be less than or equal to 100",
        ("measure_on:", "repeats: 1000000000\nmeasure_on:"),
        id="repeats",
    ),
    refused("`repeats: -1`", "repeats: found -1", ("measure_on:", "repeats: -1\nmeasure_on:"), id="repeats-negative"),
    refused(
        "an integer of 25 digits",
        "found an integer of 84 bits",
        (SAMPLE, f"sample: {{requests: {BIG}}}"),
        id="25-digits",
    ),
    refused(
        "an integer of 5,000 digits",
        "Exceeds the limit (4300 digits)",
        (SAMPLE, f"sample: {{requests: {'9' * 5000}}}"),
        id="5000-digits",
    ),
    refused(
        "an integer of 5,000 digits in quotes",
        "requests: found '999",
        (SAMPLE, f"sample: {{requests: '{'9' * 5000}'}}"),
        id="5000-digits-quoted",
    ),
    refused(
        "a batch size beyond 32 bits", "found 4294967296", (SIZES, "batch_sizes: [1, 4294967296]"), id="batch-size"
    ),
    refused("`requests: 0`", "requests: found 0", (SAMPLE, "sample: {requests: 0}"), id="zero-requests"),
    refused("`requests: 1.5`", "requests: found 1.5", (SAMPLE, "sample: {requests: 1.5}"), id="half-a-request"),
    refused("`tdp_w: 0`", "tdp_w: found 0", (CPU, "cpu: {device: cpu, tdp_w: 0}"), id="tdp-zero"),
    refused("`tdp_w: -5`", "tdp_w: found -5", (CPU, "cpu: {device: cpu, tdp_w: -5}"), id="tdp-negative"),
    # Names.
    refused(
        "a hardware named `all`",
        "names a folder under results/, and none of all",
        (CPU, CPU + "\n  all: {device: cpu}"),
        id="all",
    ),
    refused(
        "a hardware name of 300 letters",
        "has 64 letters at most",
        (CPU, CPU + f"\n  {'h' * 300}: {{device: cpu}}"),
        id="long-hardware",
    ),
    refused(
        "a model's name of 300 letters",
        "have 96 letters at most",
        ("\nmodels:", f"\nmodels:\n  {'m' * 300}: {{weights: checkpoint, revision: '{'0' * 40}'}}"),
        id="long-model",
    ),
    refused(
        "a variant's name of 300 letters",
        "variants",
        ("\nengines:", f"\nvariants: {{{'v' * 300}: {{dtype: float32}}}}\nengines:"),
        id="long-variant",
    ),
    refused(
        "a service's name of 300 letters",
        "services",
        ("\nengines:", f"\nservices: {{{'s' * 300}: {{}}}}\nengines:"),
        id="long-service",
    ),
    refused("a NUL in a name", "a NUL", (CPU, 'cpu: {device: cpu, reports_as: "a\\0b"}'), id="nul"),
    refused(
        "half a surrogate pair in a text",
        "invalid Unicode character escape",
        (CPU, 'cpu: {device: cpu, reports_as: "\\ud800"}'),
        id="surrogate",
    ),
    refused("an integer as a key", "hardware", (CPU, CPU + "\n  1: {device: cpu}"), id="integer-key"),
    refused("a list where a block is meant", "hardware", ("hardware:\n  " + CPU, "hardware: [cpu]"), id="list"),
    refused(
        "a text where a block is meant",
        "tasks.llm-chat.dataset",
        ("dataset: {name: sharegpt, source: {kind: packaged}}", "dataset: sharegpt"),
        id="text",
    ),
    refused("nothing where a block is meant", "hardware.cpu", (CPU, "cpu:"), id="null"),
    refused("a list as a source", "source", ("source: {kind: packaged}", "source: [packaged]"), id="list-in-a-union"),
    refused(
        "a number as a source's kind", "kind", ("source: {kind: packaged}", "source: {kind: 3}"), id="number-as-kind"
    ),
    # Text that a spreadsheet would compute.
    *(
        refused(
            f"a carbon source that begins with `{text[0]}`",
            "a spreadsheet would compute it",
            ("\nengines:", CARBON % (300, json.dumps(text)) + "\nengines:"),
            id=f"formula{text[0]}",
        )
        for text in ('=HYPERLINK("http://x","y")', "+1+1", "-1+1", "@SUM(A1)", " =1")
    ),
    # Paths.
    refused(
        "an architecture that is a pipe",
        "a pipe, expected a plain file",
        ("architecture: config/models/llama-1m.yaml", "architecture: {folder}/pipe"),
        id="pipe",
    ),
    refused(
        "an architecture that is /dev/zero",
        "a device, expected a plain file",
        ("architecture: config/models/llama-1m.yaml", "architecture: /dev/zero"),
        id="dev-zero",
    ),
    refused(
        "an architecture that is a folder",
        "a folder, expected a plain file",
        ("architecture: config/models/llama-1m.yaml", "architecture: config/models"),
        id="folder",
    ),
    refused(
        "an architecture whose path has 300 letters",
        "File name too long",
        ("architecture: config/models/llama-1m.yaml", f"architecture: {'x' * 300}.yaml"),
        id="long-path",
    ),
    refused(
        "an architecture of 17 MiB",
        "over 16 MiB",
        ("architecture: config/models/llama-1m.yaml", "architecture: {folder}/large.yaml"),
        id="large",
    ),
    refused(
        "an architecture in UTF-16",
        "UTF-16, expected text in UTF-8",
        ("architecture: config/models/llama-1m.yaml", "architecture: {folder}/utf16.yaml"),
        id="utf-16-architecture",
    ),
    refused(
        "an architecture nested 60 levels deep",
        "nested more than 50 levels deep",
        ("architecture: config/models/llama-1m.yaml", "architecture: {folder}/deep.yaml"),
        id="deep-architecture",
    ),
]


@pytest.mark.parametrize(("edits", "says"), CASES)
def test_an_odd_value_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edits: tuple[tuple[str, str], ...], says: str
) -> None:
    monkeypatch.chdir(PROJECT)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.yaml").write_bytes(b"# " + b"x" * (17 * 2**20) + b"\na: 1\n")
    (tmp_path / "utf16.yaml").write_bytes("kind: causal-lm\n".encode("utf-16"))
    (tmp_path / "deep.yaml").write_text(f"kind: {'[' * 60}{']' * 60}\n")
    path = tmp_path / "odd.yaml"
    path.write_text(edited(*((old, new.replace("{folder}", str(tmp_path))) for old, new in edits)), encoding="utf-8")
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        planned(path)
    assert says in one_line_each(caught.value)
    assert time.monotonic() - began < 20


WHOLE = {
    "utf-16": ("config.yaml in UTF-16", "a: 1\n".encode("utf-16"), "UTF-16, expected text in UTF-8"),
    "utf-32": ("config.yaml in UTF-32", "a: 1\n".encode("utf-32"), "expected text in UTF-8"),
    "latin-1": ("config.yaml in Latin-1", "a: \xe9\n".encode("latin-1"), "not UTF-8 (byte 3 of 5"),
    "bytes": ("config.yaml of arbitrary bytes", bytes(range(256)), "expected text in UTF-8"),
    "nul": ("config.yaml with a NUL", b"a: 1\n\0", "is not readable YAML"),
    "empty": ("an empty config.yaml", b"", "holds NoneType, expected keys and values"),
    "list": ("config.yaml that is a list", b"- a\n", "holds list, expected keys and values"),
    "tabs": ("config.yaml indented with tabs", b"a:\n\tb: 1\n", "(a tab: indent with spaces)"),
    "two-documents": ("two documents in one config.yaml", b"a: 1\n---\na: 2\n", "is not readable YAML"),
    "python-tag": (
        "a Python object in config.yaml",
        b"a: !!python/object/apply:os.system ['true']\n",
        "line 1: a tag ('!'); write the value itself",
    ),
    "unknown-tag": ("an unknown tag in config.yaml", b"a: !mine 1\n", "line 1: a tag"),
    "int-tag": ("a text tagged as an integer (!!int '0700')", b"b: 1\na: !!int '0700'\n", "line 2: a tag"),
    "bool-tag": ("a key tagged as a truth value", b"!!bool 'yes': 1\n", "line 1: a tag"),
    "set-tag": ("a set (!!set)", b"a: !!set {b, c}\n", "line 1: a tag"),
    "list-tag": ("a tagged list", b"a: !!omap [b: 1]\n", "line 1: a tag"),
    "plain-tag": ("a tag that makes a text of a number (! 010)", b"a: ! 010\n", "line 1: a tag"),
    "unknown-alias": ("an alias of nothing", b"a: *b\n", "is not readable YAML"),
    "cycle": ("an alias within itself", b"a: &a [*a]\n", "nested more than 50 levels deep"),
    "deep": ("config.yaml nested 100,000 levels deep", b"[" * 100_000, "nested too deeply"),
    "unfinished": ("config.yaml cut off in the middle", b"a: {b: [1, 2", "is not readable YAML"),
}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(content, says, id=name, marks=pytest.mark.fault("input", what, "refused: one line"))
        for name, (what, content, says) in WHOLE.items()
    ],
)
def test_a_file_that_is_no_config_is_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, "config")
    assert says in one_line_each(caught.value)
    assert "\n" not in str(caught.value)


def bomb(kind: str) -> str:
    """A few hundred bytes of YAML whose aliases stand for over 10^9 values."""
    names = "abcdefghi"
    if kind == "lists":
        inner = "&a0 [0]" + "".join(f", &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 11))
    elif kind == "mappings":
        levels = (f"&a{i} {{{', '.join(f'{name}: *a{i - 1}' for name in names)}}}" for i in range(1, 11))
        inner = ", ".join(["&a0 {a: 0}", *levels])
    else:
        levels = (f"&a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}], k{i}: 1}}" for i in range(1, 11))
        inner = ", ".join(["&a0 {a: 0}", *levels])
    return edited((TRANSFORMERS, f"transformers: {{kind: transformers, settings: {{x: [{inner}]}}}}"))


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (2 * 2**30, 2 * 2**30))
from pathlib import Path
from joulebench.errors import UserError
from joulebench.plan import plan
from joulebench.inputs.yaml_files import read_yaml
try:
    plan(read_yaml(Path(sys.argv[1]), "config"))
except UserError as error:
    sys.exit(f"one line: {error}")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=pytest.mark.fault(
                "input", f"YAML aliases that stand for over 10^9 {kind}", "refused: one line, at once"
            ),
        )
        for kind in ("lists", "mappings", "merged keys")
    ],
)
def test_an_alias_bomb_is_one_line_in_bounds(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(bomb(kind))
    assert path.stat().st_size < 10_000
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("one line: config: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "over 200,000 values" in done.stderr or "once '<<' is merged" in done.stderr


@pytest.mark.fault("input", "a matrix of a million runs", "refused: one line")
def test_a_matrix_of_a_million_runs_is_one_line(tmp_path: Path) -> None:
    raw: Any = tiny()
    name = next(iter(raw["models"]))
    raw["repeats"] = 100
    raw["models"] |= {f"m{i}": raw["models"][name] for i in range(200)}
    raw["matrix"]["cpu"]["llm-chat"]["models"] = [f"m{i}" for i in range(200)]
    with pytest.raises(ConfigError, match=r"matrix: 20,\d+ runs with their repeats, expected at most 10,000"):
        plan(raw)


@pytest.mark.fault("input", "a config's numbers in quotes, in hexadecimal or with an exponent", "read as YAML 1.2 does")
def test_what_both_versions_of_yaml_read_alike_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    meant = {"10": 10, "0x1F": 31, "1.5e+3": 1500.0, '"010"': "010", "true": True, "~": None, '"yes"': "yes", ".5": 0.5}
    path.write_text("".join(f"k{place}: {text}\n" for place, text in enumerate([*meant, "1:2a"])))
    assert list(read_yaml(path, "config").values()) == [*meant.values(), "1:2a"]


OWN = [PROJECT / "config.yaml", *sorted((PROJECT / "config").glob("*.yaml"))]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_the_projects_own_configs_read_as_snakemake_reads_them(path: Path) -> None:
    assert read_yaml(path, "config") == yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.FullLoader)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(["=1", "../x", "a" * 300, "cpu", "\0", "\ud800", "010", ".inf"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


def places(raw: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a config, as the keys that lead there."""
    inner = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    return [where, *(place for key, value in inner for place in places(value, (*where, key)))]


PLACES = places(tiny())


@pytest.mark.slow
@pytest.mark.fault("input", "any value at any place of a config (fuzzed)", "refused: one line each, or taken as it is")
@settings(max_examples=300, deadline=5000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(place=st.sampled_from(PLACES), value=VALUES)
def test_any_value_at_any_place_is_refused_in_lines_or_taken(place: tuple[Any, ...], value: Any) -> None:
    raw: Any = tiny()
    at = {"": raw}
    key: Any = ""
    inner: Any = at
    for step in place:
        inner, key = inner[key], step
    inner[key] = value
    before = Path.cwd()
    os.chdir(PROJECT)
    try:
        made = plan(at[""])
    except ConfigError as error:
        one_line_each(error)
    else:
        written = made.config.model_dump_json()
        assert "null" not in json.dumps(value) or written  # what is taken can be handed over
        json.loads(written)
        made.targets()
    finally:
        os.chdir(before)


@pytest.mark.slow
@pytest.mark.fault("input", "any text as config.yaml (fuzzed)", "refused: one line, or read")
@settings(max_examples=300, deadline=5000)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_any_text_is_one_line_or_read(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "a.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(read_yaml(path, "config"), dict)
    except ConfigError as error:
        one_line_each(error)
