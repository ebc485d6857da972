# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every target does its own set-up: on a fresh machine `make train` is all it takes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml CMakeLists.txt pynest_tools/kernel/nest_probe.py \
	$(wildcard cpp/* nestml_models/*/*)

.PHONY: help setup train compare experiments test test-fast nightly sanitize mutations mpi lint format clean

help:
	@echo "make setup        virtual environment $(VENV) with NEST and this project"
	@echo "make train        train bars with spikes; the figure is in runs/bars/figures"
	@echo "make compare      train bars with every backend; table, and figure in runs/compare"
	@echo "make experiments  every experiment anew, with its figure (hours); make experiments/psi: only that one"
	@echo "make test         all tests"
	@echo "make test-fast    the tests that take seconds"
	@echo "make nightly      the tests that only a night should run, and the next two"
	@echo "make sanitize     tests of the module under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make mutations    deliberate faults, one after the other: does a test notice each?"
	@echo "make mpi          NEST with MPI in your cache directory (15 min, once), this project in it, tests of MPI"
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

EXPERIMENTS := $(patsubst %/,%,$(sort $(dir $(wildcard experiments/*/run.py experiments/*/study.toml experiments/*/*/study.toml))))

.PHONY: $(EXPERIMENTS)
experiments: $(EXPERIMENTS)

$(EXPERIMENTS): setup
	test ! -f $@/study.toml || $(BIN)/pyramidal study $@
	test ! -f $@/run.py || $(BIN)/python $@/run.py

# on as many cores as there are; a worker that has done its share takes over from another
SIDE_BY_SIDE = --numprocesses auto --maxprocesses 8 --dist worksteal

test: setup
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-fast: setup
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

nightly: setup sanitize mutations
	$(BIN)/python -m pytest -m nightly

BUILD_TOOLS := nestml==9.0.0 'cmake>=3.20' ninja
build-tools: setup
	$(BIN)/pip install --quiet --disable-pip-version-check $(BUILD_TOOLS)

# Python is not built with them, so they are loaded before it. It keeps memory until it ends, hence no search for leaks; and a test that
# measures the memory of the process would measure theirs. ThreadSanitizer is of no use: it sees no barrier of libgomp and NEST, which
# are not built with it, and takes every meeting of two threads for a race (166 alarms in a test of two threads and 40 steps).
sanitize: build-tools
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DCMAKE_BUILD_TYPE=Sanitize \
		-DPython_EXECUTABLE=$(abspath $(BIN))/python > /dev/null
	$(BIN)/cmake --build build/sanitize
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=64 UBSAN_OPTIONS=print_stacktrace=1 \
		PYRAMIDAL_MODULE=$(CURDIR)/build/sanitize/pyramidalmodule.so $(BIN)/python -m pytest tests/numeric $(SANITIZED)

SANITIZED = -k "not memory_over_time"

mutations: build-tools
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tests/mutations.py

.PHONY: build-tools

# NEST with MPI is built from its source distribution, with timers that tell where the time of a simulation goes. The
# environment it is built into is kept, apart for every version; its file `complete` says how it was built.
NEST_VERSION := 3.10.0
NEST_OPTIONS := -C cmake.define.with-mpi=ON -C cmake.define.with-detailed-timers=ON
MPI_VENV = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nest-pyramidal/nest-$(NEST_VERSION)-mpi-$(shell $(PYTHON) -c \
	'import sys; print("cp%d%d" % sys.version_info[:2])')
HEADERS := mpi.h:libopenmpi-dev gsl/gsl_version.h:libgsl-dev ltdl.h:libltdl-dev boost/version.hpp:libboost-dev

mpi: mpi-nest
	$(MPI_VENV)/bin/pip install --quiet --disable-pip-version-check --no-build-isolation '.[mpi,test]'
	$(MPI_VENV)/bin/python -m pytest tests/mpi

mpi-nest:
	@test "$(NEST_OPTIONS)" = "$$(cat "$(MPI_VENV)/complete" 2> /dev/null)" && "$(MPI_VENV)/bin/python" -c "import nest" > /dev/null || { \
	missing=; command -v mpirun > /dev/null || missing=openmpi-bin; \
	for each in $(HEADERS); do \
		echo "#include <$${each%:*}>" | $$(command -v mpicxx || echo g++) -E -x c++ - > /dev/null 2>&1 || missing="$$missing $${each#*:}"; \
	done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	elif [ -n "$$missing" ]; then \
		echo "NEST with MPI needs what Debian calls: $$missing. sudo apt install $$missing; on a cluster, load its modules"; exit 1; \
	fi; \
	set -e; $(PYTHON) -m venv --clear "$(MPI_VENV)"; \
	"$(MPI_VENV)/bin/pip" install --quiet --disable-pip-version-check 'scikit-build-core>=0.11' $(BUILD_TOOLS); \
	echo "building NEST $(NEST_VERSION) with MPI: some 15 minutes on 2 cores, once"; \
	"$(MPI_VENV)/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --no-binary nest-simulator \
		$(NEST_OPTIONS) nest-simulator==$(NEST_VERSION); \
	echo "$(NEST_OPTIONS)" > "$(MPI_VENV)/complete"; }

.PHONY: mpi-nest

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
