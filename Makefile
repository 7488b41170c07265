# Needs python3 (3.11 or later) with venv, make and git; installs the rest into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
#: What `make test` runs; tests whose real server is missing are skipped, with how to get it.
TESTS ?= tests --ignore=tests/chaos --ignore=tests/e2e
#: Each worker starts the servers that its tests need: more workers than cores gain little.
WORKERS ?= auto
PYTEST = $(BIN)/python -m pytest -q --numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal

#: `make soak` runs for MINUTES on each of BUSES; SEED repeats the faults of an earlier run.
MINUTES ?= 30
VERSION = sed -n 's/^__version__ = "\(.*\)"/\1/p' services/ari_proxy/__about__.py
BUSES ?= nats rabbitmq
#: The output directory of `make dist`.
DIST ?= dist
#: `make images` names the images for this registry, as the chart does with global.imageRegistry.
REGISTRY ?=
IMAGES = $(REGISTRY:%=%/)ari-proxy-

.PHONY: help setup demo test test-all cover chaos soak e2e observability-test screenshots lint format \
    hooks dist lock asterisk asyncapi examples examples-go examples-node examples-java reference generate chart images kind-up kind-down clean

help:  ## Show this help.
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# In two steps: --require-hashes takes no local project. The stamp comes last, so that a broken
# installation is done again.
$(VENV)/stamp: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/stamp  ## Create the virtual environment.

demo: setup  ## Serve calls of a simulated Asterisk and draw each as a ladder; BUS=amqp://… for RabbitMQ.
	$(BIN)/ari-proxy demo $(if $(BUS),--bus $(BUS)) $(DEMO)

test: setup  ## Run all tests but chaos and e2e; TESTS=tests/unit WORKERS=2 for some of them.
	$(PYTEST) $(TESTS)

chaos: setup  ## Run the fault tests; LONG=1 includes long outages and floods.
	$(if $(LONG),LONG=$(LONG)) $(PYTEST) tests/chaos

test-all: setup  ## Run test and chaos, then e2e if KUBECONFIG is set.
	$(PYTEST) tests --ignore=tests/e2e
	$(if $(KUBECONFIG),$(MAKE) e2e)

# Tests without a server only: a module that decides must not need one.
cover: setup  ## Measure coverage of the tests without a server; modules that decide need 95 %.
	$(PYTEST) tests/unit tests/property tests/contract -m no_server \
	    --cov --cov-report=term --cov-report=json:$(VENV)/coverage.json
	$(BIN)/python -m tests.support.coverage $(VENV)/coverage.json

soak: setup  ## Serve calls under random faults: MINUTES=30 BUSES="nats rabbitmq" SEED=1.
	set -e; for bus in $(BUSES); do \
	    $(BIN)/python -m tests.chaos.soak --minutes $(MINUTES) --bus $$bus $(if $(SEED),--seed $(SEED)); \
	done

# E2E confirms that the tests may install the chart in this cluster.
e2e: setup  ## Run the end-to-end tests in the cluster of KUBECONFIG, with images of this tree.
	k8s/load-images
	E2E=1 $(BIN)/python -m pytest -q tests/e2e

observability-test: setup  ## Test metrics, alerts, dashboards, tail, ladder and the console.
	$(PYTEST) tests/observability

screenshots: setup  ## Update the screenshots in docs/images.
	SCREENSHOTS=docs/images $(BIN)/python -m pytest -q -k "picture or drawn" --timeout 600 \
	    tests/observability/test_console.py tests/observability/test_dashboards.py

kind-up:  ## Create a kind cluster and load the images into it.
	kind create cluster --config k8s/kind/cluster.yaml
	k8s/load-images

kind-down:  ## Delete the kind cluster.
	kind delete cluster --name ari-proxy

dist: setup  ## Build the wheel, sdist and chart of a release; DIST=dist.
	$(BIN)/hatchling build --directory $(DIST)
	PATH="$(BIN):$$PATH" helm package charts/ari-proxy --destination $(DIST)

images:  ## Build the images with docker; REGISTRY=registry.example.com/voice to name, PUSH=1 to push them.
	set -e; for name in ingest command operator; do \
	    docker build -f Dockerfile.$$name -t $(IMAGES)$$name:$$($(VERSION)) .; \
	done
	docker build -t $(IMAGES)asterisk:22 k8s/images/asterisk
	$(if $(PUSH),set -e; for name in ingest command operator; do \
	    docker push $(IMAGES)$$name:$$($(VERSION)); \
	done; docker push $(IMAGES)asterisk:22)

lint: setup  ## Run the static checks of CI.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=services $(BIN)/lint-imports --no-cache
	$(BIN)/deptry services
	$(BIN)/codespell
	$(BIN)/vulture
	$(BIN)/complexipy services --max-complexity-allowed 10 --failed

format: setup  ## Fix what ruff can fix, and format all files.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

hooks: setup  ## Install a pre-commit hook that runs make lint.
	$(BIN)/pre-commit install

LOCK = $(BIN)/uv pip compile --universal --upgrade --generate-hashes --no-emit-index-url \
    --no-header --no-annotate

lock: setup  ## Update the lock files of development and of the images from pyproject.toml.
	$(LOCK) pyproject.toml --extra standalone --extra operator --extra traces --group dev --python-version 3.11 \
	    --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --extra server --extra traces --python-version 3.13 \
	    --constraint requirements/dev.txt --output-file requirements/services.txt
	$(LOCK) pyproject.toml --extra operator --python-version 3.13 \
	    --constraint requirements/dev.txt --output-file requirements/operator.txt
	echo setuptools | $(LOCK) - --python-version 3.13 --output-file requirements/build.txt

asterisk: setup  ## Download Asterisk 22 and 16 for the integration tests (needs apt, not root).
	$(BIN)/python tests/support/asterisk_up.py 22 --build-only
	$(BIN)/python tests/support/asterisk_up.py 16 --build-only

# The parser that AsyncAPI's own command line validates by: 54 MB, where that has 1.5 GB and needs
# Node.js 24 since its version 5.
asyncapi: setup  ## Download AsyncAPI's parser for the integration tests (needs node and npm).
	npm install --prefix $(VENV)/asyncapi --silent --no-save --no-audit --no-fund --ignore-scripts @asyncapi/parser@3.6.6

examples: examples-go examples-node examples-java  ## Build the examples in other languages (go; node, npm; java, mvn).

examples-go:
	cd examples/go && go build -o build/answer .

examples-node:
	set -e; for name in node node-rabbitmq; do \
	    npm ci --prefix examples/$$name --silent --no-audit --no-fund --ignore-scripts; \
	done

examples-java:
	mvn --quiet --batch-mode --strict-checksums --file examples/java/pom.xml compile dependency:copy-dependencies

reference: setup  ## Generate docs/reference from code and CRD: settings, metrics, logs, ariproxy, asyncapi, schemas.
	$(BIN)/python -m tests.support.reference

generate: setup  ## Generate what knows all of ARI, from the facts in generator/facts.
	$(BIN)/python -m generator write

chart: setup  ## Generate the chart's CRD, defaults, dashboards and README.md, and k8s/install.yaml.
	$(BIN)/python -m tests.support.chart
	$(BIN)/python -m tests.support.dashboards

clean:  ## Remove everything that make has created.
	rm -rf $(VENV) $(DIST) examples/*/node_modules examples/*/build examples/*/target .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
