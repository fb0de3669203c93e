# make demo: train a real network and write its report. make test: everything that is checked before a change lands.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test lint types imports tests long bench docs clean

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
	$(BIN)/python -m pytest -n 3

# The long campaigns, an hour or two: hostile input, kills, and networks for the native step. A part of them:
# make long CASES=2000 SEED=7 KILLS=0 NETWORKS=0
CASES ?= 10000
NETWORKS ?= 500
SEED ?= 1
KILLS ?= 200
JOBS ?= 2
LONG ?= build/long-$(SEED)

long: .venv/.ready-dev
	$(BIN)/python -m tests.hostile --cases $(CASES) --kills $(KILLS) --seed $(SEED) --jobs $(JOBS) --resume $(LONG)
	$(BIN)/python -m tests.training.native.campaign --count $(NETWORKS) --seed $(SEED) --jobs $(JOBS)

# The site, in a minute: build/site/index.html. A warning or a broken link is an error; nothing is fetched.
docs: .venv/.ready-dev
	$(BIN)/python docs/site/build.py build/site

# A selection: make bench BENCH="era-s6 lenet-4 --pairs 5"
bench: benchmarks/.venv/.ready
	benchmarks/.venv/bin/python -m benchmarks $(BENCH)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "classlab needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.ready: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing classlab into .venv (once; torch is the large part) …"
	$(INSTALL) --editable '.[ui]'
	@touch $@

.venv/.ready-dev: .venv/.ready
	$(INSTALL) --editable '.[dev]'
	@touch $@

# The libraries compared with, in an environment of their own on top of .venv, which stays as it is.
benchmarks/.venv/.ready: .venv/.ready benchmarks/requirements.txt
	rm -rf benchmarks/.venv
	$(BIN)/python -m venv --without-pip benchmarks/.venv
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')')" > \
	  "$$(benchmarks/.venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/project.pth"
	benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --requirement benchmarks/requirements.txt
	@touch $@

clean:
	rm -rf .venv benchmarks/.venv build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
