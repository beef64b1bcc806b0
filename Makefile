# On a machine with nothing but Python:  make demo   runs the main job;  make test   runs every check.
# Both make the virtual environment first, and again whenever pyproject.toml has changed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed
JOBS   ?= 2
N      ?= 20000

.DELETE_ON_ERROR:
.PHONY: help demo test test-all lint types pytest bench fuzz format clean

help:
	@echo "make demo          the gradient of a Gaussian mixture on real data, checked and timed"
	@echo "make test          lint, import rules, types and tests (JOBS=$(JOBS) processes)"
	@echo "make test-all      the same, and the tests that take long to compile: every kernel, every matrix rule"
	@echo "make bench         gradient time / primal time of the benchmark problems, to docs/benchmarks"
	@echo "make fuzz N=$(N)  that many random programs against finite differences"
	@echo "make format        rewrite the sources as the linter wants them"
	@echo "make clean         remove the virtual environment and caches"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/coenzyme demo

test: lint types pytest

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

types: $(STAMP)
	$(BIN)/pyright

pytest: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"

test-all: lint types
	$(BIN)/python -m pytest -n $(JOBS)

# Beside packages installed in the same environment: pip install '.[peers]'. BENCH='--only GMM' measures a part.
bench: $(STAMP)
	$(BIN)/python -m benchmarks $(BENCH)

fuzz: $(STAMP)
	COENZYME_FUZZ=$(N) $(BIN)/python -m pytest tests/property -n $(JOBS)

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
