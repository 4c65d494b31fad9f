# Six verbs: setup, demo, test, check, bench, soak. All they make lies in .venv and demo-vault.
# Needs make and a Python of 3.11 or newer. To take another one than python3:  make clean demo PYTHON=/path/to/python

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
HOST := $(VENV)/bin/mcp-host
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt
PACKAGES := servers shared host
NEEDS := pyproject.toml constraints.txt
VAULT := demo-vault
ARGS ?=
PEERS ?=

# Some machines set it, and every start of a process then compiles the whole library again.
unexport PYTHONDONTWRITEBYTECODE

# An environment whose Python was removed or replaced is of no use: it is made anew.
$(shell $(VENV)/bin/python -c '' 2> /dev/null || rm -rf $(VENV))

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench soak official package bundle constraints clean

help:
	@echo "make setup    everything installed into $(VENV)"
	@echo "make demo     an agent answers a question from a sample vault; no key, no service"
	@echo "make test     the tests (ARGS='-k name' passes options to pytest)"
	@echo "make check    lint, format, types, layers, and what must not be there twice"
	@echo "make bench    figures against references measured in the same run (PEERS=1: other servers too)"
	@echo "make soak     the tests that take long"

setup: $(VENV)/.done-run $(VENV)/.done-test $(VENV)/.done-check

demo: $(VENV)/.done-run
	rm -rf $(VAULT)
	$(HOST) init $(VAULT)
	$(HOST) run harbor "What should I focus on this week?" --vault $(VAULT) --model offline
	$(HOST) trace --vault $(VAULT)

test: $(VENV)/.done-test
	$(RUN) -m pytest --numprocesses 3 --dist worksteal $(ARGS)

check: $(VENV)/.done-test $(VENV)/.done-check
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pyright --pythonpath $(RUN)
	$(VENV)/bin/lint-imports
	$(RUN) .ci/twice.py

bench: $(VENV)/.done-test
	PEERS=$(PEERS) $(RUN) tests/bench/run.py $(ARGS)

soak: $(VENV)/.done-test
	$(RUN) -m pytest -m soak --numprocesses 2 --dist worksteal $(ARGS)

# Not verbs of every day: .ci/run, a release and whoever raises a dependency call these.

# Needs Node 22 or newer, and fetches the suite: docs/conformance.md.
official: $(VENV)/.done-run
	$(RUN) -P tests/official/run.py $(ARGS)

package: $(VENV)/.done-test $(VENV)/.done-package
	$(RUN) -m pytest -m packaging tests/packaging $(ARGS)

bundle: $(VENV)/.done-package
	$(RUN) -P .ci/bundle.py dist/argosy.mcpb

constraints:
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --upgrade pip
	build/constraints/bin/python -m pip install --quiet --group test --group check --group package ".[all]"
	head -n 2 constraints.txt > build/constraints.txt
	build/constraints/bin/python -m pip freeze --exclude argosy | LC_ALL=C sort -f >> build/constraints.txt
	mv build/constraints.txt constraints.txt

clean:
	rm -rf $(VENV) $(VAULT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps lie in the environment: an environment that is made anew has none.

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Argosy needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.done-run: $(VENV)/bin/python $(NEEDS)
	$(PIP) --editable .
	$(RUN) -m compileall -q $(PACKAGES)
	@touch $@

# Dependency groups need pip 25.1; an environment starts with the pip that its Python brought.
$(VENV)/.done-pip: $(VENV)/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.done-test $(VENV)/.done-check $(VENV)/.done-package: $(VENV)/.done-%: $(VENV)/.done-run $(VENV)/.done-pip
	$(PIP) --group $*
	@touch $@
