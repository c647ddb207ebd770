# Joulebench: config.yaml -> prompts -> models -> runs -> tables -> figures.
import os
import re
import shlex
import sys
from pathlib import Path

from joulebench.errors import UserError
from joulebench.config import hand_over
from joulebench.inputs.yaml_files import read_yaml
from joulebench.plan import plan
from joulebench.plan.code import made_by
from joulebench.plan.told import before_measuring, where_it_lies


def end_here(why):
    """In one line, where an exception would be Snakemake's traceback."""
    print(why, file=sys.stderr)
    sys.exit(1)


if not Path("workflow", "scripts").is_dir():
    end_here(
        f"{Path.cwd()}: not the project's folder, whose files the rules name; without --directory, give: "
        f"cd {shlex.quote(str(workflow.basedir))} && snakemake ..."
    )

if not os.access(".", os.W_OK):
    end_here(
        f"{Path.cwd()}: cannot be written, and Snakemake keeps its records there; make it writable, or copy the project"
    )

try:
    # Snakemake reads what a file says twice, or what YAML 1.1 alone takes for a number, without a word.
    for file in workflow.configfiles or ["config.yaml"]:
        read_yaml(Path(file), "config")
except UserError as error:
    end_here(error)

if not workflow.configfiles:

    configfile: "config.yaml"


try:
    PLAN = plan(config, Path(workflow.configfiles[-1]).name)
    for line in [*PLAN.replaced(), *PLAN.stays_drawn()]:
        print(line, file=sys.stderr)
except UserError as error:
    end_here(error)

# What the rules' own processes need: this interpreter, and the config as it was resolved here. Not in the rules'
# text, where another path would look like other code, and measure again.
os.environ["JOULEBENCH_PYTHON"] = sys.executable
os.environ["JOULEBENCH_CONFIG"] = str(
    hand_over(PLAN.config, Path(".snakemake", "joulebench"))
)


wildcard_constraints:
    hardware="|".join({**PLAN.config.matrix, **PLAN.config.studies}),
    task="|".join(PLAN.groups),
    study="|".join({one for of in PLAN.config.studies.values() for one in of}) or "none",
    prompts="|".join(map(re.escape, PLAN.config.prompts)),
    model=r"[A-Za-z0-9._-]+",
    form=r"[a-z0-9]+-[a-z]+",
    run=r"[A-Za-z0-9._+-]+(@[0-9]+)?",


report: "docs/report/workflow.rst"


def code(script, *modules):
    """Of what a script is made, and of the modules that it finds by their names: a change of it makes its product again."""
    return made_by(
        Path(workflow.basedir, "workflow", "scripts", f"{script}.py"), *modules
    )


def asked_again():
    """What is to be made again whatever is there: rules and files that the command line names, or "*" for all."""
    settings = workflow.dag_settings
    again = {
        *settings.forcerun,
        *(settings.targets if settings.forcetargets else []),
    }
    return {"*"} if settings.forceall else set(map(os.path.normpath, again))


def refuse_elsewhere():
    """End here where this machine cannot make again what it is about to: Snakemake removes a job's output before it runs.

    On a cluster the jobs run on another machine, and nobody here can tell.
    """
    from joulebench.meters.machine import require_kind

    again = {
        job.wildcards.hardware
        for job in workflow.persistence.dag.needrun_jobs()
        if job.rule.name in ("probe_machine", "measure", "score")
        and any(Path(file).exists() for file in job.output)
    }
    try:
        for name in sorted(again):
            wanted = PLAN.config.hardware[name]
            require_kind(name, wanted.device, wanted.reports_as)
    except UserError as error:
        end_here(f"{error}; nothing was removed")


# With an executor other than the local one, what needs no measured hardware stays where snakemake was called.
localrules:
    all,
    fetch,
    sample_prompts,
    prepare_model,
    export_model,
    tables,
    choices,
    trace,
    carbon,
    footprint,
    figure,
    figure_across,
    study,
    claims,
    study_figure,
    study_as_llm_perf,
    quality,
    site,
    parquet,
    dataset,
    wandb,


rule all:
    input:
        PLAN.targets(),


rule fetch:  # all that needs a network: for a login node, before jobs run where there is none
    input:
        lambda wildcards: PLAN.prepared(),


include: "rules/prompts.smk"
include: "rules/models.smk"
include: "rules/runs.smk"
include: "rules/tables.smk"
include: "rules/studies.smk"
include: "rules/quality.smk"
include: "rules/footprint.smk"
include: "rules/figures.smk"
include: "rules/site.smk"
include: "rules/exports.smk"


def said_before_measuring():
    """What is about to be measured, and for how long at least; that this machine is busy, where it is."""
    jobs = workflow.persistence.dag.needrun_jobs()
    cells = [cell_of(job.wildcards) for job in jobs if job.rule.name == "measure"]
    return before_measuring(PLAN, cells, workflow.local_exec)


onstart:
    # What is to be measured again, for measure.py: Snakemake has removed run.json by then, whether it was asked to
    # (--force, --forcerun, --forceall) or a run that had ended well was never noticed. A cluster's job is told by the
    # environment, and has a --force of its own.
    if workflow.is_main_process:
        os.environ["JOULEBENCH_ANEW"] = "\n".join(sorted(asked_again()))
        if workflow.local_exec and not workflow.touch:
            refuse_elsewhere()
        for line in said_before_measuring():
            print(line, file=sys.stderr)


onsuccess:
    # Below a rule whose text has changed, Snakemake can leave what was asked for to a second pass and call that success.
    asked = {
        str(file)
        for job in workflow.persistence.dag.targetjobs
        for file in (job.output or job.input)
    }
    if missing := sorted(file for file in asked if not Path(file).exists()):
        end_here(
            f"not made yet: {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}; "
            "a rule above has changed and ran first; give the same command again"
        )
    if workflow.is_main_process:
        for line in where_it_lies(asked):
            print(line, file=sys.stderr)
