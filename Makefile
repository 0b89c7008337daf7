# make demo and make test set everything up by themselves: all they need is
# python3 (3.11 to 3.13; another one: make PYTHON=python3.12 test) and make.

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
BIN := .venv/bin
# Another interpreter, or other pins, make the environment stale.
READY := .venv/ready-$(VERSION)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
  --constraint constraints.txt --editable
PYTEST := $(BIN)/pytest -q -n 2

.PHONY: help demo test lint unit nbval test-exhaustive test-data test-portable fuzz \
  bench bench-quality notebooks lab clean

help:
	@echo "make demo             train on the bundled messages, then classify three"
	@echo "make test             check style and types, run unit tests and notebooks"
	@echo "make test-exhaustive  every combination of which make test tries a few"
	@echo "make test-data        run tests and notebooks on the data in RNN_KERAS_CACHE"
	@echo "make test-portable    run the notebooks with the instructions of older processors"
	@echo "make fuzz             try two thousand arbitrary files and texts of each kind"
	@echo "make bench            measure speed beside stock Keras and PyTorch (two hours)"
	@echo "make bench-quality    measure what each default setting is worth (hours)"
	@echo "make notebooks        run all notebooks again, in place"
	@echo "make lab              open the notebooks in JupyterLab"

$(READY): pyproject.toml constraints.txt
	@case "$(VERSION)" in 3.11|3.12|3.13) ;; *) \
	  echo "$(PYTHON) is Python $(VERSION); 3.11 to 3.13 is needed: make PYTHON=python3.12 ..." >&2; \
	  exit 2;; esac
	$(PYTHON) -m venv --clear .venv
	$(INSTALL) ".[distributed,export,notebooks,parquet,test]"
	@touch $@

demo: $(READY)
	$(BIN)/rnn-keras train messages --out runs/demo --force
	$(BIN)/rnn-keras predict runs/demo \
	  "Running late, start without me" \
	  "WINNER! Claim your free cash prize now, click the link" \
	  "急需用钱？低息贷款，当天到账，加微信"

test: lint unit nbval

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

unit: $(READY)
	$(PYTEST)

nbval: $(READY)
	$(PYTEST) --nbval --dist loadfile

test-exhaustive: $(READY)
	$(PYTEST) -m exhaustive

test-data: export RNN_KERAS_REQUIRE_DATA = 1
test-data: $(READY)
	$(PYTEST) -m data
	$(PYTEST) --nbval --dist loadfile notebooks/0[89]_*.ipynb notebooks/1*_*.ipynb

# Stored outputs must hold on other processors: with fewer instructions, without
# oneDNN's kernels, and on one thread, sums are taken in another order.
test-portable: $(READY)
	TF_ENABLE_ONEDNN_OPTS=0 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
	  OMP_NUM_THREADS=1 $(MAKE) nbval
	XLA_FLAGS=--xla_cpu_max_isa=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell \
	  $(MAKE) nbval
	XLA_FLAGS=--xla_cpu_max_isa=AVX ONEDNN_MAX_CPU_ISA=AVX OPENBLAS_CORETYPE=Sandybridge \
	  $(MAKE) nbval

# The same arbitrary files and texts as in the unit tests, two thousand of each kind.
fuzz: $(READY)
	$(PYTEST) -m "not data" --hypothesis-profile=fuzz tests/test_fuzz.py

# The peers come in here, and only here.
bench: $(READY)
	$(INSTALL) ".[bench]"
	for name in whole_job linear speed; do $(BIN)/python benchmarks/$$name.py || exit; done

bench-quality: $(READY)
	for name in claims quality real_data language_model translation forecasting speech; do \
	  $(BIN)/python benchmarks/$$name.py || exit; done

# A notebook runs in its own folder, where a relative path would lead elsewhere.
notebooks: $(READY)
	RNN_KERAS_CACHE="$${RNN_KERAS_CACHE:+$$(realpath "$$RNN_KERAS_CACHE")}" \
	  $(BIN)/jupyter nbconvert --to notebook --execute --inplace \
	  --ExecutePreprocessor.record_timing=False notebooks/*.ipynb notebooks/solutions/*.ipynb

lab: $(READY)
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf .venv runs .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
