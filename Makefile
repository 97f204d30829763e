# `make` lists the targets. The first call of any of them sets up .venv from requirements.lock.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.setup-done

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: setup
setup: $(SETUP) ## Set up .venv (the implicit first step of everything else)

$(SETUP): requirements.lock pyproject.toml tools/setup_env.py
	@$(PYTHON) tools/setup_env.py

.PHONY: test-unit
test-unit: setup ## Run pytest only; ARGS="-k name" goes to pytest
	$(BIN)/python -m pytest $(ARGS)

.PHONY: clean
clean: ## Remove the environment, caches and what builds left behind
	rm -rf .venv build dist .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
