# Two targets are for everyone: `make demo` and `make test`. Each makes its own environment first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MEDIAPIPE := .venv-mediapipe
MEDIAPIPE_STAMP := $(MEDIAPIPE)/.installed
FUZZ := .venv-fuzz
FUZZ_STAMP := $(FUZZ)/.installed
FUZZ_RUNS ?= 1000000
BUNDLE ?= out/demo/bundle
MANIFESTS := pyproject.toml edge_runtime/pyproject.toml constraints.txt

# Real images, where they are at hand; tests that need them are skipped, with a reason, elsewhere.
ifneq ($(wildcard ../shared/data),)
export DERMEDGE_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help demo test test-slow test-ray test-mediapipe test-arm fuzz bench-training bench-runtime check format readme docs reproduce model-search reference gate-table ladder-page quantization-page clean

help:
	@echo 'make demo            draw images, train, convert, judge and classify; under three minutes'
	@echo 'make test            style, types and tests; under fifteen minutes'
	@echo 'make test-slow       tests of half a minute or more, most of them on real images'
	@echo 'make test-ray        trials and folds on a local Ray cluster, a worker killed in mid-run'
	@echo 'make test-arm        the device package on emulated ARM processors, with the real wheels'
	@echo 'make test-mediapipe  the files in a real client, MediaPipe Tasks'
	@echo 'make fuzz            a million mutated images and manifests, guided by coverage (FUZZ_RUNS=...)'
	@echo 'make reproduce       two published studies, their way and without leaks; hours'
	@echo 'make reference       train, convert and measure the models in models/; hours, resumable'
	@echo 'make model-search    every recipe that was tried for the reference model; hours each'
	@echo 'make bench-training  images a second in training, with and without the pipeline'
	@echo 'make bench-runtime   the runtime beside a bare loop; BUNDLE=folder names the bundle'
	@echo 'make gate-table      simulate what the gate lets through, into docs/gate.md; minutes'
	@echo 'make quantization-page  what fitting gains in 8 bits, on the runs of make model-search; into docs/quantization.md'
	@echo 'make ladder-page     repair a network that breaks in 8 bits, on real images; into docs/ladder.md'
	@echo 'make format          put the code into its style'
	@echo 'make readme          put a transcript of the demo into the README'
	@echo 'make docs            docs/errors.md and docs/api.md, from the code'
	@echo 'make clean           remove the environments and what the demo made; trained runs stay in out/'

demo: $(STAMP)
	$(BIN)/dermedge demo --out out/demo --overwrite

# A file's tests share fixtures and stay together. In the order of names the long files, which have
# few tests, do not come last.
test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not arm and not ray and not slow'

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m 'slow and not ray'

test-ray: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e ./edge_runtime -e '.[dev,scale]'
	$(BIN)/python -m pytest -m ray

test-arm: $(STAMP)
	$(BIN)/python -m tests.arm.machines
	$(BIN)/python -m pytest -m arm
	$(BIN)/python -m tests.arm.report

test-mediapipe: $(STAMP) $(MEDIAPIPE_STAMP)
	DERMEDGE_MEDIAPIPE=$(MEDIAPIPE)/bin/python $(BIN)/python -m pytest tests/convert/test_mediapipe.py

fuzz: $(FUZZ_STAMP)
	$(FUZZ)/bin/python -m tests.fuzz.campaign --inputs $(FUZZ_RUNS) --out out/fuzz

reproduce: $(STAMP)
	$(BIN)/python -m train.reproduction

bench-training: $(STAMP)
	$(BIN)/python -m benchmarks.training

bench-runtime: $(STAMP)
	$(BIN)/python -m benchmarks.runtime $(BUNDLE) --page docs/runtime_speed.md

reference: $(STAMP)
	$(BIN)/python -m train.reference

model-search: $(STAMP)
	$(BIN)/python -m train.reference.search

gate-table: $(STAMP)
	$(BIN)/python -m convert.gate.simulation

ladder-page: $(STAMP)
	$(BIN)/python -m tests.convert.ladder_study

quantization-page: $(STAMP)
	$(BIN)/python -m tests.convert.quantization_study out/reference/search/student-finer out/reference/search/tiny-last

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

readme: $(STAMP)
	$(BIN)/python docs/update_readme.py

docs: $(STAMP)
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) $(MEDIAPIPE) $(FUZZ) out/demo

$(STAMP): $(MANIFESTS)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) \
		else f"dermedge needs Python 3.11 to 3.13, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=...")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make \
		environments; install its venv package (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e ./edge_runtime -e '.[dev]'
	@touch $@

$(MEDIAPIPE_STAMP): constraints-mediapipe.txt
	$(PYTHON) -m venv $(MEDIAPIPE)
	$(MEDIAPIPE)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints-mediapipe.txt mediapipe
	@touch $@

$(FUZZ_STAMP): constraints-fuzz.txt constraints.txt
	$(PYTHON) -m venv $(FUZZ)
	$(FUZZ)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -c constraints-fuzz.txt atheris numpy pillow pillow-heif cryptography
	@touch $@
