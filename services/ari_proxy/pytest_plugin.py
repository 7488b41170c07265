"""pytest's plug-in: the fixture `ari_call`. Until a test asks for it, nothing else is imported."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest


@pytest.fixture
def ari_call() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """`ari_proxy.testing.fake_call`: runs a handler for one call."""
    try:
        from ari_proxy.testing import fake_call  # noqa: PLC0415  see above
    except ModuleNotFoundError as error:
        text = f"ari_call needs {error.name}: pip install 'ari-proxy[server]'"
        raise pytest.UsageError(text) from error
    return fake_call
