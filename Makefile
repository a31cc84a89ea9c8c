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
# What pip installs to build a package is pinned, too; newer versions of pip want the second name.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt

SOURCES := CMakeLists.txt $(wildcard src/glassnet/engine/csrc/*)
NATIVE := build/native/.installed
CMAKE := $(BIN)/cmake
CONFIGURE := $(CMAKE) -S . -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja

.DEFAULT_GOAL := help
.PHONY: help setup native demo test test-slow lint format typecheck bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEVELOP) $(NATIVE) ## Make .venv and install glassnet with its tools, at the pinned versions

# torch goes first and alone: its pinned build is chosen before anything else can ask for another. The native engine is
# not built here but below, in pieces.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "glassnet needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP_INSTALL) --config-settings wheel.cmake=false -e '.[plot]'
	$(PIP_INSTALL) cmake nanobind ninja
	@touch $@

# The tools come second, so that the demo need not wait for them.
$(DEVELOP): $(INSTALLED)
	$(PIP_INSTALL) --config-settings wheel.cmake=false -e '.[dev]'
	@touch $@

# Only what has changed is compiled. Without a compiler for it there is no native engine, and all goes on without it;
# CI wants it.
$(NATIVE): $(INSTALLED) $(SOURCES)
	@if $(CONFIGURE) -B build/native -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python \
	    -Dnanobind_DIR="$$($(BIN)/python -m nanobind --cmake_dir)"; then \
	  $(CMAKE) --build build/native && $(CMAKE) --install build/native && touch $@; \
	else \
	  rm -rf build/native; \
	  echo "The native engine is left out: see above what its build lacks."; test -z "$$GLASSNET_CI"; \
	fi

native: $(NATIVE) ## Build the native engine in place

demo: $(INSTALLED) $(NATIVE) ## Train a small network on handwritten digits, check its gradients, show where its figures are
	$(BIN)/glassnet train digits --out $(RUN) --overwrite
	$(BIN)/glassnet check $(RUN) digits
	@echo "Figures:" && ls -1 $(RUN)/figures/*

test: $(DEVELOP) $(NATIVE) ## Run the tests, without the slow ones, and report the coverage
	$(BIN)/python -m pytest -m "not slow" --cov=glassnet --cov-report=term

test-slow: $(DEVELOP) $(NATIVE) ## Run the slow tests only
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

bench: $(DEVELOP) $(NATIVE) ## Time training against scikit-learn
	$(BIN)/python -m benchmarks

clean: ## Remove what builds and checks left behind; .venv and runs/ stay
	rm -rf build dist src/glassnet/engine/_native.*.so docs/build htmlcov
	rm -rf .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
