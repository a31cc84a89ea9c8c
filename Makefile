# What this file does, CI does: .ci/run calls these targets. On a fresh clone each of them sets up .venv first.

PYTHON ?= python3
# Another index for torch, if you want another build than the default one (a CUDA build, say).
TORCH_INDEX ?=
# Where `make demo` puts its run.
RUN ?= runs/demo

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOP := $(VENV)/.installed-dev
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint format typecheck bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEVELOP) ## Make .venv and install glassnet with its tools, at the pinned versions

# torch goes first and alone: its pinned build is chosen before anything else can ask for another.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "glassnet needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP_INSTALL) -e '.[plot]'
	@touch $@

# The tools come second, so that the demo need not wait for them.
$(DEVELOP): $(INSTALLED)
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@

demo: $(INSTALLED) ## Train a small network on handwritten digits, check its gradients, show where its figures are
	$(BIN)/glassnet train digits --out $(RUN) --overwrite
	$(BIN)/glassnet check $(RUN) digits
	@echo "Figures:" && ls -1 $(RUN)/figures/*

test: $(DEVELOP) ## Run the tests, without the slow ones, and report the coverage
	$(BIN)/python -m pytest -m "not slow" --cov=glassnet --cov-report=term

test-slow: $(DEVELOP) ## Run the slow tests only
	$(BIN)/python -m pytest -m slow || test $$? -eq 5 # 5: there is no slow test

lint: $(DEVELOP) ## Check style, formatting, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(DEVELOP) ## Rewrite the code in the house format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: $(DEVELOP) ## Check the types only
	$(BIN)/mypy

bench: $(DEVELOP) ## Time training against scikit-learn
	$(BIN)/python -m benchmarks

clean: ## Remove what builds and checks left behind; .venv and runs/ stay
	rm -rf build dist docs/build htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
