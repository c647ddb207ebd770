"""What the project's own code adds to a dry run: python benchmarks/planning.py [RUNS] [PAIRS]

The same jobs are planned twice: by the project's Snakefile, and by a bare one, whose rules have the same names and
files, no config, no code and no functions but Snakemake's. Both in turn, PAIRS times, CPU seconds of the whole process
(user + system). First `all` of a config of RUNS runs that are still to be measured, then the published table of the
H100, whose records are there.
"""

import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from joulebench.config import load
from joulebench.figures import FIGURES
from joulebench.plan import Plan

PROJECT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
SNAKEMAKE = [str(Path(sys.executable).parent / "snakemake"), "--snakefile", str(PROJECT / "Snakefile")]
PUBLISHED = "results/h100/leaderboard.csv"
LINKED = ("config", "docs", "rules", "workflow", "profiles")


def main(runs: int = 2000, pairs: int = 5) -> None:
    with tempfile.TemporaryDirectory() as folder:
        many, published = Path(folder, "many"), Path(folder, "published")
        for place in (many, published):
            place.mkdir()
        write_project(many, runs)
        for name in ("config.yaml", "results", *LINKED):
            (published / name).symlink_to(PROJECT / name)
        compare(f"all of {runs} runs", many, "cpu", "all", pairs)
        compare(PUBLISHED, published, "h100", PUBLISHED, pairs)


def write_project(folder: Path, runs: int, hardware: str = "cpu") -> None:
    """The project in `folder`, with so many runs of one task on one piece of hardware to be measured."""
    raw = yaml.safe_load((PROJECT / "config.yaml").read_text())
    model = raw["models"]["joulebench/llama-1m"]
    names = [f"joulebench/llama-{number:04d}" for number in range(runs)]
    matrix = raw["matrix"][hardware]["llm-chat"] | {"models": names, "sweeps": {}}
    if hardware == "cpu":
        matrix |= {"output_length": {"kind": "reference", "tokens": 128}}  # drawn weights end no answer
    model = model | {
        "tokenizer": model["tokenizer"] | {"train_on": "llm-chat.cpu" if hardware == "cpu" else "llm-chat"}
    }
    raw["models"] = dict.fromkeys(names, model)
    raw["matrix"] = {hardware: {"llm-chat": matrix}}
    raw["measure_on"], raw["studies"] = [hardware], {}
    (folder / "config.yaml").write_text(yaml.safe_dump(raw))
    for link in LINKED:
        (folder / link).symlink_to(PROJECT / link)


def compare(what: str, folder: Path, hardware: str, target: str, pairs: int) -> None:
    """Print what each of the two takes for `target`, and their ratio pair by pair."""
    (folder / "bare.smk").write_text(bare(folder, hardware))
    words = ["-n", "--cores", "2", "--quiet", "rules", "--workflow-profile", str(PROJECT / "profiles" / "default")]
    both = [[*SNAKEMAKE, *words, "--", target], [SNAKEMAKE[0], "--snakefile", "bare.smk", *words, "--", target]]
    jobs = [_dry_run(command, folder)[0] for command in both]  # the first time each is compiled
    if jobs[0] != jobs[1]:
        sys.exit(f"{what}: other jobs in the bare Snakefile: {jobs}")
    taken_s = [[_dry_run(command, folder)[1] for command in both] for _ in range(pairs)]
    ours, bares = zip(*taken_s, strict=True)
    print(f"{what}: {jobs[0].get('total', 0)} jobs")
    print(f"  project {_spread(ours)} s, bare {_spread(bares)} s of CPU")
    print(f"  ratio {_spread([mine / its for mine, its in taken_s])}")


