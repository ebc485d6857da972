# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every target does its own set-up: on a fresh machine `make train` is all it takes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml CMakeLists.txt pynest_tools/nest_probe.py \
	$(wildcard cpp/* nestml_models/*/*)

.PHONY: help setup train compare experiments test test-fast lint format clean

help:
	@echo "make setup        virtual environment $(VENV) with NEST and this project"
	@echo "make train        train bars with spikes; the figure is in runs/bars/figures"
	@echo "make compare      train bars with every backend; table, and figure in runs/compare"
	@echo "make experiments  every experiment anew, with its figure (hours); make experiments/psi: only that one"
	@echo "make test         all tests"
	@echo "make test-fast    the tests that take seconds"
	@echo "make lint         style and types"
	@echo "make format       let the formatters rewrite the sources"
	@echo "make clean        remove $(VENV)"

setup: $(VENV)/installed

$(VENV)/installed: $(SOURCES)
	@command -v g++ > /dev/null || { echo "g++ is needed to build the NEST module: apt install g++"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv is needed: apt install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@

train: setup
	$(BIN)/pyramidal train bars --output runs/bars --overwrite

compare: setup
	$(BIN)/pyramidal compare bars --output runs/compare --overwrite

EXPERIMENTS := $(patsubst %/run.py,%,$(wildcard experiments/*/run.py))

.PHONY: $(EXPERIMENTS)
experiments: $(EXPERIMENTS)

$(EXPERIMENTS): setup
	$(BIN)/python $@/run.py

test: setup
	$(BIN)/python -m pytest

test-fast: setup
	$(BIN)/python -m pytest -m "not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror cpp/*

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i cpp/*

clean:
	rm -rf $(VENV)
