"""What waits for an answer that does not come does not wait."""

from collections.abc import Mapping

from ari_proxy.testing import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, type[VirtualTimeLoop]]:
    return {"virtual": VirtualTimeLoop}
