"""A name with an address that answers nothing: its other address is used, and nothing is lost."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvloop
from yarl import URL

from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.errors import AriTimeoutError, UnreachableError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.tls import AriTls
from ari_proxy.ari.websocket import EventSocket
from ari_proxy.bus.base import opened
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from ari_proxy.bus.rabbitmq.transport import Transport
from tests.support import documented_rights
from tests.support.black_hole import ANSWERING, NAME, SILENT, black_hole
from tests.support.certificates import Certificates
from tests.support.running import until
from tests.support.scripted_asterisk import ScriptedAsterisk, scripted_asterisk
from tests.support.servers import PASSWORD, NatsServer

CREDENTIALS = Credentials("ari", PASSWORD)


def named(url: str) -> str:
    return url.replace(ANSWERING, NAME)


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


@asynccontextmanager
async def asterisk_behind(tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedAsterisk]:
    async with scripted_asterisk(tls=tls) as asterisk:
        with black_hole(port_of(asterisk.url)):
            yield asterisk


def client(url: str, *, timeout_seconds: float = 20, tls: AriTls | None = None) -> RestClient:
    return RestClient(
        named(url), CREDENTIALS, concurrency=9, timeout_seconds=timeout_seconds, tls=tls
    )


@dataclass(frozen=True)
class Trusting:
    """Takes what one authority has signed."""

    authority: Path

    def current(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)


def serving(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_request_reaches_the_address_that_answers() -> None:
    async with asterisk_behind() as asterisk, client(asterisk.url) as rest:
        answer = await rest.request("POST", "/channels/c/answer")

    assert answer.status == 204
    assert len(asterisk.requests) == 1


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_any_event_loop_tries_all_addresses(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def request() -> int:
        async with asterisk_behind() as asterisk, client(asterisk.url) as rest:
            return (await rest.request("GET", "/endpoints")).status

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(request()) == 204


async def test_a_further_connection_begins_with_the_address_that_has_answered() -> None:
    async with asterisk_behind() as asterisk, client(asterisk.url) as rest:
        await rest.request("GET", "/endpoints")
        asterisk.hold = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(rest.request("GET", "/endpoints"))
            await until(lambda: len(asterisk.requests) == 3)
            assert rest._connections._address == ANSWERING
            asterisk.hold.set()


async def test_a_request_that_found_no_connection_in_time_was_not_sent() -> None:
    with black_hole() as port:
        async with client(f"http://{SILENT}:{port}/ari", timeout_seconds=0.3) as rest:
            with pytest.raises(AriTimeoutError, match="no connection to Asterisk") as caught:
                await rest.request("POST", "/channels/c/answer")

    assert (caught.value.sent, caught.value.status_code) == (False, 504)


async def test_a_certificate_is_checked_for_the_name(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    tls = AriTls(Trusting(certificates.authority))
    for right in (True, False):
        issued = certificates.issue(f"server-{right}", NAME if right else "other.example")
        async with asterisk_behind(serving(*issued)) as asterisk:
            url = asterisk.url.replace("http:", "https:")
            async with client(url, tls=tls) as rest:
                if right:
                    assert (await rest.request("GET", "/endpoints")).status == 204
                    continue
                with pytest.raises(UnreachableError, match=r"other\.example") as caught:
                    await rest.request("GET", "/endpoints")
                assert not caught.value.sent


async def test_the_events_websocket_is_opened_to_the_address_that_answers() -> None:
    async with asterisk_behind() as asterisk:
        events = EventSocket(named(asterisk.websocket_url), ("demo",), CREDENTIALS)
        connection = await events.connect()
        await connection.close()

    assert len(asterisk.upgrades) == 1


async def test_nats_is_connected_at_the_address_that_answers(nats_server: NatsServer) -> None:
    with black_hole(port_of(nats_server.url)):
        options = NatsOptions(
            urls=(named(nats_server.url),),
            name="test",
            user=documented_rights.SPY,
            password=documented_rights.PASSWORD,
        )
        async with opened(NatsBus(options)) as bus:
            async with asyncio.timeout(20):
                await bus.wait_connected()


async def test_rabbitmqs_socket_is_opened_to_the_address_that_answers() -> None:
    accepted = asyncio.Event()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        writer.close()

    async with await asyncio.start_server(accept, ANSWERING, 0) as server:
        port = server.sockets[0].getsockname()[1]
        with black_hole(port):
            transport = Transport(lambda *_: True, NAME, port, None, "")
            async with asyncio.timeout(20):
                await transport.create(URL())
                await accepted.wait()
            transport.abort()
