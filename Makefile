PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DRAWS := $(VENV)/.draws
ARGS ?=
OUT ?= results/own
MINUTES ?= 40
DATASETS ?= spheres spheres-wide spheroids berea ketton

.DEFAULT_GOAL := help
.PHONY: help evaluate leaderboard test test-slow bench check report figures train clean

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1 \t/' | expand -t 20

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "porebench needs Python 3.11 or newer; name one with make PYTHON=python3.x"; exit 1; }
	$(PYTHON) -m venv $(VENV)

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e

$(DRAWS): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) ".[generators,submissions]"
	@touch $@

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) ".[dev]"
	@touch $(DRAWS) $@

# Threads that wait asleep: a program beside it otherwise slows each draw down, up to a hundredfold.
evaluate leaderboard test test-slow: export OMP_WAIT_POLICY ?= PASSIVE

evaluate: $(DRAWS)  ## accuracy of every generator on the spheres data set (ARGS="--quick" passes options on)
	$(BIN)/porebench evaluate $(ARGS)

leaderboard: $(DRAWS)  ## all generators on all data sets, what is fresh excepted (DATASETS="spheres berea", ARGS="--dry-run")
	set -e; for each in $(DATASETS); do $(BIN)/porebench evaluate --dataset $$each --generators all $(ARGS); done

test: $(READY)  ## the test suite, about eight minutes on two AVX2 cores (ARGS="-k name" passes options on)
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

test-slow: $(READY)  ## the tests that take longer
	$(BIN)/pytest -m slow $(ARGS)

bench: $(READY)  ## speed of every generator, of fitting and of scoring; a table in results/own/speed/ (OUT=results publishes it)
	@mkdir -p $(OUT)/speed
	$(BIN)/pytest benchmarks/speed --benchmark-json=$(OUT)/speed/cpu.json \
		--benchmark-timer=torch.utils.benchmark.utils.timer.timer $(ARGS)
	$(BIN)/porebench report --results $(OUT) $(if $(filter results,$(OUT)),--publish)

check: $(READY)  ## lint, format, types, layers and rows handed in, as before a commit
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/porebench submissions check --strict

report: $(READY)  ## the page results/report.html from what is in results/ (ARGS=--publish for tables and README too)
	$(BIN)/porebench report $(ARGS)

figures: $(READY)  ## the report's figures as PNG and SVG, for papers (ARGS="--style column" for one column)
	$(BIN)/porebench figures $(ARGS)

train: $(DRAWS)  ## train the conditional VAE on spheres, 40 minutes at most (MINUTES=15, ARGS="--dataset PATH" for another)
	$(BIN)/porebench train cvae --minutes $(MINUTES) $(ARGS)

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
