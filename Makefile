# Two commands do everything, set-up included: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint types unit native-test native-race-test native-arm-test format docs fuzz bench house clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

NATIVE := $(shell find native -type f)
EXAMPLE := tests/plugin_example

# The editable installation knows each module by its file: it is made anew when files have come, gone or moved.
$(VENV)/.modules: FORCE | $(BIN)/python
	@find src -name '*.py' | sort | cmp -s - $@ || find src -name '*.py' | sort > $@
FORCE:

$(VENV)/.installed: pyproject.toml constraints.txt $(NATIVE) $(VENV)/.modules | $(BIN)/python
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(NATIVE) $(EXAMPLE)/pyproject.toml $(VENV)/.modules | $(BIN)/python
	$(PIP) --editable '.[dev]'
	$(PIP) --no-build-isolation --no-deps --editable $(EXAMPLE)
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/ostinato demo

test: lint types unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# A process a core, each with the tests of whole files.
WORKERS ?= auto
unit: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 --dist loadfile

# The core's own tests under AddressSanitizer and UBSan, and under ThreadSanitizer; they need a C++ compiler and CMake, no
# Python.
native-test: native-test-address,undefined
native-race-test: native-test-thread
native-test-%:
	cmake -S native -B build/native-$* -DOSTINATO_TESTS=ON -DOSTINATO_SANITIZE=$* -DCMAKE_BUILD_TYPE=None
	cmake --build build/native-$* --parallel 2
	build/native-$*/test_layer

# The same tests compiled for 64-bit ARM (NEON), run in an emulator: needs g++-aarch64-linux-gnu and qemu-user-static.
native-arm-test:
	cmake -S native -B build/native-arm -DOSTINATO_TESTS=ON -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
	  -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static -DCMAKE_BUILD_TYPE=None
	cmake --build build/native-arm --parallel 2
	qemu-aarch64-static build/native-arm/test_layer

# Damaged files, recipes and run directories, for some minutes: make fuzz MINUTES=30 SEED=0
MINUTES ?= 30
SEED ?= 0
fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seed $(SEED)

# The site in build/site; the tests build it, too (tests/docs/test_pages.py).
docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python tools/docs/wrap.py

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(PIP) --editable '.[dev,bench]'
	@touch $@

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/text_pipeline.py
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/streaming.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/data_memory.py
	$(BIN)/python benchmarks/regularisers.py
	$(BIN)/python benchmarks/ragged_layers.py
	$(BIN)/python benchmarks/textbook_epoch.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/exploring.py

# The house in figures; `make house BEFORE=path` puts an older checkout beside.
house: $(VENV)/.installed-dev
	$(BIN)/python tools/house.py $(BEFORE) .

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
