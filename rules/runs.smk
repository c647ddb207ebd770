# The only stage that needs the hardware. `shell:` and `ancient`, so that neither a fresh clone nor an edited
# script measures again; the tables hold each run's spec against the config instead.
from joulebench.plan.time_limit import runtime_min


def is_cpu(wildcards):
    return PLAN.config.hardware[wildcards.hardware].device == "cpu"


def cell_of(wildcards):
    return PLAN.cell(wildcards.hardware, wildcards.task, wildcards.run)


def slurm_of(wildcards):
    return PLAN.config.hardware[wildcards.hardware].slurm


def model_of(wildcards):
    return str(cell_of(wildcards).model_folder / "model.json")


def export_of(wildcards):
    """What the engine serves in place of the model's own files, where it does."""
    record = PLAN.export(cell_of(wildcards))
    return [] if record is None else ancient(str(record))


def prompts_served(wildcards):
    return str(PLAN.prompts(cell_of(wildcards)))


rule probe_machine:
    output:
        "results/{hardware}/machine.json",
    log:
        "logs/{hardware}/machine.log",
    priority: 100
    threads: workflow.cores
    resources:
        gpu=lambda wc: 0 if is_cpu(wc) else 1,
        gpu_model=lambda wc: slurm_of(wc).gpu_model,
        constraint=lambda wc: slurm_of(wc).constraint,
        runtime=15,
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/probe_machine.py {wildcards.hardware} {output} {log}'


rule measure:
    input:
        machine=ancient("results/{hardware}/machine.json"),
        prompts=lambda wc: ancient(prompts_served(wc)),
        model=lambda wc: ancient(model_of(wc)),
        export=export_of,
    output:
        "results/{hardware}/runs/{task}/{run}/run.json",
    log:
        "logs/{hardware}/{task}/{run}.log",
    # Repeats are measured in a random order: one at a time, after all that has to be prepared.
    priority: lambda wc: PLAN.priority(cell_of(wc))
    threads: lambda wc: workflow.cores if is_cpu(wc) else 1
    resources:
        gpu=lambda wc: 0 if is_cpu(wc) else PLAN.spec(cell_of(wc)).tensor_parallel,
        machine_percent=lambda wc: 100 if PLAN.repeated(wc.hardware) else 0,
        # For a cluster: a sweep that is cut off goes on at its first unfinished point, and a retry gets more time.
        gpu_model=lambda wc: slurm_of(wc).gpu_model,
        constraint=lambda wc: slurm_of(wc).constraint,
        runtime=lambda wc, attempt: attempt * runtime_min(PLAN.spec(cell_of(wc))),
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/measure.py {wildcards.hardware} {wildcards.task} {wildcards.run} {log}'
