# make demo: train a real network and write its report. make test: everything that is checked before a change lands.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test lint types imports tests bench schema clean

setup: .venv/.ready
demo: .venv/.ready
	$(BIN)/classlab run mnist-20k --seed 0 --report

test: lint types imports tests

lint: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready-dev
	$(BIN)/pyrefly check

imports: .venv/.ready-dev
	$(BIN)/lint-imports

tests: .venv/.ready-dev
	$(BIN)/python -m pytest -n 2

bench: .venv/.ready-dev
	$(BIN)/python -m benchmarks

schema: .venv/.ready-dev
	$(BIN)/python -m classlab.experiment > classlab/experiment.schema.json
	$(BIN)/python -m classlab.study.study > classlab/study.schema.json

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "classlab needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.ready: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing classlab into .venv (once; torch is the large part) …"
	$(INSTALL) --editable .
	@touch $@

.venv/.ready-dev: .venv/.ready
	$(INSTALL) --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
