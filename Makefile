# Needs python3 (3.11 or later) with venv, make and git; brings the rest into .venv by itself.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
#: What `make test` runs; a tier whose real server is missing is skipped, with how to get it.
TESTS ?= tests --ignore=tests/chaos --ignore=tests/e2e
#: Each worker starts the servers that its tests need, so that more of them than cores gain little.
WORKERS ?= auto
PYTEST = $(BIN)/python -m pytest -q --numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal

#: `make soak` for so long on each of these buses; SEED repeats the faults of another time.
MINUTES ?= 30
VERSION = sed -n 's/^__version__ = "\(.*\)"/\1/p' services/ari_proxy/__about__.py
BUSES ?= nats rabbitmq
#: Where `make dist` puts what it makes.
DIST ?= dist

.PHONY: help setup demo test test-all cover chaos soak e2e observability-test screenshots lint format \
    hooks dist lock asterisk reference chart images kind-up kind-down clean

help:  ## Show this.
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# In two steps: --require-hashes takes no local project. The stamp comes last, so that a broken
# installation is done again.
$(VENV)/stamp: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/stamp  ## Make the virtual environment.

demo: setup  ## Serve some calls of a simulated Asterisk and show them; BUS=amqp://… for RabbitMQ.
	$(BIN)/ari-proxy demo $(if $(BUS),--bus $(BUS)) $(DEMO)

test: setup  ## Run the tests that can run here, but for the long ones: TESTS=tests/unit WORKERS=2.
	$(PYTEST) $(TESTS)

chaos: setup  ## Run the tests of faults; LONG=1 with long outages and floods as well.
	$(if $(LONG),LONG=$(LONG)) $(PYTEST) tests/chaos

test-all: setup  ## Run test and chaos together, then e2e if KUBECONFIG names a cluster.
	$(PYTEST) tests --ignore=tests/e2e
	$(if $(KUBECONFIG),$(MAKE) e2e)

# Of what needs no server: a module that decides is tested without one.
cover: setup  ## Measure what the tests without a server take; of what decides it must be 95 %.
	$(PYTEST) tests/unit tests/property tests/contract -m no_server \
	    --cov --cov-report=term --cov-report=json:$(VENV)/coverage.json
	$(BIN)/python -m tests.support.coverage $(VENV)/coverage.json

soak: setup  ## Serve calls under faults at random: MINUTES=30 BUSES="nats rabbitmq" SEED=1.
	set -e; for bus in $(BUSES); do \
	    $(BIN)/python -m tests.chaos.soak --minutes $(MINUTES) --bus $$bus $(if $(SEED),--seed $(SEED)); \
	done

# E2E says that this cluster is meant: the tests install the chart there.
e2e: setup  ## Test in the cluster of KUBECONFIG, with its own images (see k8s/load-images).
	k8s/load-images
	E2E=1 $(BIN)/python -m pytest -q tests/e2e

observability-test: setup  ## Test what people see: metrics, alerts, dashboards, tail, ladder, console.
	$(PYTEST) tests/observability

screenshots: setup  ## Take the pictures of docs/images anew.
	SCREENSHOTS=docs/images $(BIN)/python -m pytest -q -k "not rabbitmq" \
	    tests/observability/test_console.py tests/observability/test_dashboards.py

kind-up:  ## Make a cluster on this machine with kind, and load the images into it.
	kind create cluster --config k8s/kind/cluster.yaml
	k8s/load-images

kind-down:  ## Remove it.
	kind delete cluster --name ari-proxy

dist: setup  ## Make what a release consists of beside its images: wheel, sdist, chart; DIST=dist.
	$(BIN)/hatchling build --directory $(DIST)
	PATH="$(BIN):$$PATH" helm package charts/ari-proxy --destination $(DIST)

images:  ## Build the images of ingest, command and operator with docker.
	set -e; for name in ingest command operator; do \
	    docker build -f Dockerfile.$$name -t ari-proxy-$$name:$$($(VERSION)) .; \
	done

lint: setup  ## Run what CI checks beside the tests; `make hooks` has it run at each commit.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=services $(BIN)/lint-imports --no-cache
	$(BIN)/deptry services
	$(BIN)/codespell
	$(BIN)/vulture
	$(BIN)/complexipy services --max-complexity-allowed 10 --failed

format: setup  ## Mend what ruff can mend, and write all files as it formats them.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

hooks: setup  ## Run make lint at each commit from now on (pre-commit).
	$(BIN)/pre-commit install

LOCK = $(BIN)/uv pip compile --universal --upgrade --generate-hashes --no-emit-index-url \
    --no-header --no-annotate

lock: setup  ## Write the lock files anew from pyproject.toml: of development and of the images.
	$(LOCK) pyproject.toml --extra standalone --extra operator --extra traces --group dev --python-version 3.11 \
	    --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --extra ingest --extra traces --python-version 3.13 \
	    --constraint requirements/dev.txt --output-file requirements/services.txt
	$(LOCK) pyproject.toml --extra operator --python-version 3.13 \
	    --constraint requirements/dev.txt --output-file requirements/operator.txt
	echo setuptools | $(LOCK) - --python-version 3.13 --output-file requirements/build.txt

asterisk: setup  ## Unpack Asterisk 22 and 16 for the integration tests (needs apt, no root).
	$(BIN)/python tests/support/asterisk_up.py 22 --build-only
	$(BIN)/python tests/support/asterisk_up.py 16 --build-only

reference: setup  ## Write docs/reference/{settings,metrics,logs,ariproxy}.md from code and contract.
	$(BIN)/python -m tests.support.reference

chart: setup  ## Write the chart's CRD, dashboards and README.md from what they are made of.
	$(BIN)/python -m tests.support.chart
	$(BIN)/python -m tests.support.dashboards

clean:  ## Remove what was made here.
	rm -rf $(VENV) $(DIST) .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
