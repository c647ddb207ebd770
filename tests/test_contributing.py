"""What a contributor is told holds: versions, links, hooks, workflows, and what Snakemake's lint says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from building import BIN, PROJECT

from joulebench import __version__

LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    releases = re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2})$", read("CHANGELOG.md"), re.MULTILINE)
    assert (__version__, citation["date-released"]) == releases[0]
    assert citation["version"] == __version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what CFF 1.2.0 requires


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "config/README.md"])
def test_links_lead_to_files(name: str) -> None:
    folder = (PROJECT / name).parent
    missing = [path for path, _ in LINK.findall(read(name)) if not (folder / path).exists()]
    assert missing == []


def test_what_contributing_names_is_there() -> None:
    text = read("CONTRIBUTING.md")
    named = re.findall(r"`((?:src|tests|docs|config|envs)/[\w./]+|\.ci/run)`", text)
    assert len(named) > 10
    assert [name for name in named if not (PROJECT / name).exists()] == []
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    called = set(
        re.findall(
            r"(?<!install )\bmake ([a-z-]+)", text + read("SECURITY.md") + read(".github/PULL_REQUEST_TEMPLATE.md")
        )
    )
    assert called - {"python"} <= targets, called - targets


def test_every_registry_that_contributing_names_is_in_its_folder() -> None:
    rows = re.findall(
        r"^\| .* \| `(src/joulebench/\w+/)` \| .*a line in `(\w+)`", read("CONTRIBUTING.md"), re.MULTILINE
    )
    assert len(rows) == 6
    for folder, registry in rows:
        assert re.search(rf"^{registry}\b", read(f"{folder}__init__.py"), re.MULTILINE), (folder, registry)


def test_workflows_call_what_ci_calls() -> None:
    ci = yaml.safe_load(read(".github/workflows/ci.yml"))
    pages = yaml.safe_load(read(".github/workflows/pages.yml"))
    steps = [step.get("run", "") for step in ci["jobs"]["test"]["steps"]]
    assert any(step.endswith(".ci/run") for step in steps)
    built = [step.get("run", "") for step in pages["jobs"]["build"]["steps"]]
    assert "make docs" in built
    assert any("results/site/index.html" in step for step in built)


@pytest.mark.parametrize("path", sorted((PROJECT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_issue_forms_have_what_github_asks(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        return
    assert {"name", "description", "body"} <= set(form)
    ids = [part["id"] for part in form["body"]]
    assert len(ids) == len(set(ids))
    assert all(part["type"] == "textarea" and part["attributes"]["label"] for part in form["body"])


def test_hooks_call_tools_and_tests_that_are_there() -> None:
    pinned = read("envs/dev.txt")
    for hook in (hook for repo in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"] for hook in repo["hooks"]):
        tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert tool == "python" or f"\n{tool}==" in pinned
        assert (BIN / tool).exists()
        for word in hook.get("args", []):
            path, _, test = word.partition("::")
            assert f"def {test}(" in read(path)


def test_the_catalogs_file_and_the_configs_own_page() -> None:
    usage = yaml.safe_load(read(".snakemake-workflow-catalog.yml"))["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    told = set(re.findall(r"^\| `(\w+)` \|", read("config/README.md"), re.MULTILINE))
    assert set(json.loads(read("config/schema.json"))["properties"]) - {"publish_flagged"} <= told


@pytest.mark.slow
def test_snakemake_lint_says_nothing_that_is_not_argued() -> None:
    """Each kind of thing that it says has a row in CONTRIBUTING."""
    command = [sys.executable, "-m", "snakemake", "--lint"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120)
    said = set(re.findall(r"^    \* (.+?)(?: in line \d+)?\.?:$", done.stdout + done.stderr, re.MULTILINE))
    said = {re.sub(r"^Environment variable \w+ ", "Environment variable ", one) for one in said}
    argued = re.findall(
        r"^\| (.+?) \| .+ \|$", read("CONTRIBUTING.md").partition("## Snakemake's own lint")[2], re.MULTILINE
    )
    assert said == {one.rstrip(".") for one in argued[1:]}, done.stdout[:300]


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 120
