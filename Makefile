# Two commands matter: `make demo` and `make test`. Each target sets up what it needs by itself.
#   make demo            live on microphone and speakers; DEMO=file paces the bundled speech instead
#   make test            every test;  make lint, make sanitize, make fuzz, make bench for the rest
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
NATIVE := build/native
CMAKE  := $(BIN)/cmake
PIP    := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
BUILD_NEEDS := 'setuptools>=77' pybind11 cmake ninja wheel
NATIVE_SOURCES := $(shell find csrc cmake kernels -type f ! -name '*.py' ! -name '*.so' ! -name '*.pyc') CMakeLists.txt setup.py

.DEFAULT_GOAL := help
.PHONY: help demo test test-python test-native lint format sanitize fuzz bench gpu-check wheel clean system-packages

help:
	@sed -n '1,4s/^# \{0,1\}//p' Makefile

# ---- set-up -------------------------------------------------------------------------------------
$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "bunraku needs Python 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "· making $(VENV) (half a minute, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) $(BUILD_NEEDS)
	@touch $@

$(VENV)/run: $(VENV)/made pyproject.toml constraints.txt $(NATIVE_SOURCES)
	@echo "· building the native core and installing bunraku (about 3 minutes on two cores, once; silent meanwhile)"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) --no-build-isolation -e '.[cli,video]'
	@touch $@

$(VENV)/dev: $(VENV)/run
	@echo "· installing what training and tests need (torch is large: some minutes, once)"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) --no-build-isolation -e '.[cli,video,web,control,train,kernels,dev]'
	@touch $@

$(NATIVE)/build.ninja: $(VENV)/made CMakeLists.txt
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(CMAKE) -S . -B $(NATIVE) -G Ninja -DBUNRAKU_TESTS=ON -DBUNRAKU_PYTHON=OFF \
	  -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" -DBUNRAKU_CUDA_EMULATED=ON -DBUNRAKU_CUDA=$(if $(shell command -v nvcc),ON,OFF) >/dev/null

system-packages:
	@bash scripts/system-packages

# ---- the two commands ---------------------------------------------------------------------------
demo: $(VENV)/run
	@DEMO=$(DEMO) $(BIN)/bunraku live --demo

# The kernels' tests share nothing and run side by side; those of live audio need the machine alone.
PYTEST := BUNRAKU_NATIVE_BUILD=$(NATIVE) $(BIN)/python -m pytest
test: system-packages $(VENV)/dev test-native
ifdef TESTS
	@$(PYTEST) $(TESTS)
else
	@$(PYTEST) tests --ignore=tests/kernels
	@$(PYTEST) tests/kernels -n 2
endif

test-native: $(NATIVE)/build.ninja
	@echo "· building the native tests (some minutes, once)"
	@$(CMAKE) --build $(NATIVE)

# ---- the rest -----------------------------------------------------------------------------------
lint: $(VENV)/dev $(NATIVE)/build.ninja
	@BIN=$(BIN) NATIVE=$(NATIVE) bash scripts/lint

format: $(VENV)/dev
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .
	@$(BIN)/clang-format -i $$(git ls-files '*.c' '*.h' '*.cpp' '*.hpp' '*.inl' '*.cu' '*.cuh')

sanitize: $(VENV)/made
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash tests/native/sanitize.sh

# 100,000 mutated .nam files (each played or refused), then coverage-guided mutants of the flat file,
# which needs clang with libFuzzer.
fuzz: $(VENV)/dev
	@$(BIN)/python tests/fuzz/nam_mutations.py --count 100000
	@command -v clang++ >/dev/null || { echo "· no clang here: the flat-file fuzzer is left out"; exit 0; }; \
	 set -e; CC=clang CXX=clang++ $(CMAKE) -S . -B build/fuzz -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DBUNRAKU_FUZZ=ON -DBUNRAKU_PYTHON=OFF -DBUNRAKU_SANITIZE=address >/dev/null; \
	 $(CMAKE) --build build/fuzz; mkdir -p build/fuzz/seeds; build/fuzz/tests/fuzz/write_seeds build/fuzz/seeds; \
	 build/fuzz/tests/fuzz/fuzz_flat_model -rss_limit_mb=1024 -max_total_time=60 -print_final_stats=1 build/fuzz/seeds

bench: $(VENV)/dev
	@$(BIN)/python benchmarks/core_speed.py
	@$(BIN)/python benchmarks/kernels/run.py --device cpu

# Proves and measures the kernels on an NVIDIA GPU, with the machine's own Python and nvcc.
gpu-check:
	@$(PYTHON) benchmarks/gpu_check.py

wheel: $(VENV)/dev
	@$(BIN)/python -m build --outdir dist .

clean:
	@rm -rf build dist $(VENV) *.egg-info engine/*.egg-info engine/bunraku/lib engine/bunraku/include engine/bunraku/*.so
