# Towpath's own commands. `make help` lists them; the two to know are `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
TARGET ?=
BIN := .venv/bin
STAMP := .venv/.towpath-installed

.PHONY: help install run test test-long lint up down lab-up lab-down bench bench-judge docs clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

install: $(STAMP) ## set up .venv with everything locked; the command is then .venv/bin/towpath

$(STAMP): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Towpath needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@command -v git >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq git; } || { echo "git is missing: install it and run again"; exit 2; }
	@command -v npm >/dev/null || echo "node and npm are missing: the frontend checks will be errors until you install Node 20 or newer"
	@command -v bwrap >/dev/null || [ "$$(uname)" != Linux ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq bubblewrap >/dev/null; } || echo "bubblewrap is missing: security scanners will run without isolation until you install it"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv 2>/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv .venv; } || { echo "python3 -m venv does not work: install python3-venv and run again"; exit 2; }
	@[ -x $(BIN)/uv ] || { echo "installing uv"; $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	@echo "installing Towpath's locked dependencies"
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --quiet --compile-bytecode
	@touch $(STAMP)

run: $(STAMP) ## show the whole road on the sample shop; with TARGET (a folder or git URL) take that through CI
	@[ -n "$(TARGET)" ] || exec $(BIN)/towpath demo
	@[ -z "$(TARGET)" ] || { echo "CI of $(TARGET); image checks are skipped where no container engine is found (--allow-missing docker)"; exec $(BIN)/towpath ci "$(TARGET)" --allow-missing docker; }

test: $(STAMP) lint ## lint, types, import contracts, all tests but the long ones on a cluster
	@$(BIN)/pytest -m "not long"

test-long: $(STAMP) ## the shop's whole road on a cluster, and the lab killed and taken down (ten minutes beyond make test)
	@$(BIN)/pytest -m long

lint: $(STAMP) ## what `make test` asks before the tests
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 1

up: $(STAMP) ## start the local Prefect server, worker, supervisor and guard
	@$(BIN)/towpath up

down: $(STAMP) ## stop them, and everything they run
	@$(BIN)/towpath down

lab-up: $(STAMP) ## start a one-node Kubernetes for the tests (root on Debian; 20 minutes once, then under a minute)
	@$(BIN)/python -m tests.lab.cluster up

lab-down: $(STAMP) ## stop it, and leave nothing of it but its cache
	@$(BIN)/python -m tests.lab.cluster down

bench: $(STAMP) ## what Towpath costs beside the bare tools and beside act
	@$(BIN)/python -m benchmarks.ci

bench-judge: $(STAMP) ## how well the canary judge judges, beside the rules it replaces (half an hour on two cores)
	@$(BIN)/python -m benchmarks.judge

docs: $(STAMP) ## write the generated parts of docs/ and README.md anew
	@$(BIN)/python -m deployments.reference

clean: ## delete .venv; what runs have kept is in ~/.local/state/towpath
	@rm -rf .venv
