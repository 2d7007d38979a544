# Everything starts from a fresh clone: the virtual environment sets itself up.
#
#   make demo    install what symir needs and show an operator at every level
#   make test    install the tools of developers too; lint, lit and unit tests
#   make lint    ruff and basedpyright only
#   make lit     the lit tests only
#   make bench   compare with NetKet's own operators, local energies and imports, and
#                kernels with all passes with those without one; time the compiler; see
#                last whether energies of deep networks are as fast as they have to be
#   make fuzz    compare N random operators (N=1000) at every level, and energies of
#                NETWORKS random networks (NETWORKS=2000) with those of plain JAX;
#                ratios where changes reach DEEP deep ones (DEEP=1050) with values;
#                samples of DRAWS (300) autoregressive ones with those of all probabilities
#   make docs    build the documentation into site/, and run all of its code and commands
#   make clean   delete the environment, caches and builds
#
# PYTHON=/path/to/python chooses the interpreter (3.11 or newer).

VENV := .venv
N := 1000
NETWORKS := 2000
DEEP := 1050
DRAWS := 300
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11 python3

.PHONY: demo test lint lit bench fuzz docs clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.core
	@$(BIN)/symir demo

# The unit tests come last, so that the last line says how many there were. They and lit
# use all cores, the type checker one.
test: $(VENV)/.dev
	@for name in chromium chromium-browser google-chrome chrome; do \
	    command -v $$name >/dev/null && exit; \
	done; echo "note: no Chromium is installed: the explorer's page is not tested in a browser"
	@$(MAKE) --no-print-directory -j2 lint lit
	@$(BIN)/python -m pytest -n logical --dist worksteal tests/unit

lit: $(VENV)/.dev
	@$(BIN)/lit -sv --no-progress-bar tests/lit

lint: $(VENV)/.dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/basedpyright

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks.get_conn
	@$(BIN)/python -m benchmarks.local_energy
	@$(BIN)/python -m benchmarks.ablation
	@$(BIN)/python -m benchmarks.energy_ablation
	@$(BIN)/python -m benchmarks.sampling
	@$(BIN)/python -m benchmarks.compile_time
	@$(BIN)/python -m benchmarks.scaling
	@$(BIN)/python -m benchmarks.imports
	@$(BIN)/python -m benchmarks.local_energy --bars --rounds 5 --first-repeats 0

fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.fuzz $(N)
	@$(BIN)/python -m tests.fuzz.energies $(NETWORKS)
	@$(BIN)/python -m tests.fuzz.cones $(DEEP)
	@$(BIN)/python -m tests.fuzz.draws $(DRAWS)

docs: $(VENV)/.dev $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "built site/index.html"
	@$(BIN)/python -m pytest -n logical --dist worksteal tests/unit/test_docs.py tests/unit/test_site.py

clean:
	rm -rf $(VENV) build dist site .hypothesis .pytest_cache .ruff_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# One stamp per set of dependencies; each is renewed when pyproject.toml changes.
$(VENV)/.core: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV): symir and what it needs (a few minutes the first time) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV): symir and the tools of its developers (a few minutes the first time) ..."
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.core

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV): symir and what the benchmarks compare with (a few minutes the first time) ..."
	@$(PIP) -e '.[bench]'
	@touch $@ $(VENV)/.core

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV): symir and what its documentation is built with ..."
	@$(PIP) -e '.[docs]'
	@touch $@ $(VENV)/.core

# A candidate counts if it runs, is new enough and brings pip along.
$(BIN)/python:
	@set -e; \
	for python in $(CANDIDATES); do \
	    if $$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "setting up $(VENV) with $$($$python --version) ..."; \
	        $$python -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }; \
	        exit 0; \
	    fi; \
	done; \
	echo "error: symir needs Python 3.11 or newer with its venv module; found none of: $(CANDIDATES)" >&2; \
	echo "       install one (Debian: apt install python3 python3-venv) or say make PYTHON=/path/to/python" >&2; \
	exit 1
