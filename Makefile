# `make` lists the targets. The first call of any of them sets up .venv from requirements.lock.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.setup-done
# What is ours to check; protos/gen is generated. A folder that isn't there (yet) is no error here.
CODE := $(wildcard state serving allocate heartbeat resourcemanager client suite tests tools benchmarks examples)
SERVED := $(filter-out tests,$(CODE))
# WORKERS is in how many processes the tests run, 0 for this one; ARGS goes to the program a target runs.
WORKERS ?= 2
ARGS ?=
# Branches in a function are ruff's to limit (C901, at most 8). radon counts every `and`, `or` and comprehension as well:
# here at most 20 in a function, 10 in a module and 5 in everything on average.
LIMITS := --max-absolute C --max-modules B --max-average A
PYTEST := $(BIN)/python -m pytest $(if $(filter-out 0,$(WORKERS)),-n $(WORKERS) --dist loadgroup)

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 26

.PHONY: run
run: $(SETUP) ## Run everything: in docker compose where a Docker engine answers, else `hwp up`
	@tools/run.sh $(ARGS)

.PHONY: demo
demo: $(SETUP) ## Show the main job on this very machine, from demand to release
	@$(BIN)/python examples/demo.py $(ARGS)

.PHONY: lab-demo
lab-demo: $(SETUP) ## Lend one resource of each kind on this machine, all together: VM, container, server, cloud instance, board
	@$(BIN)/python -m examples.lab $(ARGS)

.PHONY: tests
# The linters side by side: the slowest takes as long as all others, and the tests take whatever there is.
tests: $(SETUP) ## All linters and all tests
	@$(MAKE) --jobs=2 --output-sync=target linters
	@$(MAKE) test-unit

.PHONY: linters
linters: lint test-complexity test-security test-lint-docker test-lint-shellcheck

.PHONY: test-unit
test-unit: $(SETUP) ## The tests alone: ARGS='-k name' goes to pytest, WORKERS=0 runs them in one process
	$(PYTEST) $(ARGS)

.PHONY: chaos
chaos: $(SETUP) ## Kill, stop and cut off everything under load, and check every promise: CHAOS_SECONDS, CHAOS_SEED
	@PYTHONPATH=tests $(BIN)/python -m chaos

.PHONY: chaos-selftest
chaos-selftest: $(SETUP) ## Put known bugs into a copy of the sources, one at a time: each must be found
	@PYTHONPATH=tests $(BIN)/python -m chaos.selftest $(ARGS)

.PHONY: shell
# The raw text of CMD, or make would take each $$ in it for a variable of its own.
ifdef CMD
shell: override export CMD := $(value CMD)
endif
shell: $(SETUP) ## A shell with .venv active; CMD='…' runs that and returns
	@tools/shell.sh

.PHONY: lint
lint: lint-python lint-protos ## ruff, mypy, import-linter; buf, and protos/gen against the .proto files

.PHONY: lint-python
lint-python: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: lint-protos
lint-protos: $(SETUP) protos-check
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	@tools/buf_breaking.sh

.PHONY: format
format: $(SETUP) ## Put Python and .proto files into their one format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/buf format --write

.PHONY: test-complexity
test-complexity: $(SETUP) ## Fail on functions and modules that are too complex (ruff C901, xenon)
	$(BIN)/ruff check --select C901 .
	$(BIN)/xenon $(LIMITS) $(CODE)

# ruff S is a port of bandit's checks, and there an exception stands beside its reason; bandit itself adds a second
# opinion on what it holds to be grave. --ignore once more: --select sets aside what pyproject.toml ignores.
.PHONY: test-security
test-security: $(SETUP) ## Look for insecure code (bandit, ruff S)
	$(BIN)/bandit --quiet --recursive --severity-level high --configfile pyproject.toml $(SERVED)
	$(BIN)/ruff check --select S --ignore S101,S404,S603 .

.PHONY: test-lint-docker
test-lint-docker: $(SETUP) ## Check Dockerfiles (hadolint) and, where docker compose is there, the compose file
	$(BIN)/hadolint $$(find . -path './.venv*' -prune -o -name 'Dockerfile*' -type f -print)
	@tools/compose.sh config --quiet || [ $$? = 3 ]

.PHONY: test-lint-shellcheck
test-lint-shellcheck: $(SETUP) ## Check all shell scripts (shellcheck)
	$(BIN)/shellcheck --external-sources $$(tools/shell_scripts.sh)

.PHONY: protos
protos: $(SETUP) ## Write protos/gen from the .proto files
	@$(BIN)/python tools/protos.py

.PHONY: protos-check
protos-check: $(SETUP)
	@$(BIN)/python tools/protos.py --check

.PHONY: pictures
pictures: $(SETUP) ## Draw the pictures in docs/ from the texts and tables they show
	@$(BIN)/python tools/draw_parts.py
	@$(BIN)/python tools/draw_states.py

.PHONY: bench
bench: $(SETUP) ## Measure all that is promised of speed, next to floors and peers; ARGS='--list' names the cases
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-quick
bench-quick: $(SETUP) ## The same in under a minute, shorter and with fewer cases
	@$(BIN)/python -m benchmarks --quick $(ARGS)

.PHONY: bench-peers
bench-peers: $(SETUP) ## Install what `make bench` measures beside us, in an environment of its own (it does so by itself)
	@$(BIN)/python -m benchmarks.peers.environment

.PHONY: bench-profiles
bench-profiles: $(SETUP) ## Where the processor time of each path goes, as flame graphs; ARGS='heartbeat' for one
	@$(BIN)/python -m benchmarks.profiles $(ARGS)

.PHONY: bench-docs
bench-docs: $(SETUP) ## Put what was measured here last into docs/performance.md: tables, curves, flame graphs
	@$(BIN)/python -m benchmarks.docs

.PHONY: bench-scheduler
bench-scheduler: $(SETUP) ## Measure what a scheduling decision costs, by the size of the lab; ARGS=--quick for less
	@$(BIN)/python -m benchmarks.scheduler $(ARGS)

.PHONY: bench-storm
bench-storm: $(SETUP) ## Measure how soon 1,000 managers and 10,000 clients are back when Allocate was killed
	@$(BIN)/python -m benchmarks.storm $(ARGS)

.PHONY: setup
setup: $(SETUP) ## Set up .venv (the implicit first step of every other target)
	@:

$(SETUP): requirements.lock pyproject.toml tools/setup_env.py
	@$(PYTHON) tools/setup_env.py

.PHONY: clean
clean: ## Remove .venv, caches and whatever builds and tests left behind
	rm -rf .venv .venv-peers build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
