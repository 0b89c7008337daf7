# make demo and make test set everything up by themselves: all they need is
# python3 (3.11 to 3.13; another one: make PYTHON=python3.12 test) and make.

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
BIN := .venv/bin
# Another interpreter, or other pins, make the environment stale.
READY := .venv/ready-$(VERSION)
RUN := runs/demo
ALL_NOTEBOOKS := $(wildcard notebooks/*.ipynb notebooks/solutions/*.ipynb)
DATA_NOTEBOOKS := $(wildcard notebooks/0[89]_*.ipynb notebooks/1*_*.ipynb)
NOTEBOOKS := $(filter-out $(DATA_NOTEBOOKS),$(ALL_NOTEBOOKS))
# A notebook runs in its own folder, where a relative path would lead elsewhere.
ifneq ($(RNN_KERAS_CACHE),)
override RNN_KERAS_CACHE := $(shell $(PYTHON) -c \
  'import os, sys; print(os.path.abspath(sys.argv[1]))' "$(RNN_KERAS_CACHE)")
export RNN_KERAS_CACHE
endif
NBVAL := $(BIN)/pytest -q -n 2 --dist loadfile --nbval --nbval-sanitize-with tests/nbval.cfg

.PHONY: help demo test test-portable test-data bench bench-quality lint unit fuzz nbval notebooks lab clean

help:
	@echo "make demo           train on the bundled messages, then classify three"
	@echo "make test           ruff, unit tests, notebooks against their stored outputs"
	@echo "make test-portable  the notebooks with other kernels and one thread"
	@echo "make test-data      tests and notebooks on the corpora in RNN_KERAS_CACHE"
	@echo "make fuzz           two thousand arbitrary files and texts of each kind"
	@echo "make bench          speed beside stock Keras and PyTorch, to benchmarks/speed.md"
	@echo "make bench-quality  what the recipe and each of its choices are worth, to benchmarks/"
	@echo "make notebooks      run all notebooks again, in place"
	@echo "make lab            open the notebooks in JupyterLab"

$(READY): pyproject.toml constraints.txt
	@case "$(VERSION)" in 3.11|3.12|3.13) ;; *) \
	  echo "$(PYTHON) is Python $(VERSION); 3.11 to 3.13 is needed: make PYTHON=python3.12 ..." >&2; \
	  exit 2;; esac
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable ".[distributed,export,notebooks,parquet,test]"
	@touch $@

demo: $(READY)
	$(BIN)/rnn-keras train messages --out $(RUN) --force
	$(BIN)/rnn-keras predict $(RUN) \
	  "Running late, start without me" \
	  "WINNER! Claim your free cash prize now, click the link" \
	  "急需用钱？低息贷款，当天到账，加微信"

test: lint unit nbval

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

unit: $(READY)
	$(BIN)/pytest -q -n 2 -m "not data" --doctest-modules tests rnn_keras

# The same strangers' files and texts as in the unit tests, two thousand of each kind.
fuzz: $(READY)
	$(BIN)/pytest -q -n 2 --hypothesis-profile=fuzz tests/test_fuzz.py

nbval: $(READY)
	$(NBVAL) $(NOTEBOOKS)

# Stored outputs must hold on other processors: without oneDNN's kernels, and on
# one thread, sums are taken in another order.
test-portable: $(READY)
	TF_ENABLE_ONEDNN_OPTS=0 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
	  OMP_NUM_THREADS=1 $(MAKE) nbval

test-data: $(READY)
	$(BIN)/pytest -q -n 2 --dist loadgroup -m data -rs tests
	$(NBVAL) $(DATA_NOTEBOOKS)

# The peers come in here, and only here.
bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable ".[bench]"
	$(BIN)/python benchmarks/speed.py

bench-quality: $(READY)
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/real_data.py
	for name in language_model translation forecasting speech; do \
	  $(BIN)/python benchmarks/$$name.py || exit; done

notebooks: $(READY)
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
	  --ExecutePreprocessor.record_timing=False $(ALL_NOTEBOOKS)

lab: $(READY)
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf .venv runs .pytest_cache .ruff_cache .hypothesis
