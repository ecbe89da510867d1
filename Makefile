# `make demo`, `make test` and `make docs` each work alone on a fresh clone: they need Python 3.11 or newer, and make.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test check docs bench results clean

demo: .venv/installed
	$(BIN)/backcast demo --out demo --overwrite

# A file of tests per core at a time, and so one thread each.
test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed-docs
	$(BIN)/sphinx-build -W --keep-going -q -c docs . docs/_build/html
	@echo "docs/_build/html/index.html"

bench: .venv/installed
	$(BIN)/backcast benchmark step
	$(BIN)/backcast benchmark recurrence
	$(BIN)/backcast benchmark memory
	$(BIN)/backcast benchmark stream
	$(BIN)/backcast benchmark data

results: .venv/installed
	$(BIN)/backcast reproduce all --scale small --render --out results/small
	$(BIN)/python docs/fill_results.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/installed-docs: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv demo docs/_build
