# Two commands matter: `make book` and `make test`. `make` alone lists them all.
#
#   VENV=DIR      where the environment stands (default .venv)
#   PYTHON=PATH   the Python that makes it (default python3)
#   PYTEST="..."  arguments for pytest, e.g. PYTEST="tests/kernels -x"
#   WORKERS=N     processes that run the tests (default 2); 0 runs them in pytest's own, for a debugger
#   FUZZ=N        inputs for each of the fuzz tests (default 500: more than 10,000 in all)

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= all
PORT ?= 8000
PYTEST ?=
WORKERS ?= 2
FUZZ ?= 500

PY := $(VENV)/bin/python
STEP := $(PYTHON) tools/step.py
# A file's tests stay in one process: what they share is made once.
PARALLEL := --numprocesses=$(WORKERS) --dist=loadfile

.DEFAULT_GOAL := help
.PHONY: help setup book pdf serve test test-tools fuzz lint format lock wheel check-wheel check-extras bench clean
.NOTPARALLEL:

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo "  VENV=$(VENV) PYTHON=$(PYTHON) PORT=$(PORT) PYTEST=\"$(PYTEST)\" may be given"

setup:  ## make the environment, or bring it up to date
	@$(PYTHON) tools/setup_env.py $(VENV) --extras $(EXTRAS)

book: setup  ## build the book into _build/html: execute the notebooks, say what to open
	@$(STEP) "Fetch the web assets" --hint "is the network up? Run it again" -- \
		$(PY) tools/web_assets.py
	@$(STEP) "Build the book" --hint "the first error above names the page and the line" -- \
		$(PY) tools/build_book.py

pdf: book  ## print the book into _build/book.pdf, with a Chromium that is here or fetched
	@$(PYTHON) tools/prerequisites.py --install book test
	@$(STEP) "Print the book" --hint "the output above says which page" -- \
		$(PY) tools/make_pdf.py --browser "$$($(PYTHON) tools/prerequisites.py --browser)"

serve:  ## show the built book at http://localhost:8000 (PORT=)
	$(PYTHON) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

test: test-tools lint book  ## lint, build the book, run every test, the browser's too
	@$(STEP) "Fetch what the browser tests use" --hint "is the network up? Run it again" -- \
		$(PY) tools/web_assets.py --tests
	@echo "==> Run the tests"
	@KPLIB_BROWSER="$$($(PYTHON) tools/prerequisites.py --browser)" $(PY) -m pytest $(PARALLEL) $(PYTEST)

# First of all, so that a missing browser is told before minutes of work, not after them.
test-tools:
	@$(PYTHON) tools/prerequisites.py --install book test

fuzz: setup  ## draw 10,000 hostile inputs for the public API: minutes (FUZZ=)
	@KPLIB_FUZZ=$(FUZZ) $(PY) -m pytest tests/fuzz $(PYTEST)

lint: setup  ## check style and types, in the notebooks' cells too
	@$(STEP) "Check the code's style" --hint "make format mends most of it" -- \
		$(PY) -m ruff check --quiet
	@$(STEP) "Check the code's layout" --hint "make format" -- \
		$(PY) -m ruff format --check --quiet
	@$(STEP) "Check the types" --hint "the lines above name the places" -- $(PY) -m mypy
	@$(STEP) "Check the notebooks' cells" --hint "the lines above name page and cell" -- \
		$(PY) tools/lint_notebooks.py book

format: setup  ## lay out the code and mend its style
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

lock: setup  ## pin the versions of everything that is installed
	@$(PY) tools/lock.py

wheel: setup  ## build the wheel into dist/
	@$(STEP) "Build the wheel" --hint "the output above says what hatchling misses" -- \
		$(PY) -m build --wheel --no-isolation --outdir dist

check-wheel: wheel  ## run the tests against the installed wheel, without the checkout
	@$(PY) tools/check_wheel.py dist $(PARALLEL) $(PYTEST)

check-extras: wheel  ## install each extra with each Python found, and use it
	@$(PY) tools/check_extras.py dist

bench: setup  ## time the compiled products against NumPy and the other libraries
	$(VENV)/bin/kplib bench matvec

clean:  ## remove what was built; the environment stays
	rm -rf _build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find kplib tests tools book -name __pycache__ -type d -prune -exec rm -rf {} +
