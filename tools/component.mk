# The verbs of one component, for its Makefile to include after it set
#   PART   its folder
#   RUN    what `make run` runs, from the top folder; empty for a part that is a library
# Everything runs in the top folder, so that one .venv and one configuration serve all parts.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

HERE := $(lastword $(MAKEFILE_LIST))
TOP := $(abspath $(dir $(HERE))..)
BIN := .venv/bin
TESTS := $(wildcard $(TOP)/tests/$(PART))
# As in the Makefile above.
LIMITS := --max-absolute C --max-modules B --max-average A
ARGS ?=

.PHONY: help run tests lint shell test-complexity test-security clean setup
.PHONY: demo protos test-lint-docker test-lint-shellcheck
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(HERE) | expand -t 26

setup:
	@$(MAKE) -C $(TOP) setup

run: setup ## Run this part alone; ARGS='…' goes to it
ifdef RUN
	@cd $(TOP) && exec $(BIN)/$(RUN) $(ARGS)
else
	@echo "$(PART) is a library that the services use; nothing of it runs alone"
endif

tests: lint test-complexity test-security ## The linters and tests of this part
ifdef TESTS
	cd $(TOP) && $(BIN)/python -m pytest $(TESTS) $(ARGS)
else
	@echo "$(PART) has no tests of its own; those of the parts that use it cover it"
endif

ifdef CMD
shell: override export CMD := $(value CMD)
endif
shell: setup ## A shell with .venv active; CMD='…' runs that and returns
	@cd $(TOP)/$(PART) && ../tools/shell.sh

# protos overrides these three: its code is generated.
ifndef GENERATED
lint: setup ## ruff, mypy and import-linter on this part
	cd $(TOP) && $(BIN)/ruff check $(PART) && $(BIN)/ruff format --check $(PART)
	cd $(TOP) && $(BIN)/mypy $(PART)
	cd $(TOP) && $(BIN)/lint-imports --no-logo

test-complexity: setup ## Fail on functions and modules that are too complex
	cd $(TOP) && $(BIN)/ruff check --select C901 $(PART)
	cd $(TOP) && $(BIN)/xenon $(LIMITS) $(PART)

test-security: setup ## Look for insecure code
	cd $(TOP) && $(BIN)/bandit --quiet --recursive --severity-level high --configfile pyproject.toml $(PART)
	cd $(TOP) && $(BIN)/ruff check --select S --ignore S101,S404,S603 $(PART)
else
lint: setup
	@$(MAKE) -C $(TOP) lint-protos

test-complexity test-security: setup
	@echo "$(PART) holds generated code, which is not judged by its complexity or style"
endif

# A part has no such things of its own.
demo: ## The whole suite's: show the main job on this very machine, from demand to release
protos: ## The whole suite's: write protos/gen from the .proto files
test-lint-docker: ## The whole suite's: check Dockerfile and compose file
test-lint-shellcheck: ## The whole suite's: check all shell scripts
demo protos test-lint-docker test-lint-shellcheck:
	@$(MAKE) -C $(TOP) $@

clean: ## Remove what builds and tests left in this folder
	find $(TOP)/$(PART) -name __pycache__ -type d -prune -exec rm -rf {} +
