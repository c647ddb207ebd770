"""The command `joulebench`, as a shell calls it."""

import argparse
import json
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest
from building import PROJECT

from joulebench import __version__
from joulebench.commands import compare, doctor, line, probe
from joulebench.config.schema import json_schema
from joulebench.errors import UserError
from joulebench.records.models import Machine
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import POINTS


def joulebench(
    *words: str, bare: bool = False, where: Path = PROJECT, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """`bare`: with the standard library alone, as where nothing is installed."""
    known = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "JOULEBENCH_"))}
    command = [sys.executable, *(["-S"] if bare else []), "-m", "joulebench", *words]
    given = known | {"PYTHONPATH": str(PROJECT / "src")} | environment
    return subprocess.run(command, cwd=where, env=given, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.slow
def test_help_names_every_command_and_needs_no_package() -> None:
    done = joulebench("--help", bare=True)
    assert done.returncode == 0, done.stderr
    for name in line.COMMANDS:
        assert f"\n    {name} " in done.stdout
        own = joulebench(name, "--help", bare=True)
        assert own.returncode == 0, own.stderr
        assert own.stdout.startswith(f"usage: joulebench {name} ")
    assert joulebench("--version", bare=True).stdout == f"joulebench {__version__}\n"


def test_the_installed_command_is_this_one() -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, name = declared["joulebench"].partition(":")
    assert getattr(import_module(module), name) is line.main


def test_what_needs_packages_says_so_in_one_line() -> None:
    done = joulebench("compare", "h100", "h200", bare=True)
    assert done.returncode == 1
    assert done.stderr == "joulebench compare: needs the package polars; see joulebench doctor\n"


def test_an_unknown_command_is_refused_with_those_that_there_are() -> None:
    done = joulebench("measure")
    assert done.returncode == 2
    assert "invalid choice: 'measure'" in done.stderr


@pytest.mark.slow
def test_schema_prints_the_committed_schema() -> None:
    done = joulebench("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == json_schema() == (PROJECT / "config/schema.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_probe_prints_a_machines_record() -> None:
    done = joulebench("probe", "cpu", "--idle-s", "0")
    assert done.returncode == 0, done.stderr
    machine = Machine.model_validate(json.loads(done.stdout))
    assert machine.cores >= 1
    assert machine.devices == []


@pytest.mark.slow
def test_probe_refuses_another_machine_and_an_unknown_name() -> None:
    done = joulebench("probe", "h100", CUDA_VISIBLE_DEVICES="-1")
    assert done.returncode == 1
    assert done.stderr.startswith("h100: needs a CUDA device that reports 'H100'; found ")
    assert len(done.stderr.splitlines()) == 1
    done = joulebench("probe", "h10")
    assert (done.returncode, done.stderr) == (1, "no hardware 'h10' in the config; did you mean 'h100'?\n")


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e300", "ten"])
def test_probe_watches_no_gpu_for_seconds_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^found {text}, expected seconds, 0 to 3600$"):
        probe.seconds(text)
    assert probe.seconds("0") == 0


@pytest.mark.slow
def test_compare_of_published_hardware() -> None:
    done = joulebench("compare", "h100", "h200", "--task", "llm-chat", "--model", "google/gemma-2-2b-it")
    assert done.returncode == 0, done.stderr
    rows = [text.split() for text in done.stdout.splitlines() if text.startswith("llm-chat")]
    assert [row[4] for row in rows] == [str(2**power) for power in range(3, 10)]
    # 47.73 and 42.46 J at B = 8, as an independent recomputation found the plain energies: 11 % less.
    first, second, change = (float(word) for word in rows[0][5:8])
    assert (first, second) == pytest.approx((47.73, 42.46), rel=5e-3)
    assert change == pytest.approx(-11.0, abs=0.5)
    assert rows[0][-1] == "less"
    assert done.stdout.splitlines()[-3:-1] == [
        "first: h100; second: h200",
        "cards of one kind differ by up to 6.6 %: what is within that is not told apart",  # as B = 64 to 256
    ]


@pytest.mark.slow
def test_compare_of_a_study(tmp_path: Path) -> None:
    """The same study with every energy doubled: each point takes 100 % more, and as many have an interval."""
    published, doubled = PROJECT / "results/h100/studies/concurrency.csv", tmp_path / "later.csv"
    names = [f"energy_per_response{end}_j" for end in ("", "_low", "_high")]
    pl.read_csv(published, infer_schema_length=None).with_columns(pl.col(names) * 2).write_csv(doubled)
    done = joulebench("compare", str(published), str(doubled))
    assert done.returncode == 0, done.stderr
    rows = [text.split() for text in done.stdout.splitlines() if text.startswith("llm-chat")]
    assert [row[4] for row in rows] == ["1", "2", "4", "8", "32", "64", "128", "256", "512"]  # at 16 it is flagged
    assert {(row[7], row[-1]) for row in rows} == {("+100.0", "more")}
    assert "cards of one kind" not in done.stdout
    done = joulebench("compare", *(["results/h100/studies/request-volume.csv"] * 2))
    assert done.stdout.count("+0.0 %      not known  no interval\n") == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("h100", "mine"), "results/mine/points.csv: missing; results/ has the points of "),
        (("h100", "h200", "--task", "llm"), "results/h100/points.csv: no task 'llm'; it has image-to-video, "),
        (("h100", "README.csv"), "README.csv: missing"),
        (
            ("h100", "results/h100/studies/hpml-claims.csv"),
            "results/h100/studies/hpml-claims.csv: another table than is read here (no column task,",
        ),
    ],
)
def test_compare_of_what_is_not_there_is_one_line(words: tuple[str, ...], said: str) -> None:
    done = joulebench("compare", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_reader_that_has_had_enough_is_no_error() -> None:
    command = f"{sys.executable} -m joulebench schema | head -1; exit ${{PIPESTATUS[0]}}"
    given = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run(["bash", "-c", command], cwd=PROJECT, env=given, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_three_significant_digits() -> None:
    assert [compare._joules(value) for value in (0.056712, 1.5204, 47.73, 6923.4, 0.0)] == [
        *("0.0567", "1.52", "47.7", "6,920", "0"),
    ]


@pytest.mark.slow
def test_doctor_ends_with_what_it_counted(capsys: pytest.CaptureFixture[str]) -> None:
    code = line.main(["doctor"])
    *_, last = capsys.readouterr().out.splitlines()
    counts = [int(part.split()[0]) for part in last.split(", ")]
    assert code == (1 if counts[0] else 0)
    assert doctor.HOME == PROJECT


def test_a_table_of_another_version_says_how_to_make_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    older = Path("results/h100/points.csv")
    older.parent.mkdir(parents=True)
    pl.read_csv(PROJECT / older, infer_schema=False).drop("client_busy_share").write_csv(older)
    line = r"made by another version \(no column client_busy_share\); make it again"
    with pytest.raises(UserError, match=rf"{line}: snakemake --cores all --force results/h100/points\.csv$"):
        read_csv(older, POINTS)
    with pytest.raises(UserError, match=rf"{line}$"):
        read_csv(older.absolute(), POINTS)
