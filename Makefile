# Every chore of the repository. `make` alone lists them.
#
# Needs make, bash and a Python >= 3.11 with venv; everything else is installed into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.setup-done
# Which Python makes .venv: the first of these that is new enough, or the one named by PYTHON=.
PYTHON ?=
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)
# More options for pytest, as in: make test-all PYTEST_ARGS='-k matching'
PYTEST_ARGS ?=
PYTEST := $(PY) -m pytest
# A field's build may hold 2 GB; more than four at once help no laptop.
PARALLEL := -n logical --maxprocesses 4 --dist loadfile

PROJECTS := $(sort $(wildcard packages/*/pyproject.toml))
DISTS := $(patsubst packages/%/pyproject.toml,%,$(PROJECTS))
EDITABLE := $(patsubst %,-e packages/%,$(DISTS))

# uv ignores pip's settings: hand over the folders of wheels that pip knows. Without any, take the
# build of torch that fits the machine (CPU without a GPU) wherever a package needs torch.
empty :=
space := $(empty) $(empty)
comma := ,
UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
export UV_FIND_LINKS
ifeq ($(strip $(UV_FIND_LINKS)),)
UV_TORCH_BACKEND ?= auto
export UV_TORCH_BACKEND
endif

.PHONY: help
help: ## list the targets (this is the default)
	@printf 'make TARGET, where TARGET is one of\n\n'
	@grep -hE '^[a-z$$()%-]+:.*## ' Makefile | grep -v '^test-%' \
	    | awk -F ':.*## ' '{ printf "  %-24s %s\n", $$1, $$2 }'
	@for dist in $(DISTS); do \
	    printf '  %-24s %s\n' "test-$$dist" "run the tests of packages/$$dist"; \
	done

.PHONY: setup
setup: $(STAMP) ## make .venv and install all packages (editable), their tested versions, the tools

$(PY):
	@for python in $(PYTHONS); do \
	    if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	        2>/dev/null; then \
	        echo "making $(VENV) with $$("$$python" --version) ($$python)"; \
	        exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo "make: no Python >= 3.11 with the modules venv and ensurepip found" \
	    "(tried: $(PYTHONS)); install one or name it: make setup PYTHON=/path/to/python3.12" >&2; \
	exit 1

$(STAMP): constraints.txt pyproject.toml $(PROJECTS) | $(PY)
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "make: $(VENV) holds $$($(PY) --version), expected 3.11 or newer;" \
	        "remove $(VENV) and run make setup again" >&2; \
	    exit 1; \
	}
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip --upgrade
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt pip uv
	@# Where uv cannot reach the packages (an index that only pip is told of), pip does the same work.
	$(PY) -m uv pip install --python $(PY) -c constraints.txt --group dev $(EDITABLE) \
	    || $(PY) -m pip install -c constraints.txt --group dev $(EDITABLE)
	@touch $@

.PHONY: demo
demo: setup ## mock fields, their hypercubes, the check against the truth, tokens, a model, HTML reports (minutes)
	$(PY) tools/demo.py

.PHONY: test-all
test-all: setup lint types imports ## everything that must hold: lint, types, imports, all tests
	$(PYTEST) $(PARALLEL) $(PYTEST_ARGS)

.PHONY: $(addprefix test-,$(DISTS))
$(addprefix test-,$(DISTS)): test-%: setup
	$(PYTEST) $(PARALLEL) packages/$* $(PYTEST_ARGS)

.PHONY: test-integration
test-integration: setup ## run the tests that cross packages: commands, packaging, file hand-overs
	$(PYTEST) $(PARALLEL) tests $(PYTEST_ARGS)

.PHONY: test-isolated
test-isolated: build ## install each wheel alone into a bare environment and run its command
	$(PY) tools/isolated_install.py

.PHONY: test-lowest
test-lowest: build ## run each package's tests with the oldest versions that it says it supports
	$(PY) tools/isolated_install.py --lowest

.PHONY: test-sdist
test-sdist: build ## run the tests that each sdist holds, where it is unpacked
	$(PY) tools/isolated_install.py --sdist

.PHONY: audit
audit: setup ## look for known vulnerabilities in the tested versions (asks a database on the net)
	$(PY) -m uv tool run pip-audit --requirement constraints.txt --no-deps --disable-pip

.PHONY: coverage
coverage: setup ## run all tests in one process and print which lines they miss
	$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest $(PYTEST_ARGS)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

.PHONY: lint
lint: setup ## ruff: rules and layout
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

.PHONY: types
types: setup ## mypy --strict over the packages and tools
	$(PY) -m mypy --strict $(patsubst %,packages/%/src,$(DISTS)) tools

.PHONY: imports
imports: setup ## import-linter: which module may import which
	$(VENV)/bin/lint-imports --no-cache

.PHONY: bench
bench: setup ## run the benchmarks of all packages and record their results for the docs
	$(PY) tools/run_benchmarks.py

.PHONY: docs
docs: setup ## build the site into build/docs (warnings are errors)
	$(PY) -m sphinx -W -b html -d build/doctrees docs build/docs

.PHONY: build
build: setup ## build the wheel and sdist of every package into dist/
	rm -rf dist
	for dist in $(DISTS); do \
	    $(PY) -m build --no-isolation --outdir dist packages/$$dist || exit 1; \
	done

.PHONY: constraints
constraints: setup ## resolve all requirements anew into constraints.txt, keeping its versions
	$(PY) tools/refresh_constraints.py

.PHONY: clean
clean: ## remove everything that the targets above wrote, except .venv
	rm -rf build demo dist .import_linter_cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find packages tests tools docs -name __pycache__ -type d -prune -exec rm -rf {} +
