# make demo    the whole workflow at small size, from nothing to demo/submission.csv
# make test    all tests
# make lint    ruff, snakefmt and Snakemake's linter
# make clean   remove the demo, the environment and caches
#
# Packages are installed into .venv. On a machine without a GPU, PyTorch's wheels for the CPU are much smaller: give
# pip their index with PIP_EXTRA_INDEX_URL (see https://pytorch.org/get-started/locally).

PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
ACTIVE := . $(BIN)/activate &&

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

demo: .venv/installed
	$(ACTIVE) snakemake --cores $(CORES) submission.csv --profile profiles/demo
	@$(BIN)/python -m dfdc.demo.summary demo

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile tests

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(ACTIVE) snakemake --lint --profile profiles/demo

# The lock holds the versions of all packages, and pip's own build tools are pinned by the packages that need them.
.venv/installed: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version). Name another with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv demo .pytest_cache .ruff_cache .hypothesis
