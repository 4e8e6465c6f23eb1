# Everything from a fresh clone: only make and Python 3.11 or later (with venv) are needed.
#   make up [DETACH=1] | down | test [STACK=containers] | lint | portal | schemas | shots | demo | bench | faults

SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/installed-to-run
STAMP := $(VENV)/installed-to-test
SERVICES := $(filter-out chassis,$(patsubst services/%/pyproject.toml,%,$(sort $(wildcard services/*/pyproject.toml))))
MEMBERS := contracts services/chassis $(SERVICES:%=services/%) deploy/local deploy/sandbox
COMMA := ,
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)
PYTHON ?= $(shell for one in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$one && break; done)
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(4, max(2, os.cpu_count() or 2)))')
export STACK
WEB := services/gateway/web
PORTAL := services/gateway/gateway/portal/index.html
PACKAGES := $(WEB)/node_modules/.package-lock.json
NODE := $(VENV)/node
NPM := PATH="$$(cat $(NODE)):$$PATH" npm --prefix $(WEB)

.PHONY: help up down install lint test portal schemas shots demo bench faults

help:
	@sed -n '1,2s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

# What runs is installed by `up`; what only tests need, beside it, by all else.
$(RUNS): requirements/install.txt requirements/runtime.txt $(MEMBERS:%=%/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed. Remedy: install it, or call make PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing into $(VENV), some minutes the first time ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python could not make a virtual environment. Remedy: install its venv module, as with: apt install python3-venv"; exit 1; }
	@$(BIN)/pip --disable-pip-version-check install --quiet --require-hashes -r requirements/install.txt || $(EXPLAIN)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --system-certs --require-hashes -r requirements/runtime.txt || $(EXPLAIN)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(MEMBERS:%=-e %)
	@touch $(RUNS)

$(STAMP): $(RUNS) requirements/dev.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --system-certs --require-hashes -r requirements/dev.txt || $(EXPLAIN)
	@touch $(STAMP)

EXPLAIN = { echo "The packages could not be installed. Remedy: check the network (behind a proxy set HTTPS_PROXY; where it has a certificate authority of its own, SSL_CERT_FILE), then call make again"; exit 1; }

install: $(STAMP)

# The portal's pages. Node is this machine's, or else a wheel of it beside Python.
$(NODE): requirements/node.txt | $(RUNS)
	@if node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null \
	  && command -v npm >/dev/null; then dirname "$$(command -v node)" > $@; \
	else VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --system-certs --quiet --require-hashes -r requirements/node.txt && echo "$(CURDIR)/$(BIN)" > $@; fi || $(EXPLAIN)

$(PACKAGES): $(WEB)/package-lock.json $(NODE)
	@echo "Installing what builds the portal ..."
	@$(NPM) ci --no-progress --loglevel=error || $(EXPLAIN)
	@touch $(PACKAGES)

$(PORTAL): $(PACKAGES) contracts/openapi.json $(shell find $(WEB)/src $(WEB)/public -type f ! -name schema.d.ts) $(WEB)/index.html $(WEB)/vite.config.ts
	@$(NPM) run --silent build -- --logLevel warn
	@touch $(PORTAL)

portal: $(PORTAL)

up: $(RUNS) $(PORTAL)
	@exec $(BIN)/paidup up $(if $(filter-out 0,$(DETACH)),--detach)

down: $(RUNS)
	@exec $(BIN)/paidup down

lint: $(STAMP) $(PACKAGES)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(subst $(SPACE),:,. services $(SERVICES:%=services/%) deploy/local deploy/sandbox) $(BIN)/mypy $(patsubst %,-p %,contracts chassis $(SERVICES) paidup_local sandbox)
	@sed 's/@services@/$(subst $(SPACE),"$(COMMA) ",$(SERVICES))/; s/@layer@/$(subst $(SPACE), | ,$(SERVICES))/' \
	  pyproject.toml > $(VENV)/imports.toml
	$(BIN)/lint-imports --config $(VENV)/imports.toml
	$(BIN)/python -m tests.names
	$(NPM) run --silent check

test: $(STAMP) $(PORTAL)
	$(NPM) run --silent test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests/unit tests/contract tests/chassis tests/service
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/e2e
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/browser

schemas: $(STAMP)
	$(BIN)/python -m contracts.generate
	$(BIN)/python deploy/openapi.py

shots demo bench faults: $(STAMP) $(PORTAL)
	@exec $(BIN)/python -m tests.$@
