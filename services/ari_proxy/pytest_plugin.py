"""pytest's plug-in: the fixture `ari_call`, and the option to run calls on a real Asterisk.

Until a test asks for it, nothing else is imported.
"""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

_INSTALL = "pip install 'ari-proxy[server]'"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--ari-asterisk`."""
    parser.getgroup("ari-proxy").addoption(
        "--ari-asterisk",
        action="store_true",
        help="run the calls of ari_proxy.testing on a real Asterisk, which the environment "
        "variable ARI_TEST_ASTERISK names, like ari://user:password@host:8088",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have calls run on a real Asterisk, if that was asked for."""
    if not config.getoption("--ari-asterisk"):
        return
    try:
        from ari_proxy.testing import target  # noqa: PLC0415  see above
    except ModuleNotFoundError as error:
        raise pytest.UsageError(f"--ari-asterisk needs {error.name}: {_INSTALL}") from error
    url = os.environ.get(target.VARIABLE, "")
    if not url:
        raise pytest.UsageError(
            f"--ari-asterisk needs the environment variable {target.VARIABLE}: "
            "the URL of an Asterisk, like ari://user:password@host:8088"
        )
    target.use(url)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Have later calls of this process run on the simulated one."""
    if config.getoption("--ari-asterisk"):
        from ari_proxy.testing import target  # noqa: PLC0415  see above

        target.use("")


@pytest.fixture
def ari_call() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """`ari_proxy.testing.fake_call`: runs a handler for one call."""
    try:
        from ari_proxy.testing import fake_call  # noqa: PLC0415  see above
    except ModuleNotFoundError as error:
        raise pytest.UsageError(f"ari_call needs {error.name}: {_INSTALL}") from error
    return fake_call
