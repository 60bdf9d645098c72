# Everything starts from Python (3.11 or newer), pip and make; `make help` lists the commands.
# PIP_FIND_LINKS and PIP_INDEX_URL, where set, count for uv too.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PEERS  := .venv-peers
EXTRAS := dev
SAY     = @printf '\n==> %s\n'

# A folder of published numbers; tests/test_golden.py holds the arithmetic to them where there is one.
export CROSSGATE_GOLDEN ?= ../shared/golden

export UV_FIND_LINKS   ?= $(shell printf '%s' "$$PIP_FIND_LINKS" | tr -s ' ' ',')
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
ifeq ($(strip $(UV_FIND_LINKS)),)
unexport UV_FIND_LINKS
endif
ifeq ($(strip $(UV_DEFAULT_INDEX)),)
unexport UV_DEFAULT_INDEX
endif

.PHONY: help setup backtest test check bench bench-parts gallery clean
.DEFAULT_GOAL := help

help:
	@echo 'make backtest  set up, run the main job on the embedded demo market, show the report'
	@echo 'make test      set up, make check, run the tests'
	@echo 'make check     lint, types, import contracts, size limits'
	@echo 'make bench     set up, install the peers, compare with them, write benchmarks/README.md'
	@echo 'make bench-parts  set up, measure the speed of the parts'
	@echo 'make gallery   run the shipped configs, write docs/gallery.md and its pictures; DATA=DIR for recorded data'
	@echo 'make setup     set up only: .venv with the pinned versions of constraints.txt'
	@echo 'make clean     remove .venv and what tools left behind'

setup: $(STAMP)

backtest: $(STAMP)
	$(SAY) 'Running backtests/configs/demo.toml (a synthetic market: no data needed)'
	@$(BIN)/crossgate backtest backtests/configs/demo.toml

test: check
	$(SAY) 'Running the tests'
	@$(BIN)/pytest -n auto --maxprocesses 8

check: $(STAMP)
	$(SAY) 'Linting (ruff)'
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	$(SAY) 'Checking types (mypy)'
	@$(BIN)/mypy
	$(SAY) 'Checking the import contracts'
	@$(BIN)/lint-imports --no-logo
	$(SAY) 'Checking size limits'
	@$(BIN)/python tests/size_limits.py

bench: $(STAMP) $(PEERS)/.installed
	$(SAY) 'Measuring our engine beside its peers'
	@$(BIN)/python benchmarks/peers.py $(if $(DATA),--data $(DATA)) $(BENCH)

bench-parts: $(STAMP)
	$(SAY) 'Measuring'
	@$(BIN)/pytest benchmarks --benchmark-only --benchmark-disable-gc -q

gallery: $(STAMP)
	$(SAY) 'Running the shipped configs'
	@$(BIN)/python benchmarks/gallery.py $(if $(DATA),--data $(DATA))

clean:
	rm -rf $(VENV) $(PEERS) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): setup.cfg pyproject.toml constraints.txt
	$(SAY) 'Looking for Python 3.11 or newer'
	@$(PYTHON) -c 'import sys; print(sys.version.split()[0], sys.executable); sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'crossgate needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo 'This Python lacks venv. On Debian or Ubuntu: sudo apt install python3-venv' >&2; exit 1; }
	$(SAY) 'Making the virtual environment $(VENV)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(SAY) 'Installing uv, then the versions pinned in constraints.txt (pip takes over where uv fails)'
	@{ $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv \
	    && $(BIN)/uv pip install --python $(BIN)/python --compile-bytecode -c constraints.txt -e '.[$(EXTRAS)]'; } \
	  || { echo 'uv did not manage it; trying pip, which takes a few minutes' >&2; \
	    $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'; }
	@touch $(STAMP)

$(PEERS)/.installed: $(STAMP) benchmarks/peers.txt
	$(SAY) 'Installing the peers into an environment of their own, $(PEERS)'
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(BIN)/uv pip install --python $(PEERS)/bin/python -r benchmarks/peers.txt \
	  || $(PEERS)/bin/python -m pip install --disable-pip-version-check -r benchmarks/peers.txt
	@touch $@
