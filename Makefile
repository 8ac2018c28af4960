# make demo    the whole workflow at small size, from nothing to demo/submission.csv
# make test    all tests
# make smoke   the demo at its smallest, in demo-smallest
# make lint    ruff, snakefmt and Snakemake's linter
# make clean   remove the demo, the environment and caches
#
# Packages are installed into .venv. On a machine without a GPU, PyTorch's wheels for the CPU are much smaller: give
# pip their index with PIP_EXTRA_INDEX_URL (see https://pytorch.org/get-started/locally).

PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
ACTIVE := . $(BIN)/activate &&

.PHONY: demo smoke test lint clean
.DELETE_ON_ERROR:

demo: .venv/installed
	$(ACTIVE) snakemake --cores $(CORES) submission.csv --profile profiles/demo
	@$(BIN)/python -m dfdc.demo.summary demo

smoke: .venv/installed
	$(ACTIVE) snakemake --cores $(CORES) submission.csv --profile profiles/demo --directory demo-smallest \
		--configfile profiles/demo/settings.yaml tests/tiny.yaml
	@$(BIN)/python -m dfdc.demo.summary demo-smallest

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile tests

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
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
	rm -rf .venv demo demo-smallest .pytest_cache .ruff_cache .hypothesis
