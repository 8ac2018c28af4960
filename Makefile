# make install the packages, into .venv
# make demo    the whole workflow at small size, from nothing to demo/submission.csv
# make report  its report, demo/report.html: one page with all figures
# make test    all tests
# make smoke   the demo at its smallest, in demo-smallest
# make test-convert   the conversion of TensorFlow's checkpoints, with TensorFlow
# make test-slurm     the demo on a SLURM cluster of one pretended node, which it installs and starts (needs root)
# make test-kills     runs that are killed, at more moments than in make test, and one in as many pieces as stages
# make why     what would run and why, in words; make why ARGS="--profile profiles/demo" for the demo
# make bench   how fast things are, each against another way of doing the same, in one run
# make ablation   trainings of the demo without one ingredient each, three seeds
# make scale   how the data half grows with the data: 119,154 tiny videos, in the folder scale
# make lint    ruff, snakefmt, import-linter, Snakemake's linter, and the generated parts of docs
# make clean   remove the demo, the environment and caches
#
# Packages are installed into .venv. On a machine without a GPU, PyTorch's wheels for the CPU are much smaller: give
# pip their index with PIP_EXTRA_INDEX_URL (see https://pytorch.org/get-started/locally).

PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
ACTIVE := . $(BIN)/activate &&

.PHONY: install demo report smoke test test-convert test-kills test-slurm why bench ablation scale lint clean
.DELETE_ON_ERROR:

install: .venv/installed

# The longest training first: the others then fill the cores beside it.
demo: .venv/installed
	$(ACTIVE) snakemake --cores $(CORES) all --profile profiles/demo \
		--prioritize results/models/seq/weights.safetensors
	@$(BIN)/python -m dfdc.demo.summary demo

# The page needs no network, neither to be made nor to be looked at.
report: .venv/installed
	$(ACTIVE) snakemake --report report.html --profile profiles/demo

smoke: .venv/installed
	$(ACTIVE) snakemake --cores $(CORES) submission.csv --profile profiles/demo --directory demo-smallest \
		--configfile profiles/demo/settings.yaml tests/tiny.yaml
	@$(BIN)/python -m dfdc.demo.summary demo-smallest

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

# In an environment of its own: TensorFlow is large, and only the conversion of its checkpoints needs it.
test-convert: .venv-convert/installed
	PYTHONPATH=lib .venv-convert/bin/python -m pytest tests/convert

.venv-convert/installed: pyproject.toml requirements.txt
	$(PYTHON) -m venv .venv-convert
	.venv-convert/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt \
		"$$(sed -n 's/^convert = \["\(.*\)"\]/\1/p' pyproject.toml)"
	@touch $@

# In Debian and what is made of it; elsewhere, and without root, it says why not and skips the tests.
test-slurm: .venv/installed
	$(BIN)/python -m pytest tests/slurm -rs

test-kills: .venv/installed
	DFDC_KILLS=20 $(BIN)/python -m pytest tests/run/test_kills.py tests/stages

why: .venv/installed
	@$(ACTIVE) python workflow/why.py $(ARGS)

bench: .venv/installed
	$(BIN)/python benchmarks/networks.py
	$(BIN)/python benchmarks/training.py --loader
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/recompression.py
	$(BIN)/python benchmarks/detection.py
	$(BIN)/python benchmarks/tracks.py
	$(BIN)/python benchmarks/stores.py
	$(BIN)/python benchmarks/extraction.py

ablation: .venv/installed
	$(BIN)/python benchmarks/ablation.py

scale: .venv/installed
	$(BIN)/python benchmarks/scale.py --cores $(CORES)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/lint-imports --no-cache
	$(BIN)/python workflow/modules.py --check
	$(BIN)/python workflow/tables.py --check
	$(BIN)/python workflow/settings.py --check
	$(ACTIVE) snakemake --lint --profile profiles/demo

# requirements.txt pins every package, and pyproject.toml what builds this one.
.venv/installed: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version). Name another with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv .venv-convert demo demo-smallest scale .pytest_cache .ruff_cache .hypothesis
