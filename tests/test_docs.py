"""The documents: the site builds without a network, links lead somewhere, commands and configs hold."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from building import PROJECT, plain

from joulebench import config, reference
from joulebench.commands import line
from joulebench.exports import board
from joulebench.plan import plan

DOCS = PROJECT / "docs"
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", PROJECT / "config/README.md", *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^\n|\A)((?:^ {4}.*\n|^\n(?= {4}))+)", re.MULTILINE)
CALLED = ("snakemake ", "make ", "joulebench ", "python -m joulebench")
PLACEHOLDERS = {
    "<the commit, 40 hex digits>": "a" * 40,
    "<40 hex digits>": "a" * 40,
    "<64 hex digits, if it is to be checked>": "a" * 64,
}


@dataclass(frozen=True)
class Block:
    """A block of code of a page; `kind` is what the fence says, "" of an indented one."""

    page: str
    kind: str
    text: str


def blocks() -> Iterator[Block]:
    for path in PAGES:
        text, name = path.read_text(encoding="utf-8"), path.relative_to(PROJECT).as_posix()
        for found in FENCE.finditer(text):
            yield Block(name, found[2], re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE))
        for found in INDENTED.finditer(FENCE.sub("", text)):
            yield Block(name, "", re.sub(r"^ {4}", "", found[1], flags=re.MULTILINE))


def commands() -> Iterator[tuple[str, list[str]]]:
    """The page and the words of each command that a block shows, whatever variables stand before it."""
    for block in blocks():
        if block.kind not in ("", "sh"):
            continue
        for said in block.text.replace("\\\n", " ").splitlines():
            called = re.sub(r"^([A-Z_]+=\S* )+|\.venv/bin/", "", said.partition(";")[0])
            if called.startswith(CALLED):
                yield block.page, shlex.split(re.sub(r"<[^>]+>", "x", called), comments=True)


COMMANDS = list(commands())
PUBLISHED = ("h100", "h200", "h200-x4")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built where nothing can be reached: every connection fails."""
    folder = tmp_path_factory.mktemp("site")
    code = (
        "import socket, sys\n"
        "def refused(*_): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refused\n"
        "from mkdocs.__main__ import cli\n"
        "cli(['build', '--strict', '--quiet', '--site-dir', sys.argv[1]])\n"
    )
    given = {"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1", "HOME": str(folder)}
    words = [sys.executable, "-c", code, str(folder / "out")]
    done = subprocess.run(words, cwd=PROJECT, env=given, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


class Page(HTMLParser):
    """What a page names: the ids that it has, the links, and what a browser fetches by itself."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given:
            self.fetched.append(given["src"])
        elif tag == "link" and "href" in given and given.get("rel") not in ("canonical", "prev", "next"):
            self.fetched.append(given["href"])


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 25
    dead = []
    for path, page in pages.items():
        for link in page.links + page.fetched:
            parts = urlsplit(link)
            if parts.scheme or link in (".", ""):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (parts.fragment and target in pages and parts.fragment not in pages[target].ids):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert dead == []


@pytest.mark.slow
def test_a_browser_fetches_nothing_of_the_site_from_elsewhere(site: Path) -> None:
    outside = [one for path in site.rglob("*.html") for one in Page(path).fetched if urlsplit(one).scheme == "https"]
    assert outside == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(\s*['\"]?https?:", styles) == []


def test_every_page_is_in_the_sites_menu() -> None:
    listed = re.findall(r"[\w/-]+\.md", (PROJECT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2])
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_the_reference_is_in_step(name: str) -> None:
    page = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert page == reference.PAGES[name](), f"run python -m joulebench.reference {name} > docs/reference/{name}.md"


def test_the_reference_has_every_column_and_every_key() -> None:
    columns, keys = ((DOCS / f"reference/{name}.md").read_text(encoding="utf-8") for name in ("columns", "config"))
    header = (PROJECT / "results/h100/leaderboard.csv").read_text(encoding="utf-8").partition("\n")[0].split(",")
    told = set(re.findall(r"`(\w+)`", columns))
    bounds = re.compile(r"_(low|high)(?=_|$)")
    assert {bounds.sub("", name) for name in header} <= told
    assert {"half_width", "price_per_gpu_hour", "expert_parallel"} <= set(
        re.findall(r"^\| `(\w+)`", keys, re.MULTILINE)
    )


@pytest.mark.slow
def test_the_boards_are_in_step() -> None:
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    assert page.count("<!-- board ") == 3
    assert page == board.in_step(page, PROJECT), "run python -m joulebench.exports.board README.md docs/results.md"
    (shown,) = re.findall(r"^```sh\njoulebench (compare .+)\n```\n\n```text\n((?:.+\n|\n)+?)```", page, re.MULTILINE)
    words = [sys.executable, "-m", "joulebench", *shlex.split(shown[0])]
    given = {"PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run(words, cwd=PROJECT, env=given, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == shown[1]


def test_there_are_commands_to_try() -> None:
    tools = [words[0] for _, words in COMMANDS]
    assert min(tools.count("snakemake"), tools.count("make"), tools.count("joulebench")) >= 5


def test_every_make_and_joulebench_command_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page, words in COMMANDS:
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, (page, words)
        elif words[0] == "joulebench" or words[:3] == ["python", "-m", "joulebench"]:
            line.parser().parse_args(words[1:] if words[0] == "joulebench" else words[3:])
        elif words[:2] == ["python", "-m"]:
            module = PROJECT / "src" / Path(*words[2].split("."))
            assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), (page, words)


def tried(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The options that choose the config, and the targets, of a command of Snakemake."""
    chosen: list[str] = []
    targets: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        if word in ("--configfile", "--config"):
            chosen += [word, next(rest)]
        elif word in ("--cores", "--workflow-profile", "--forcerun", "--resources", "--report", "--jobs"):
            next(rest, None)
        elif not word.startswith("-") and "=" not in word:
            targets.append(word)
    return tuple(chosen), targets


def of_the_pages_own_hardware(page: str, target: str) -> bool:
    """Whether a block of the page's own adds the hardware of `target`; that it can be planned is tested below."""
    own = re.match(r"results/(my-[\w-]+)/", target)
    if own is not None:
        assert any(f"  {own[1]}:" in block.text for block in blocks() if (block.page, block.kind) == (page, "yaml"))
    return own is not None


def of_snakemake() -> dict[tuple[str, ...], set[str]]:
    found: dict[tuple[str, ...], set[str]] = {}
    for page, words in COMMANDS:
        if words[0] != "snakemake" or "--until" in words or "--rulegraph" in words:
            continue
        chosen, targets = tried(words)
        if "my-model.yaml" in chosen or any(mark in " ".join(words) for mark in ("...", "{", "FILE")):
            continue
        found.setdefault(chosen, set()).update(one for one in targets if not of_the_pages_own_hardware(page, one))
    return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a clone has it: with what is published under results/, and nothing that was made here."""
    folder = tmp_path_factory.mktemp("clone")
    for one in PROJECT.iterdir():
        if one.name not in ("results", "data", "logs", ".snakemake"):
            (folder / one.name).symlink_to(one)
    (folder / "results").mkdir()
    for run in PROJECT.glob("results/*/runs"):
        if run.parent.name in PUBLISHED:
            (folder / "results" / run.parent.name).symlink_to(run.parent)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("chosen", sorted(of_snakemake()), ids=" ".join)
def test_every_snakemake_command_has_a_plan(chosen: tuple[str, ...], clone: Path) -> None:
    """A dry run of all targets that the pages ask of one config."""
    targets = sorted(of_snakemake()[chosen])
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--quiet",
        "all",
        "--cores",
        "1",
        *chosen,
        "--",
        *targets,
    ]
    given = {"PYTHONPATH": str(PROJECT / "src"), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run(command, cwd=clone, env=given, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def merged(base: Any, more: Any) -> Any:
    """`more` over `base`: mappings key by key, all else whole."""
    if not (isinstance(base, dict) and isinstance(more, dict)):
        return more
    both = {**base, **more}
    # A block that says what it is stands alone: nothing of another kind is kept beside it.
    if "kind" in more or "weights" in more:
        return more
    if isinstance(more.get("models"), list):  # of a matrix; single models' sweeps go with the models
        base = {key: value for key, value in base.items() if key != "sweeps"}
        both = {**base, **more}
    return {key: merged(base[key], more[key]) if key in base and key in more else both[key] for key in both}


CONFIGS = [block for block in blocks() if block.kind == "yaml" and block.page != "docs/datasets.md"]


@pytest.mark.parametrize("block", CONFIGS, ids=lambda block: f"{block.page}:{block.text.split(chr(10))[0][:30]}")
def test_every_config_is_allowed(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself where it is a whole one, else over config.yaml or the tutorial's own."""
    monkeypatch.chdir(PROJECT)
    text = block.text
    for said, means in PLACEHOLDERS.items():
        text = text.replace(said, means)
    given = yaml.safe_load(text)
    whole = "measure_on" in given and "matrix" in given
    base: Any = {} if whole else plain(PROJECT / "config.yaml")
    if block.page == "docs/tutorial.md" and not whole:
        base = next(yaml.safe_load(one.text) for one in CONFIGS if one.page == block.page and "measure_on" in one.text)
    both = merged(deepcopy(base), given)
    if block.page == "docs/tutorial.md" and not whole and "hardware" not in given and "tasks" not in given:
        both["matrix"]["my-machine"]["llm-chat"]["models"] += list(given.get("models", {}))
    config.parse(both)
    scores = both.get("published_scores", [])
    plan({**both, "published_scores": []} if scores else both, "config.yaml")


@pytest.mark.parametrize("block", [one for one in blocks() if one.kind == "python"], ids=lambda block: block.page)
def test_every_python_block_compiles(block: Block) -> None:
    compile(block.text, block.page, "exec")


def test_every_error_that_troubleshooting_quotes_is_one() -> None:
    """Each is a part of a message in the code, the Snakefile or the Makefile."""
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = [row for part in text.split("\n## ")[1:4] for row in re.findall(r"^\| `(.+?)` \|", part, re.MULTILINE)]
    assert len(quoted) > 15
    sources = [*(PROJECT / "src").rglob("*.py"), PROJECT / "Snakefile", PROJECT / "Makefile"]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    joined = re.sub(r'"\n\s*f?"', "", code)
    assert [one for one in quoted if one not in joined and one not in code] == []


def test_lists_begin_behind_an_empty_line() -> None:
    """Else they are a list on GitHub, and a part of the paragraph on the site."""
    found = []
    for path in DOCS.rglob("*.md"):
        said = FENCE.sub("", path.read_text(encoding="utf-8")).splitlines()
        for before, here in pairwise(said):
            item = re.match(r"([-*]|\d+\.) ", here)
            if item and before.strip() and not re.match(r"([-*]|\d+\.) |\s", before):
                found.append(f"{path.name}: {here[:60]}")
    assert found == []
