# Everything a person or a CI machine does here, by name. Needs Python 3.11, 3.12 or 3.13, make and git; no AWS.
# 3.11 goes first: it is the Python of AWS Glue 5.0, which runs the job script.
PYTHONS := python3.11 python3.12 python3.13
PYTHON  ?= $(firstword $(foreach name,$(PYTHONS),$(shell $(name) -c 'print("$(name)")' 2>/dev/null)) python3.11)
# Settings for another Python: packages and a standard library that are not those of .venv.
unexport PYTHONPATH PYTHONHOME
UI      ?= 1
UI_PORT ?= 3000
DAYS    ?= 3
BIN     := .venv/bin
# By module: a script names its Python in its first line, where a blank ends the path. Not compiled:
# Python compiles a module when it is first imported, and most are never imported.
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile
PIP     := $(BIN)/python $(INSTALL) --constraint constraints.txt
SANDBOX := $(BIN)/python -m xacct_sandbox.cli
UNIT    := tests/pipeline/unit tests/sandbox/unit tests/repository
FUNCTIONAL := tests/pipeline/functional
# A worker often waits: for Dagster's queue, for a job that is held, for a timeout. Each has a sandbox of 1 to 2 GB.
WORKERS ?= 3
BROWSERS := chromium chromium-browser google-chrome

.DEFAULT_GOAL := help
.PHONY: help setup run stop test test-unit test-functional test-integration test-conformance test-aws test-compat test-install test-ui test-long test-iam chaos lint lint-python lint-templates check bench clean

help: ## Say what can be done here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Install what `make run` needs into .venv (again only when the pins change)

.venv/ready: pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { echo "Python 3.11, 3.12 or 3.13 is needed, and this is none or does not run: $(PYTHON). Name yours: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Installing into .venv: about two minutes the first time (Spark alone is 300 MB)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	@$(PIP) --editable '.[sandbox]'
	@touch $@

# What tests and lint need besides.
.venv/ready-test: .venv/ready
	@$(PIP) --editable '.[sandbox,test,lint]'
	@touch $@

# An extra that only one target needs.
.venv/ready-%: .venv/ready-test
	@$(PIP) --editable '.[sandbox,test,lint,$*]'
	@touch $@

run: setup ## Run the whole pipeline here, then serve the Dagster UI (UI=0: stop after the table)
	@$(SANDBOX) demo --days $(DAYS) $(if $(filter 0,$(UI)),--no-ui,--ui-port $(UI_PORT))

stop: ## End everything that `make run` started
	@if test -e .venv/ready; then $(SANDBOX) down; else echo "Nothing to stop: nothing is installed here."; fi

# Unit and functional tests in one session: its workers start once, and none is idle at the end of the first.
test: lint ## Everything that must hold before a change lands
	@$(BIN)/python -m pytest $(UNIT) $(FUNCTIONAL) -q --numprocesses 2
	@$(MAKE) --no-print-directory test-integration

test-unit: .venv/ready-test ## The claims that need no processes
	@$(BIN)/python -m pytest $(UNIT) -q --numprocesses 2

test-functional: .venv/ready-test ## The claims about runs, ranges and ticks: a Dagster instance, an AWS in memory
	@$(BIN)/python -m pytest $(FUNCTIONAL) -q --numprocesses 2

test-integration: .venv/ready-test ## The claims about the running system and about AWS, on sandboxes of their own
	@$(BIN)/python -m pytest tests/pipeline/integration tests/sandbox/integration tests/conformance -q --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test-conformance: .venv/ready-test ## The claims about AWS (docs/aws-claims.md), on one sandbox
	@$(BIN)/python -m pytest tests/conformance -q

test-aws: .venv/ready-test ## The same claims on two AWS accounts: shows plan and cost, asks (PROFILE_A=… PROFILE_B=…; PLAN=1)
	@$(BIN)/python -m tests.conformance $(if $(PLAN),--plan) $(if $(YES),--yes) \
	 $(if $(PROFILE_A),--profile-a '$(PROFILE_A)') $(if $(PROFILE_B),--profile-b '$(PROFILE_B)') \
	 $(if $(REGION),--region '$(REGION)') $(if $(SUBNETS),--subnets '$(SUBNETS)') \
	 $(if $(SECURITY_GROUPS),--security-groups '$(SECURITY_GROUPS)') \
	 $(if $(SELECT),--select '$(SELECT)') $(if $(CLEAN_UP),--clean-up '$(CLEAN_UP)')

test-compat: .venv/ready-test ## The wheel on stock Dagster and PostgreSQL (lowest and highest 1.13), and the production configuration
	@$(BIN)/python -m pytest tests/compat -q

test-install: .venv/ready-test ## `make run` and tests in clones: other Pythons, paths, proxies, users, locales (25 minutes)
	@$(BIN)/python -m pytest tests/install -v --durations=0 --log-cli-level=INFO

test-ui: ## The claims about the Dagster UI, in a headless Chromium (not part of `make test`)
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; \
	 echo "The UI is tested in a browser, and none of $(BROWSERS) was found; install Debian's package: apt-get install chromium"; exit 1
	@$(MAKE) --no-print-directory .venv/ready-ui
	@$(BIN)/python -m pytest tests/ui -q

test-long: .venv/ready-test ## The claims that take long, more than an hour in all; one file: .venv/bin/python -m pytest tests/long/test_keys.py
	@$(BIN)/python -m pytest tests/long -q

test-iam: .venv/ready-test ## Compare 20,000 random IAM decisions with an independent simulator; needs Node (SEED=1 COUNT=20000)
	@$(BIN)/python -m tests.iam --seed $(or $(SEED),1) --count $(or $(COUNT),20000)

chaos: .venv/ready-test ## Faults, kills and late files over many seeds; stopped, it goes on (SEEDS=40; SEED=7: one)
	@$(BIN)/python -W ignore -m tools.chaos $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),40)) $(CHAOS)

lint: .venv/ready-test .venv/ready-checkov ## Style, imports, common mistakes, types; templates and their policies
	@$(MAKE) --no-print-directory --jobs 2 lint-python lint-templates

lint-python: .venv/ready-test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python -m mypy

lint-templates: .venv/ready-test .venv/ready-checkov
	@$(BIN)/python -c 'from cfnlint.runner import main; main()' && $(BIN)/python -m tools.iam_lint && .venv/checkov/bin/python -m tools.checkov_scan --config-file .checkov.yaml

# In an environment of its own: checkov pins a boto3 that is years older than ours.
.venv/ready-checkov: tools/checkov.txt .venv/ready
	@$(BIN)/python -m venv .venv/checkov
	@.venv/checkov/bin/python $(INSTALL) --requirement tools/checkov.txt
	@touch $@

check: setup ## Ask Dagster whether the definitions load
	@$(BIN)/dg check defs

bench: .venv/ready-bench ## Measure what the project claims, into docs/benchmarks.md (BENCH=pipeline: one of them)
	@$(BIN)/python -W ignore -m benchmarks $(BENCH)

clean: ## Stop, then remove the sandbox's state and the installation; your own lines in .env stay
	@if test -e .venv/ready; then $(SANDBOX) reset --yes; fi
	@rm -rf .xacct .venv
	@echo "Removed the sandbox's state and .venv."
