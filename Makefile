# Everything the project does, with nothing installed but Python 3.11+, git and make: tools go into .venv and .tools.
.DEFAULT_GOAL := help
PYTHON ?= python3
RUNTIME ?= python3.13
ARCHITECTURE ?= arm64
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# Commands of tests/ and tools/ import the product from where it lies.
export PYTHONPATH := $(CURDIR)/src:$(CURDIR)/cli
# Where it is set, each of the hundred processes of a test run compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE
# Which part of the long grids `make test` runs. Each commit's `make check` runs another part; `make grids` runs all.
QUIESCE_SEED ?= 1
SEED_OF_COMMIT = $(shell git rev-list --count HEAD 2>/dev/null || echo 1)
export UV_CACHE_DIR := $(CURDIR)/.tools/uv
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
# Trust whom this machine trusts, as pip does: many stand behind a proxy of their own.
export UV_SYSTEM_CERTS := 1
export npm_config_cache := $(CURDIR)/.tools/npm
export npm_config_update_notifier := false
# Licences of what the layer holds; those of the tools are in pyproject.toml.
SHIPPED := MIT;MIT License;Apache-2.0;BSD-3-Clause;BSD License;PSF-2.0
NEEDS = @$(PYTHON) -c '$(1)' 2>/dev/null || { echo 'quiesce needs $(2)' >&2; exit 1; }

.PHONY: help demo recover-demo sandbox test grids contracts mutations fuzz bench check fast lint scan deploy verify-on-aws release clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: .venv/ready ## back up and recover a simulated Windows server on a local AWS, from deployment on
	@python -m sandbox.demo

recover-demo: .venv/ready ## one backup and a recovery from it
	@python -m sandbox.demo --recovery

sandbox: .venv/ready ## deploy to the local AWS, print the commands to try, and keep it open for them
	@python -m sandbox.demo --open

test: .venv/ready .tools/axe-core/ready ## all tests, of long grids of cases a sample: QUIESCE_SEED=2 for another one
	@pytest -n auto --sample=$(QUIESCE_SEED)
	@command -v chromium >/dev/null && command -v npm >/dev/null || echo 'pages: not opened in a browser, there is no chromium or no npm here'

grids: .venv/ready ## all cases of the long grids and random series, which `make test` and `make check` sample
	@pytest -n auto -m grid

contracts: .venv/ready ## the guest in a real PowerShell against its contract, and the 5.1 checker (needs pwsh)
	@python -m tests.guest.contracts
	@if command -v pwsh >/dev/null; then python -m tools.guest.checker; fi

mutations: .venv/ready ## break guest and product on purpose, and see each break caught (the guest's need pwsh)
	@python -m tools.mutants
	@python -m tools.guest.mutations

bench: .venv/ready ## the figures of docs/operate/performance.md, as ratios within one run
	@python -m bench.cold_starts
	@python -m bench.shadow_volumes
	@python -m bench.builds
	@python -m bench.calls
	@python -m bench.cost

check: lint scan .tools/axe-core/ready ## what CI runs: format, types, linters, tests with this commit's sample of the grids, and where pwsh is at hand the contracts that changed
	@pytest -n auto --sample=$(SEED_OF_COMMIT) --junitxml=.tools/tests.xml --cov --cov-report= --cov-fail-under=0
	@python -m tools.coverage_floor
	@python -m tests.guest.contracts --changed --seed=$(SEED_OF_COMMIT)
	@if command -v pwsh >/dev/null; then python -m tools.guest.checker; fi
	@printf 'lines: product %s, sandbox %s, tests %s\n' $$(for of in 'src functions guest statemachine rights template.yaml resources.yaml outputs.yaml' sandbox tests; do \
		git ls-files $$of | grep -vE '\.(json|txt)$$' | xargs cat | wc -l; done)

fuzz: .venv/ready ## read 50,000 damaged disks for shadow copies, and 50,000 as of one, seeded
	@python -m tests.unit.disks.shadow_fuzz
	@python -m tests.unit.disks.view_fuzz

fast: .venv/ready ## the fast half of the linters, in seconds: what the pre-commit hook runs
	@ruff format --check --quiet . && ruff check --quiet . && mypy --no-error-summary src functions cli
	@uv export --frozen --quiet --no-default-groups --no-emit-project --format requirements.txt --no-header | diff - src/requirements.txt
	@uv export --frozen --quiet --only-group page --no-emit-project --format requirements.txt --no-header | diff - src/requirements-page.txt
	@python guest/document.py --check

lint: fast
	@pip-licenses >/dev/null && pip-licenses --packages $$(grep -ohE '^[a-z0-9-]+' src/requirements*.txt) --allow-only '$(SHIPPED)' >/dev/null
	@sam validate --lint && cfn-lint template.yaml
	@python -m tests.support.project template.yaml | cfn-lint
	@python -m tools.rights
	@if command -v npm >/dev/null; then for of in statemachine/*.yaml; do python -m tests.support.project $$of | \
		npm exec --yes --quiet asl-validator@4.0.0 -- --no-arn-check --json-path /dev/stdin || exit 1; done; \
	else echo 'asl-validator: not run, there is no npm here'; fi

scan: .venv/ready .tools/checkov/ready ## what a scanner of organizations finds in the template
	@python -m tests.support.project template.yaml >.tools/checkov/template.json
	@.tools/checkov/bin/checkov --config-file tools/checkov/config.yaml -f .tools/checkov/template.json

deploy: .venv/ready ## to your AWS account; RUNTIME=python3.12 ARCHITECTURE=x86_64 for another Lambda
	QUIESCE_RUNTIME=$(RUNTIME) QUIESCE_ARCHITECTURE=$(ARCHITECTURE) sam build
	sam deploy --parameter-overrides Runtime=$(RUNTIME) Architecture=$(ARCHITECTURE)

verify-on-aws: .venv/ready ## look on a real account at what docs/unconfirmed.md lists; ARGS=--dry-run prints every call
	@python -m tools.verify_on_aws $(ARGS)

release: .venv/ready ## dist/: an archive that `sam deploy` takes as it is, and its checksum (needs the functions' Python)
	@python -m tools.release

clean: ## remove everything that make has made
	rm -rf .venv .tools .aws-sam .sandbox dist

.tools/checkov/ready: tools/checkov/requirements.txt
	@echo 'Setting up checkov in an environment of its own (once)'
	@uv venv --quiet --clear .tools/checkov
	@uv pip install --quiet --python .tools/checkov/bin/python --require-hashes -r $<
	@touch $@

# What looks whether pages are accessible; like the validator of state machines it needs npm, and is not shipped.
.tools/axe-core/ready: Makefile
	@mkdir -p $(@D)
	@if ! command -v npm >/dev/null || npm install --silent --no-save --prefix $(@D) axe-core@4.14.1; then touch $@; \
	else echo 'axe-core: npm could not fetch it, so no page is opened in a browser; behind a proxy set NODE_EXTRA_CA_CERTS' >&2; fi

.venv/ready: pyproject.toml uv.lock
	$(call NEEDS,import sys; assert sys.version_info >= (3, 11),Python 3.11 or later: PYTHON=/path/to/python3 make $(MAKECMDGOALS))
	$(call NEEDS,import venv; import ensurepip,the Python modules venv and pip: on Debian and Ubuntu apt install python3-venv)
	@echo 'Setting up .venv (once, about a minute)'
	@test -x .venv/bin/uv || { $(PYTHON) -m venv .venv && python -m pip install --quiet --disable-pip-version-check uv==0.13.9; }
	@uv sync --frozen --quiet
	@touch $@
