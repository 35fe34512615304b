# make demo   train real models and look at what was recorded      make test      prove it
# make check  style, types, floors, packaging, every Python here   make bench     side by side with other trackers
# make demo-all  the same, and networks of every framework         make test-gpu  what only a CUDA device can prove
# Needs Python 3.10 or newer, make and the package index; another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := -m pip install --quiet --quiet --constraint constraints.txt
TOO_OLD := autotrack needs Python 3.10 or newer: make PYTHON=python3.12 ...

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo demo-all test test-gpu check bench

demo: $(VENV)/.demo
	@$(BIN)/python docs/examples/demo.py

demo-all: $(VENV)/.all
	@$(BIN)/python docs/examples/demo.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -n logical --maxprocesses 4 -rs $(ARGS)

test-gpu: $(VENV)/.test
	$(BIN)/python -m pytest -m gpu -rs tests/test_gpu.py $(ARGS)

check: $(VENV)/.test
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest tests/test_packaging.py -k content
	$(BIN)/python .ci/pythons.py

bench: $(VENV)-bench/.made
	$(VENV)-bench/bin/python -m benchmarks $(ARGS)

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("$(TOO_OLD)" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml setup.py constraints.txt
	$(BIN)/python $(INSTALL) --editable '.[sklearn,plot]'
	@touch $@

$(VENV)/.all: $(VENV)/.made pyproject.toml setup.py constraints.txt
	$(BIN)/python $(INSTALL) --editable '.[sklearn,plot,frameworks]'
	@touch $@ $(VENV)/.demo

$(VENV)/.test: $(VENV)/.made pyproject.toml setup.py constraints.txt
	$(BIN)/python $(INSTALL) --editable '.[test,check,frameworks]'
	@touch $@ $(VENV)/.demo $(VENV)/.all

$(VENV)-bench/.made: pyproject.toml constraints.txt benchmarks/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(INSTALL) --editable '.[pandas,sklearn]'
	$(@D)/bin/python benchmarks/install.py
	@touch $@
