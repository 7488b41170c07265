"""Fixtures of all tiers."""

import os
from collections.abc import Iterator

import pytest

from tests.support.servers import Asterisk, NatsServer

for name in [name for name in os.environ if name.startswith("ARI_PROXY_")]:
    if name != "ARI_PROXY_REQUIRE":
        del os.environ[name]


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A nats-server for all tests that leave it running."""
    server = NatsServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_nats_server() -> Iterator[NatsServer]:
    """A nats-server that the test may stop and start."""
    server = NatsServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=["22", "16"], ids=["asterisk22", "asterisk16"])
def asterisk(request: pytest.FixtureRequest) -> Iterator[Asterisk]:
    """A real Asterisk for all tests that leave it running; each has its own application."""
    server = Asterisk(request.param, sip=True)
    server.start()
    yield server
    server.remove()
