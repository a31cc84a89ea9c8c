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

.PHONY: reliability
reliability: $(DEVELOP) $(NATIVE) ## Kill, crash and damage runs, and write docs/reliability.md (about 30 minutes)
	$(PIP_INSTALL) -e ".[fuzz]" --config-settings wheel.cmake=false
	PYTHONPATH=tests $(BIN)/python -m reliability

.PHONY: audit
audit: $(DEVELOP) ## Look for known vulnerabilities in the pinned and in the oldest allowed versions (needs the network)
	$(PIP_INSTALL) -e ".[audit]" --config-settings wheel.cmake=false
	PYTHONPATH=tests $(BIN)/python -m audit

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

bench: $(DEVELOP) $(NATIVE) ## Measure the speed beside the peers (about 20 minutes; see benchmarks/README.md)
	$(PIP_INSTALL) -e ".[bench]" --config-settings wheel.cmake=false
	$(BIN)/python -m benchmarks

.PHONY: selftest selftest-arm selftest-old sanitize sanitize-memory sanitize-threads

# The self-test is a program without Python: it trains small networks with every instruction set the machine has, and
# compares with a plain implementation. In selftest_wide the vectors are twice as long as those of the machine.
SELFTEST = $(CONFIGURE) -DGLASSNET_MODULE=OFF -DGLASSNET_SELFTEST=ON -B build/$@
RUN_SELFTEST = $(CMAKE) --build build/$@ && $(BIN)/ctest --test-dir build/$@ --output-on-failure
NEEDS = @command -v $(1) > /dev/null || { echo "$(1) is missing: apt-get install $(2)"; exit 1; }

selftest: $(INSTALLED) ## Check the native engine without Python
	$(SELFTEST)
	$(RUN_SELFTEST)

sanitize: sanitize-memory sanitize-threads ## The same with the compiler's checks of memory, undefined behaviour and threads

# What 512-bit code adds is in selftest_wide; the instruction sets themselves would take long to compile with checks.
sanitize-memory: CHECKS := address,undefined
sanitize-threads: CHECKS := thread
sanitize-memory sanitize-threads: $(INSTALLED)
	$(SELFTEST) -DGLASSNET_HAVE_AVX512=OFF -DGLASSNET_HAVE_AVX512_BF16=OFF -DCMAKE_BUILD_TYPE=Checked \
	  -DCMAKE_CXX_FLAGS="-g1 -O1 -fno-omit-frame-pointer -fno-var-tracking-assignments -fsanitize=$(CHECKS) -fno-sanitize-recover=all"
	$(RUN_SELFTEST)

selftest-arm: $(INSTALLED) ## The same for 64-bit ARM, emulated
	$(call NEEDS,qemu-aarch64,qemu-user)
	$(call NEEDS,aarch64-linux-gnu-g++,g++-aarch64-linux-gnu)
	$(SELFTEST) -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
	  -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static \
	  -DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64
	$(RUN_SELFTEST)

selftest-old: selftest ## The same on an x86-64 processor of 2008, emulated, which has nothing of AVX
	$(call NEEDS,qemu-x86_64,qemu-user)
	qemu-x86_64 -cpu Nehalem build/selftest/selftest 2

clean: ## Remove what builds and checks left behind; .venv and runs/ stay
	rm -rf build dist src/glassnet/engine/_native.*.so docs/build htmlcov
	rm -rf .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
