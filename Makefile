# Needs python3 (3.11 or later) with venv, make and git; brings the rest into .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
#: What `make test` runs; a tier whose real server is missing is skipped, with how to get it.
TESTS ?= tests

#: `make soak` for so long on each of these buses; SEED repeats the faults of another time.
MINUTES ?= 30
BUSES ?= nats rabbitmq

.PHONY: help setup demo test chaos soak lint lock asterisk reference clean

help:  ## Show this.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# In two steps: --require-hashes takes no local project. The stamp comes last, so that a broken
# installation is done again.
.venv/stamp: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: .venv/stamp  ## Make the virtual environment.

demo: setup  ## Serve some calls of a simulated Asterisk and show them; BUS=amqp://… for RabbitMQ.
	$(BIN)/ari-proxy demo $(if $(BUS),--bus $(BUS)) $(DEMO)

test: setup  ## Run all tests that can run here.
	$(BIN)/python -m pytest -q $(TESTS)

chaos: setup  ## Run the tests of faults alone; LONG=1 with long outages and floods as well.
	$(if $(LONG),LONG=$(LONG)) $(BIN)/python -m pytest -q tests/chaos

soak: setup  ## Serve calls under faults at random: MINUTES=30 BUSES="nats rabbitmq" SEED=1.
	set -e; for bus in $(BUSES); do \
	    $(BIN)/python -m tests.chaos.soak --minutes $(MINUTES) --bus $$bus $(if $(SEED),--seed $(SEED)); \
	done

lint: setup  ## Run what CI checks beside the tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=services $(BIN)/lint-imports --no-cache
	$(BIN)/deptry services
	$(BIN)/codespell
	$(BIN)/vulture
	$(BIN)/complexipy services --max-complexity-allowed 10 --failed

lock: setup  ## Write the lock file anew from pyproject.toml.
	$(BIN)/uv pip compile pyproject.toml --extra standalone --group dev --universal --upgrade \
	    --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --output-file requirements/dev.txt

asterisk: setup  ## Unpack Asterisk 22 and 16 for the integration tests (needs apt, no root).
	$(BIN)/python tests/support/asterisk_up.py 22 --build-only
	$(BIN)/python tests/support/asterisk_up.py 16 --build-only

reference: setup  ## Write docs/reference/{settings,metrics}.md from the code.
	$(BIN)/python -m tests.support.reference

clean:  ## Remove what was made here.
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
