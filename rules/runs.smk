# The only stage that needs the hardware. `shell:` and `ancient`, so that neither a fresh clone nor an edited
# script measures again; the tables hold each run's spec against the config instead.
from joulebench.errors import UserError
from joulebench.plan import as_asked
from joulebench.plan.time_limit import runtime_min


def is_cpu(wildcards):
    return PLAN.config.hardware[wildcards.hardware].device == "cpu"


def cell_of(wildcards):
    try:
        return PLAN.cell(wildcards.hardware, wildcards.task, wildcards.run)
    except UserError as error:
        end_here(error)


def slurm_of(wildcards):
    return PLAN.config.hardware[wildcards.hardware].slurm


# Snakemake calls a function for every job, and a constant for none.
def if_repeated(function):
    return function if any(map(PLAN.repeated, PLAN.config.hardware)) else 0


def for_slurm(function):
    return function if PLAN.on_slurm else None


def taken_from(record, log, *files):
    """`files` as the inputs of what measures or scores, whose product is `record`.

    `ancient` keeps a file from making its product again only where the file is there (snakemake's dag.py). One that is
    missing, and made for somebody else, would have what was published measured again. So a record that came with the
    project, which no log here tells of, takes none that is missing, unless it is asked for again.
    """
    again = {"*", "measure", "score", str(record)} & asked_again()
    came = Path(record).exists() and not Path(log).exists() and not again
    return [ancient(str(file)) for file in files if not came or Path(file).exists()]


def require_as_asked(cell):
    """End here where prompts or model of a run that is to be measured were made under another config.

    Nothing makes them again by itself; and where Snakemake means to, it plans nothing of what comes after them.
    """
    try:
        as_asked.require_as_asked(PLAN, cell, asked_again())
    except UserError as error:
        end_here(error)


def made_of(wildcards):
    """The prompts and the model of a run, and what an engine serves in place of the model's own files, where it does."""
    cell = cell_of(wildcards)
    require_as_asked(cell)
    export = PLAN.export(cell)
    model = cell.model_folder / "model.json"
    return [PLAN.prompts(cell), model, *([] if export is None else [export])]


def measured_of(wildcards):
    log = f"logs/{wildcards.hardware}/{wildcards.task}/{wildcards.run}.log"
    return taken_from(cell_of(wildcards).record, log, *made_of(wildcards))


rule probe_machine:
    output:
        "results/{hardware}/machine.json",
    log:
        "logs/{hardware}/machine.log",
    priority: 100
    threads: workflow.cores
    resources:
        gpu=lambda wc: 0 if is_cpu(wc) else 1,
        gpu_model=for_slurm(lambda wc: slurm_of(wc).gpu_model),
        constraint=for_slurm(lambda wc: slurm_of(wc).constraint),
        runtime=15,
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/probe_machine.py {wildcards.hardware} {output} {log}'


rule measure:
    input:
        machine=ancient("results/{hardware}/machine.json"),
        made_of=measured_of,
    output:
        "results/{hardware}/runs/{task}/{run}/run.json",
    log:
        "logs/{hardware}/{task}/{run}.log",
    # Repeats are measured in a random order: one at a time, after all that has to be prepared.
    priority: if_repeated(lambda wc: PLAN.priority(cell_of(wc)))
    threads: lambda wc: workflow.cores if is_cpu(wc) else 1
    resources:
        gpu=lambda wc: 0 if is_cpu(wc) else PLAN.spec(cell_of(wc)).tensor_parallel,
        machine_percent=if_repeated(lambda wc: 100 * PLAN.repeated(wc.hardware)),
        # For a cluster: a sweep that is cut off goes on at its first unfinished point, and a retry gets more time.
        gpu_model=for_slurm(lambda wc: slurm_of(wc).gpu_model),
        constraint=for_slurm(lambda wc: slurm_of(wc).constraint),
        runtime=lambda wc, attempt: attempt * runtime_min(PLAN.spec(cell_of(wc))),
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/measure.py {wildcards.hardware} {wildcards.task} {wildcards.run} {log}'
