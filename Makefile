.PHONY: setup demo test
.venv/ready: pyproject.toml
	python3 -m venv .venv
	.venv/bin/pip -q install -e '.[standalone]' pytest pytest-asyncio pytest-timeout pytest-randomly hypothesis
	touch $@
setup: .venv/ready
demo: setup
	.venv/bin/ari-proxy demo
test: setup
	.venv/bin/python -m pytest -q tests/unit tests/contract tests/interop
