# Everything the project does, with nothing installed but Python 3.11+, git and make: tools go into .venv and .tools.
.DEFAULT_GOAL := help
PYTHON ?= python3
RUNTIME ?= python3.13
ARCHITECTURE ?= arm64
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# Where it is set, each of the hundred processes of a test run compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE
# Which part of the long grids `make test` runs; `make check` runs all.
QUIESCE_SEED ?= 1
export UV_CACHE_DIR := $(CURDIR)/.tools/uv
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
# Trust whom this machine trusts, as pip does: many stand behind a proxy of their own.
export UV_SYSTEM_CERTS := 1
export npm_config_cache := $(CURDIR)/.tools/npm
export npm_config_update_notifier := false
# Licences of what the layer holds; those of the tools are in pyproject.toml.
SHIPPED := MIT;MIT License;Apache-2.0;BSD-3-Clause;PSF-2.0
NEEDS = @$(PYTHON) -c '$(1)' 2>/dev/null || { echo 'quiesce needs $(2)' >&2; exit 1; }

.PHONY: help demo recover-demo sandbox test contracts mutations fuzz check fast lint deploy release clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: .venv/ready ## back up and recover a simulated Windows server on a local AWS, from deployment on
	@python -m sandbox.demo

recover-demo: .venv/ready ## one backup and a recovery from it
	@python -m sandbox.demo --recovery

sandbox: .venv/ready ## keep the local AWS open for your own commands
	@python -m sandbox

test: .venv/ready ## all tests, of long grids of cases a sample: QUIESCE_SEED=2 for another one
	@pytest -n auto --sample=$(QUIESCE_SEED)

contracts: .venv/ready ## the guest in a real PowerShell against its contract, and the 5.1 checker (needs pwsh)
	@python -m tests.guest.contracts
	@if command -v pwsh >/dev/null; then python -m tools.guest.checker; fi

mutations: .venv/ready ## break the guest on purpose, and see each break caught (needs pwsh)
	@python -m tools.guest.mutations

check: lint ## what CI runs: format, types, linters, all tests, and where pwsh is at hand the contracts that changed
	@pytest -n auto --junitxml=.tools/tests.xml --cov --cov-report= --cov-fail-under=0
	@python -m tools.coverage_floor
	@python -m tests.guest.contracts --changed
	@if command -v pwsh >/dev/null; then python -m tools.guest.checker; fi
	@printf 'lines: product %s, sandbox %s, tests %s\n' $$(for of in 'src functions guest statemachine template.yaml' sandbox tests; do \
		git ls-files $$of | grep -vE '\.(json|txt)$$' | xargs cat | wc -l; done)

fuzz: .venv/ready ## read 50,000 damaged disks for shadow copies, and 50,000 as of one, seeded
	@PYTHONPATH=src python -m tests.unit.disks.shadow_fuzz
	@PYTHONPATH=src python -m tests.unit.disks.view_fuzz

fast: .venv/ready ## the fast half of the linters, in seconds: what the pre-commit hook runs
	@ruff format --check --quiet . && ruff check --quiet . && mypy --no-error-summary src functions
	@uv export --frozen --quiet --no-default-groups --no-emit-project --format requirements.txt --no-header | diff - src/requirements.txt
	@python guest/document.py --check

lint: fast
	@pip-licenses >/dev/null && pip-licenses --packages $$(grep -oE '^[a-z0-9-]+' src/requirements.txt) --allow-only '$(SHIPPED)' >/dev/null
	@sam validate --lint && cfn-lint template.yaml
	@if command -v npm >/dev/null; then for of in statemachine/*.yaml; do python -m tests.support.project $$of | \
		npm exec --yes --quiet asl-validator@4.0.0 -- --no-arn-check --json-path /dev/stdin || exit 1; done; \
	else echo 'asl-validator: not run, there is no npm here'; fi

deploy: .venv/ready ## to your AWS account; RUNTIME=python3.12 ARCHITECTURE=x86_64 for another Lambda
	QUIESCE_RUNTIME=$(RUNTIME) QUIESCE_ARCHITECTURE=$(ARCHITECTURE) sam build
	sam deploy --parameter-overrides Runtime=$(RUNTIME) Architecture=$(ARCHITECTURE)

release: .venv/ready ## dist/: an archive that `sam deploy` takes as it is, and its checksum (needs the functions' Python)
	@python -m tools.release

clean: ## remove everything that make has made
	rm -rf .venv .tools .aws-sam .sandbox dist

.venv/ready: pyproject.toml uv.lock
	$(call NEEDS,import sys; assert sys.version_info >= (3, 11),Python 3.11 or later: PYTHON=/path/to/python3 make $(MAKECMDGOALS))
	$(call NEEDS,import venv; import ensurepip,the Python modules venv and pip: on Debian and Ubuntu apt install python3-venv)
	@echo 'Setting up .venv (once, about a minute)'
	@test -x .venv/bin/uv || { $(PYTHON) -m venv .venv && python -m pip install --quiet --disable-pip-version-check uv==0.13.9; }
	@uv sync --frozen --quiet
	@touch $@
