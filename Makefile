# Each target makes its own virtual environment when there is none, and brings it up to date when the pinned packages changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-once test lint bench tour messages clean

help:  ## Say what each target does
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: $(INSTALLED)  ## Install Dreambot and everything it is built with into .venv

demo: $(INSTALLED)  ## Play in the browser: no token, no GPU, no Redis server needed
	@$(BIN)/dreambot demo

demo-once: $(INSTALLED)  ## Play the main job by itself and leave what came of it in demo/
	@$(BIN)/dreambot demo --once

test: $(INSTALLED)  ## Run every test, the slow ones included
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

lint: $(INSTALLED)  ## Check style, types and which part may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)  ## Run the benchmarks and write docs/benchmarks.md
	$(BIN)/python -m benchmarks

tour: $(INSTALLED)  ## Play every screen in headless Chromium and write docs/tour.md
	$(BIN)/python -m tools.screenshots --out docs/images --tour docs/tour.md

messages: $(INSTALLED)  ## Bring the translations up to date with what the bot says
	$(BIN)/python -m tools.messages

clean:  ## Remove the virtual environment and every cache; pictures and data stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Dreambot needs Python 3.11 or newer." if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
