# make help    this list
# make install install the packages into .venv
# make demo    the whole workflow on a small generated data set, up to demo/submission.csv; CONFIG=my.yaml overrides the
#              demo's settings, VERBOSE=1 prints the full logs
# make report  the demo's report, demo/report.html: one page with all figures; with the CONFIG of make demo, if any
# make test    all tests
# make smoke   the smallest possible demo, in demo-smallest
# make test-convert   tests of the conversion of TensorFlow checkpoints, with TensorFlow
# make test-timm      tests of architectures of the package timm, with timm
# make test-browser   tests of the pages of scored videos in Chromium, which is installed if needed (root, Debian)
# make test-slurm     the demo on a SLURM cluster with two simulated nodes, which is installed and started (needs root)
# make test-users     the first steps of three new users, in a fresh clone of the last commit and fresh environments
# make test-kills     tests with killed runs, killed at more points than in make test
# make test-cores     check that a run on one core gives the same files as on two
# make fuzz    read randomly damaged files of all kinds for SECONDS=600, see tests/fuzz
# make why     explain which jobs would run and why; make why ARGS="--profile profiles/demo" for the demo, make why
#              CONFIG=my.yaml for make demo CONFIG=my.yaml
# make accept  keep results after a change of code that does not affect them; ARGS as for make why
# make bench   benchmarks of each component against an alternative
# make bench-gpu      check a GPU's results, then time a training step, the loader, detection and scoring; nine minutes
# make bench-gpu-tiny the same at tiny size, to check that it runs, with or without a GPU
# make ablation   ablation study: train the demo's model without one component each, three seeds
# make scale   scaling test of the data stages: 119,154 tiny videos, in the folder scale
# make lint    ruff, snakefmt, import-linter, Snakemake's linter, and the generated parts of docs
# make clean   remove the demo, the environments and caches
#
# CORES=4 uses four cores instead of all; PYTHON=python3.12 chooses the Python for .venv.
# On a machine without a GPU, PyTorch's CPU wheels are much smaller: set PIP_EXTRA_INDEX_URL to their index
# (see https://pytorch.org/get-started/locally).

PYTHON ?= python3
CORES ?= all
SECONDS ?= 600
SEED ?= 0
BIN := .venv/bin
ACTIVE := . $(BIN)/activate &&
# What Snakemake and the jobs say goes to their logs, unless VERBOSE is set.
BRIEF := $(if $(VERBOSE),,DFDC_BRIEF=1)
# The demo, with settings on top of its own.
DEMO := --profile profiles/demo $(if $(CONFIG),--configfile $(CONFIG))
# Before Snakemake reads them, which has no messages for some mistakes.
CONFIG_IS_READABLE := $(if $(CONFIG),$(BIN)/python -m dfdc.config.reading $(CONFIG),true)
ARGS ?= $(if $(CONFIG),$(DEMO))

.DEFAULT_GOAL := help
.PHONY: help install demo report smoke test test-convert test-timm test-browser test-users test-kills test-slurm test-cores fuzz why accept bench bench-gpu bench-gpu-tiny ablation scale lint clean
.DELETE_ON_ERROR:

# The first lines of this file.
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

install: .venv/installed

# The longest training starts first, so that the others fill the remaining cores.
demo: .venv/installed
	@$(CONFIG_IS_READABLE)
	$(ACTIVE) $(BRIEF) snakemake --cores $(CORES) all $(DEMO) --prioritize results/models/seq/weights.safetensors
	@$(BIN)/python -m dfdc.demo.summary demo profiles/demo/settings.yaml $(CONFIG)

# Neither generating nor viewing the page needs a network. What Snakemake says of every figure is shown only if it fails.
report: .venv/installed
	@test -d demo/results || { echo "There is no demo to report on. Run make demo first."; exit 1; }
	@$(CONFIG_IS_READABLE)
	@$(ACTIVE) snakemake --report report.html $(DEMO) >demo/logs/report.log 2>&1 || \
		{ cat demo/logs/report.log; exit 1; }
	@echo "The report: demo/report.html"
	@echo "It shows people's faces: share it only as you would their videos."

