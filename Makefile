# Two commands do everything, set-up included: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint types unit native-test format bench clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

NATIVE := $(shell find native -type f)

$(VENV)/.installed: pyproject.toml constraints.txt $(NATIVE) | $(BIN)/python
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(NATIVE) | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/ostinato demo

test: lint types unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

unit: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

# The core's own tests under AddressSanitizer and UBSan; they need a C++ compiler and CMake, no Python.
native-test:
	cmake -S native -B build/native-test -DOSTINATO_TESTS=ON -DOSTINATO_SANITIZE=ON -DCMAKE_BUILD_TYPE=None
	cmake --build build/native-test --parallel 2
	build/native-test/test_layer

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(PIP) --editable '.[dev,bench]'
	@touch $@

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/text_pipeline.py
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/streaming.py
	$(BIN)/python benchmarks/ragged_layers.py
	$(BIN)/python benchmarks/textbook_epoch.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
