# Each target makes .venv when it is missing and brings it up to date when what it was made from
# has changed.  PYTHON chooses the interpreter (3.11 or later), RUN_ARGS goes to `convkit train`,
# TEST_ARGS to pytest, COMPARE_ARGS, BENCH_ARGS and BENCHMARK_ARGS to the three parts of `make bench`,
# SANITIZE_ARGS to `convkit conformance` under the sanitizers, MUTANT_ARGS to the planted bugs.
# CONVKIT_BUILD_JOBS is how many files compile at a time; without it make's -j, or one for each core.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first that runs and is new enough: a name on the PATH may be a shim without a Python behind it.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; \
	then echo "$$python"; break; fi; done)
BIN := .venv/bin
RUN_ARGS ?=
COMPARE_ARGS ?=
BENCH_ARGS ?= --set course
BENCHMARK_ARGS ?=
TEST_ARGS ?=
MUTANT_ARGS ?=
SANITIZE_ARGS ?=
export SANITIZE_ARGS

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What the installed package was built from: the list of packages and the compiled backend.  Python
# files are not in it, for the install is editable.
BUILT_FROM := setup.py pyproject.toml $(wildcard MANIFEST.in) $(wildcard build_support/*.py) \
	$(shell find backends/cython -name '*.py[xi]' -o -path '*/src/*' -type f 2>/dev/null | sort)

# What has a page of its own; names that `import convkit` loads on first use are on their module's.
PAGES := convkit $(addprefix convkit,.contract .spec .errors .operations .gradcheck .layers .replay \
	.calls.tracing .calls.verifier .selection.scope .selection.transfer \
	.models.modules .models.sequential .models.loading .models.prediction .models.exporting .preprocessing .training.estimator .models.three_layer .models.deep .models.affine .training.data .training.solver \
	.training.optim .training.sweeps .conformance)

.PHONY: run test test-fast test-all bench lint docs sanitize mutants clean help

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

run: .venv/run.stamp  ## Train a network on digits and write a report of it under runs/
	$(BIN)/convkit train $(RUN_ARGS)

# One worker for each core, at most 8.  The benchmarks are no tests: see bench.
PYTEST := $(BIN)/python -m pytest -q --ignore=tests/benchmarks \
	--numprocesses auto --maxprocesses 8 --dist worksteal

test: .venv/dev.stamp  ## Run the tests, but for those that take long: under 5 minutes on 2 cores
	$(PYTEST) --tests usual $(TEST_ARGS)

test-fast: .venv/dev.stamp  ## Run the quick tests and a sample of many cases: under 90 seconds
	$(PYTEST) --tests fast $(TEST_ARGS)

test-all: .venv/dev.stamp  ## Run every test, the slow ones included
	$(PYTEST) --tests all $(TEST_ARGS)

bench: .venv/bench.stamp  ## Time the backends against each other, and against PyTorch where it is installed
	$(BIN)/convkit compare $(COMPARE_ARGS)
	$(BIN)/convkit bench $(BENCH_ARGS) $$($(BIN)/python -c 'import torch' 2> /dev/null && echo --vs torch)
	if compgen -G 'tests/benchmarks/test_*.py' > /dev/null; \
	then $(BIN)/python -m pytest -q tests/benchmarks --benchmark-only $(BENCHMARK_ARGS); fi

lint: .venv/dev.stamp  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	find backends -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' \
		| PATH="$(CURDIR)/$(BIN):$$PATH" xargs -r cython-lint

docs: .venv/docs.stamp  ## Write the API's pages under site/
	rm -rf site
	$(BIN)/python -m pdoc --docformat markdown --output-directory site $(PAGES)

sanitize: .venv/dev.stamp  ## Run the compiled kernels under the sanitizers for threads, memory and undefined behaviour
	tools/race.sh
	tools/sanitize.sh $(BIN)/python

mutants: .venv/dev.stamp  ## Write docs/conformance-mutants.md: which check finds which planted bug
	PYTHONPATH=tests $(BIN)/python -m conformance_mutants $(MUTANT_ARGS)

clean:  ## Remove what was built, except .venv (and never runs/ or data/)
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f backends/cython/_kernels.c backends/cython/_kernels.html backends/cython/*.so
	rm -f .venv/*.stamp
	find convkit backends tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@test -n "$(PYTHON)" \
		|| { echo "convkit needs Python 3.11 or later; set PYTHON=... to one" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv

# What compiles the kernels is installed in .venv too.  pip would otherwise make an environment with
# the same packages for each build, and throw it away.
.venv/build.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -c 'import tomllib; \
		print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		> .venv/build-requires.txt
	$(BIN)/python -m pip install --quiet --requirement .venv/build-requires.txt
	touch $@

# One stamp per set of optional packages, so that `make run` need not wait for the test tools; every
# set holds what `make run` needs.
# pip shows nothing of what a build prints, so the kernels are compiled before it, into build/; pip
# then finds them there.  Kernels for tests alone are built where the tests are set up, and stay.
define install
	export CONVKIT_BUILD_WIDE=$(if $(filter dev,$(1))$(wildcard .venv/dev.stamp),1,0); \
	$(BIN)/python setup.py --quiet build_clib; \
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[$(1)]'
	touch $@ .venv/run.stamp
endef

.venv/run.stamp: $(BUILT_FROM) .venv/build.stamp
	$(call install,train)

.venv/dev.stamp: $(BUILT_FROM) .venv/build.stamp
	$(call install,dev)

.venv/bench.stamp: $(BUILT_FROM) .venv/build.stamp
	$(call install,all)

.venv/docs.stamp: $(BUILT_FROM) .venv/build.stamp
	$(call install,all)
	$(BIN)/python -m pip install --quiet 'pdoc>=14'