smoke: .venv/installed
	$(ACTIVE) $(BRIEF) snakemake --cores $(CORES) submission.csv --profile profiles/demo --directory demo-smallest \
		--configfile profiles/demo/settings.yaml tests/tiny.yaml
	@$(BIN)/python -m dfdc.demo.summary demo-smallest profiles/demo/settings.yaml tests/tiny.yaml

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# In a separate environment, because TensorFlow is large and only needed to convert its checkpoints.
test-convert: .venv-convert/installed
	PYTHONPATH=lib .venv-convert/bin/python -m pytest tests/convert

.venv-convert/installed: pyproject.toml requirements.txt
	$(PYTHON) -m venv .venv-convert
	.venv-convert/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt \
		"$$(sed -n 's/^convert = \["\(.*\)"\]/\1/p' pyproject.toml)"
	@touch $@

# In a separate environment, because timm is an extra, and it wants torchvision.
test-timm: .venv-timm/installed
	PYTHONPATH=lib .venv-timm/bin/python -m pytest tests/timm

.venv-timm/installed: pyproject.toml requirements.txt
	$(PYTHON) -m venv .venv-timm
	.venv-timm/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	.venv-timm/bin/pip install --quiet --disable-pip-version-check timm==1.0.31 torchvision==0.28.0
	@touch $@

# In a separate environment, because it is large. Where there is no Chromium, and it cannot be installed, the tests are
# skipped with a reason. DFDC_SCREENSHOTS=FOLDER keeps screenshots of the pages.
test-browser: .venv-browser/installed
	PYTHONPATH=lib .venv-browser/bin/python -m pytest tests/browser

.venv-browser/installed: pyproject.toml requirements.txt
	$(PYTHON) -m venv .venv-browser
	.venv-browser/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	.venv-browser/bin/pip install --quiet --disable-pip-version-check playwright==1.65.2 starlette==1.10.0 uvicorn==0.54.0
	@touch $@

# On Debian and its derivatives; elsewhere, or without root, the tests are skipped with a reason.
test-slurm: .venv/installed
	$(BIN)/python -m pytest tests/slurm -rs

# In a fresh clone of what is committed, with fresh environments.
test-users: .venv/installed
	$(BIN)/python -m pytest tests/users

test-kills: .venv/installed
	DFDC_KILLS=20 $(BIN)/python -m pytest tests/run/test_kills.py tests/stages

fuzz: .venv/installed
	$(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS) --seed $(SEED)

test-cores: .venv/installed
	$(BIN)/python -m pytest tests/cores

why: .venv/installed
	@$(CONFIG_IS_READABLE)
	@$(ACTIVE) python workflow/why.py $(ARGS)

accept: .venv/installed
	@$(ACTIVE) python workflow/accept.py $(ARGS)

bench: .venv/installed
	$(BIN)/python benchmarks/networks.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/recompression.py
	$(BIN)/python benchmarks/detection.py
	$(BIN)/python benchmarks/tracks.py
	$(BIN)/python benchmarks/stores.py
	$(BIN)/python benchmarks/extraction.py

# BENCH_ARGS, for example --out FOLDER or --dsfd-weights FILE.
bench-gpu: .venv/installed
	$(BIN)/python benchmarks/gpu $(BENCH_ARGS)

bench-gpu-tiny: .venv/installed
	$(BIN)/python benchmarks/gpu --tiny $(BENCH_ARGS)

ablation: .venv/installed
	$(BIN)/python benchmarks/ablation.py

scale: .venv/installed
	$(BIN)/python benchmarks/scale.py --cores $(CORES)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules workflow/Snakefile
	$(BIN)/lint-imports --no-cache
	$(BIN)/python workflow/modules.py --check
	$(BIN)/python workflow/tables.py --check
	$(BIN)/python workflow/settings.py --check
	$(ACTIVE) snakemake --lint --profile profiles/demo

# requirements.txt pins all packages, pyproject.toml the build requirements.
.venv/installed: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version). Name another with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv .venv-convert .venv-timm .venv-browser demo demo-smallest scale .pytest_cache .ruff_cache .hypothesis
