"""TLS without a file of certificates: the system's authorities, for all that we open.

The test's authority is the system's here: OpenSSL reads SSL_CERT_FILE
(docs.openssl.org, SSL_CTX_set_default_verify_paths).
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from ari_proxy.bus.base import opened
from ari_proxy.client.bus_at import bus_at
from ari_proxy.connections import factories
from ari_proxy.embedded import embedded_bus, embedded_settings
from ari_proxy.settings.load import Settings, load
from ari_proxy.simulator.server import Simulator
from tests.support.certificates import Certificates
from tests.support.round_trip import nats_server, works
from tests.support.running import TIMEOUT, until


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    found = Certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(found.authority))
    return found


class _DoneError(Exception):
    """Cancels the simulator's tasks."""


@asynccontextmanager
async def secure_asterisk(certificates: Certificates) -> AsyncIterator[str]:
    """Yield host and port of a simulated Asterisk that is reached by TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server, certificates.server_key)
    with contextlib.suppress(_DoneError):
        async with asyncio.TaskGroup() as tasks:
            simulator = Simulator(tasks, user="ari", password="ari")
            runner = web.AppRunner(simulator.application(), shutdown_timeout=1)
            await runner.setup()
            try:
                await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
                yield f"localhost:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()


def settings_of(where: str) -> Settings:
    ari = {"rest_url": f"https://{where}/ari", "websocket_url": f"wss://{where}/ari/events"}
    account = {"user": "ari", "password": "ari"}
    return load(applications=("demo",), ari=ari | account)


async def test_events_websocket(certificates: Certificates) -> None:
    async with secure_asterisk(certificates) as where, asyncio.timeout(TIMEOUT):
        socket = factories.event_socket(settings_of(where))
        async with contextlib.aclosing(socket.connections()) as connections:
            assert await anext(connections)


async def test_requests(certificates: Certificates) -> None:
    async with (
        secure_asterisk(certificates) as where,
        factories.rest_client(settings_of(where)) as rest,
    ):
        assert (await rest.request("GET", "/channels")).status == 200


async def test_application_at_an_asterisk(certificates: Certificates) -> None:
    async with secure_asterisk(certificates) as where:
        settings = embedded_settings(f"aris://ari:ari@{where}", "demo")
        async with embedded_bus(settings) as bus, factories.rest_client(settings) as rest:

            async def is_registered() -> bool:
                return (await rest.request("GET", "/applications/demo")).status == 200

            await until(is_registered)
            assert bus.is_connected


async def test_nats(certificates: Certificates) -> None:
    options = ["--tls", "--tlscert", str(certificates.server)]
    with nats_server(*options, "--tlskey", str(certificates.server_key)) as server:
        url = f"tls://localhost:{server.port}"
        async with opened(factories.bus(load(bus={"urls": [url]}), "test")) as bus:
            assert await works(bus)
        async with opened(bus_at(url, name="test")) as bus:
            assert await works(bus)