def _dry_run(command: Sequence[str], folder: Path) -> tuple[dict[str, int], float]:
    """The number of jobs by rule, and the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))
    return {rule: int(count) for rule, count in counts.items()}, (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    )


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def bare(folder: Path, hardware: str) -> str:
    """A Snakefile of plain lists whose rules make what the config in `folder` has for one piece of hardware."""
    here = Path.cwd()
    os.chdir(folder)  # what is planned depends on which files are there
    try:
        plan = Plan(load("config.yaml"))
        records, targets = [str(cell.record) for cell in plan.cells(hardware)], plan.targets()
        first = next(plan.cells(hardware))
        prompts = plan.prompts(first)
    finally:
        os.chdir(here)
    place, tables = f"results/{hardware}", "results/{hardware}"
    own = [f"{tables}/{name}.csv" for name in ("points", "leaderboard", "pareto", "trace")]
    figures = [name for name, figure in FIGURES.items() if not figure.across]
    across = [name for name, figure in FIGURES.items() if figure.across]
    pages = [f"{place}/{name}.csv" for name in ("points", "leaderboard", "pareto", "recommendations", "footprint")]
    trained_on = [str(prompts)] if hardware == "cpu" else []
    model, record = "results/models/{model}/model.json", f"{tables}/runs/{{task}}/{{run}}/run.json"
    drawn = f"{{figure,{'|'.join(figures)}}}"
    rules = {
        "all": (targets, []),
        "sample_prompts": ([], ["results/prompts/{prompts}.parquet", "results/prompts/{prompts}.json"]),
        "prepare_model": (trained_on, [model]),
        "export_model": ([model], ["results/models/{model}/onnx/{form}/export.json"]),
        "probe_machine": ([], [f"{tables}/machine.json"]),
        "measure": ([f"{tables}/machine.json", str(prompts), "results/models/{run}/model.json"], [record]),
        "tables": (
            [*records, f"{place}/machine.json"],
            [f"{tables}/{name}.csv" for name in ("points", "leaderboard", "left_out", "checks")],
        ),
        "trace": ([f"{tables}/leaderboard.csv", *records], [f"{tables}/trace.csv"]),
        "choices": ([own[0]], [f"{tables}/pareto.csv", f"{tables}/recommendations.csv"]),
        "carbon": ([], ["results/carbon.json"]),
        "footprint": ([own[0], "results/carbon.json"], [f"{tables}/footprint.csv"]),
        "figure": (own, [f"{tables}/figures/{drawn}.{one}" for one in ("svg", "png", "html")]),
        "figure_across": (
            pages[1:2],
            [f"results/figures/{{figure,{'|'.join(across)}}}.{one}" for one in ("svg", "png", "html")],
        ),
        "site": (pages, ["results/site/index.html"]),
        "parquet": ([f"{tables}/{{table}}.csv"], [f"{tables}/{{table}}.parquet"]),
        "fetch": (["results/models/none/model.json"], []),
        "score": ([f"{tables}/machine.json"], [f"{tables}/quality/{{task}}/{{run}}.json"]),
        "quality": ([own[0]], [f"{tables}/quality.csv"]),
        "study": (records, [f"{tables}/studies/{{study}}.csv"]),
        "claims": (records, [f"{tables}/studies/hpml-claims.csv"]),
        "study_figure": ([f"{tables}/studies/{{study}}.csv"], [f"{tables}/figures/study_{{study}}.svg"]),
        "study_as_llm_perf": ([f"{tables}/studies/{{study}}.csv"], [f"{tables}/studies/{{study}}.llm-perf.csv"]),
        "dataset": (pages, ["results/dataset/README.md"]),
        "wandb": (records, [f"{tables}/wandb/runs.json"]),
    }
    constraints = {"hardware": hardware, "run": "[A-Za-z0-9._+-]+", "model": "[A-Za-z0-9._-]+", "table": "[a-z_]+"}
    said = ["wildcard_constraints:", *(f"    {name}={pattern!r}," for name, pattern in constraints.items())]
    for name, (inputs, outputs) in rules.items():
        said += [f"rule {name}:", "    input:", f"        {inputs!r}"]
        if outputs:
            said += ["    output:", *(f"        {one!r}," for one in outputs), "    shell:", "        'false'"]
    return "\n".join(said) + "\nruleorder: claims > study\nruleorder: study_as_llm_perf > study\n"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
