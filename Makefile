# Everything starts here; each target does its own set-up. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

export PATH := $(PATH):/usr/sbin:/sbin
export PYTHON

BIN := .venv/bin
READY := .venv/.solarhub-ready
FAST_TESTS := tests/unit tests/property tests/architecture
# Seconds each, and they guard what seldom changes: only in the whole suite.
NOT_FAST := tests/unit/edge_web/test_page.py tests/unit/reports/test_pdf.py tests/unit/simulated/test_simulated.py \
	tests/unit/edge/test_supervise.py tests/unit/billing/test_bill_command.py tests/property/billing/test_annual_amounts.py \
	tests/property/billing/test_schedule_oracle.py tests/property/billing/test_urdb_oracle.py tests/property/billing/test_comparison.py \
	tests/property/billing/test_projection.py tests/property/telemetry/test_rollup_rules_property.py

# program=Debian package
FOR_DEMO := mosquitto=mosquitto
FOR_TESTS := $(FOR_DEMO) chromium=chromium node=nodejs npm=npm
NODE_SERVER := tests/node/node_modules/.package-lock.json

# Run by root, a database may lie outside the checkout (see cloud/embedded); only the project's own code knows where.
ERASE := "import sys, pathlib, cloud.embedded as e; [e.erase_postgres(c.parent) for c in [*pathlib.Path(sys.argv[1]).rglob('cluster')]]"

.PHONY: help setup demo check lint fast-tests test bench clean distclean demo-packages test-packages

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 16

setup: $(READY) ## make .venv from uv.lock

$(READY): pyproject.toml uv.lock packaging/setup-environment.sh
	packaging/setup-environment.sh
	touch $@

demo-packages:
	@packaging/debian-packages.sh $(FOR_DEMO)

test-packages:
	@packaging/debian-packages.sh $(FOR_TESTS)

demo: $(READY) demo-packages ## a simulated site, the agent and the cloud, live
	$(BIN)/solarhub demo

check: lint fast-tests ## style, types, import contracts and fast tests: under a minute

lint: $(READY)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

fast-tests: $(READY)
	$(BIN)/python -m pytest -q -n 2 -m "not slow" --hypothesis-profile fast $(NOT_FAST:%=--ignore=%) $(FAST_TESTS)

$(NODE_SERVER): tests/node/package-lock.json | test-packages
	npm ci --prefix tests/node --ignore-scripts --no-audit --no-fund --silent
	touch $@

test: $(READY) test-packages $(NODE_SERVER) ## the whole suite in random order
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m slow --durations=12

bench: $(READY) demo-packages ## every benchmark in tests/bench, one after the other
	@for file in tests/bench/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

clean: ## remove caches, builds and the demo's data
	@if [ -d .demo ] && [ -x $(BIN)/python ]; then $(BIN)/python -c $(ERASE) .demo; fi
	rm -rf .demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

distclean: clean ## remove .venv too
	rm -rf .venv
