"""The events websocket and what servers do to it."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidHandshake

from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.message_connection import QUEUED_MESSAGES
from ari_proxy.ari.tls import AriTls
from ari_proxy.ari.websocket import DialledConnection, EventSocket
from ari_proxy.backoff import Backoff
from ari_proxy.connections import factories
from ari_proxy.ingest.events.canary import EventCanary
from ari_proxy.ingest.events.frame_buffer import FrameBuffer
from ari_proxy.ingest.events.freed import FreedApplications
from ari_proxy.ingest.events.reader import EventReader
from ari_proxy.ingest.events.replaced import ReplacedApplications
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import load
from ari_proxy.telemetry.metrics import Metrics
from tests.support.link import Link
from tests.support.permit import SwitchedPermit
from tests.support.running import until
from tests.support.scripted_asterisk import scripted_asterisk

#: A message in one frame, or in several.
Message = bytes | list[bytes]


def events_at(server: asyncio.Server) -> tuple[int, EventSocket]:
    """Return a server's port, and the events there; an attempt that fails is followed at once."""
    port = server.sockets[0].getsockname()[1]
    url = f"ws://127.0.0.1:{port}/ari/events"
    at_once = Backoff(first_seconds=0, last_seconds=0)
    return port, factories.event_socket(load(ari={"websocket_url": url}), backoff=at_once)


async def assert_connects(events: EventSocket, port: int) -> None:
    """Run an Asterisk at a port, and see that the events come from there."""
    async with scripted_asterisk(port):
        async with asyncio.timeout(20):
            async for connection in events.connections():
                assert connection.subprotocol == "ari"
                break


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection as a host does that has none: with a reset."""
    del reader
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_connection_that_is_reset_while_it_opens_is_tried_again() -> None:
    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port, events = events_at(server)
    async with server:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                async for _ in events.connections():
                    pytest.fail("there is no websocket")
    server.close()

    await assert_connects(events, port)


async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer an upgrade as a gateway does that has the path elsewhere."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /other/events\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_connection_that_is_redirected_is_refused_and_tried_again() -> None:
    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    port, events = events_at(server)
    async with server:
        with pytest.raises(InvalidHandshake, match=r"redirect to .*/other/events"):
            await events.connect()
        opened = events.connections()
        opening = asyncio.ensure_future(anext(opened))
        await until(lambda: events._attempt > 1)
        opening.cancel()
        await asyncio.wait([opening])
        await opened.aclose()
    server.close()

    await assert_connects(events, port)


class Unreadable:
    """A source of an authority whose file can not be read."""

    def current(self) -> ssl.SSLContext:
        raise ssl.SSLError("no certificate in it")


async def test_nothing_is_connected_that_could_not_be_secured() -> None:
    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    events = EventSocket(
        f"wss://127.0.0.1:{port}/ari/events",
        ("demo",),
        Credentials("ari", "hush"),
        tls=AriTls(Unreadable()),
    )
    async with server:
        with pytest.raises(ssl.SSLError, match="no certificate in it"):
            await events.connect()


async def test_applications_that_one_iteration_leaves_are_asked_for_by_the_next() -> None:
    """The iteration may end before it has connected without them."""
    async with scripted_asterisk() as asterisk:
        settings = load(
            applications=("demo", "voicemail"), ari={"websocket_url": asterisk.websocket_url}
        )
        events = factories.event_socket(settings)
        for _ in range(2):
            async with asyncio.timeout(20), contextlib.aclosing(events.connections()) as opened:
                await anext(opened)
                events.leave({"voicemail"})

        asked = [upgrade["target"].partition("?")[2] for upgrade in asterisk.upgrades]
        assert asked == ["app=demo,voicemail"] * 2


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Link, AsyncGenerator[DialledConnection, None]]]:
    """Yield a link to an Asterisk, and the connections that are made over it."""
    async with scripted_asterisk() as asterisk:
        link = Link(int(asterisk.url.split(":")[2].partition("/")[0]))
        link.start()
        try:
            url = f"ws://127.0.0.1:{link.port}/ari/events"
            yield link, factories.event_socket(load(ari={"websocket_url": url})).connections()
        finally:
            link.remove()


async def test_connection_that_breaks_while_it_closes_is_closed() -> None:
    async with connected() as (link, opened):
        await anext(opened)
        link.freeze()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(opened.aclose())
            await asyncio.sleep(0.1)
            await asyncio.to_thread(link.stop)


async def test_connection_whose_closing_is_cancelled_is_closed() -> None:
    async with connected() as (link, opened):
        connection = await anext(opened)
        link.freeze()
        closing = asyncio.create_task(_close(opened))
        await asyncio.sleep(0.1)
        closing.cancel()
        await asyncio.wait([closing])
        assert connection.transport.is_closing()


async def _close(opened: AsyncGenerator[object, None]) -> None:
    await opened.aclose()


@asynccontextmanager
async def sent(*messages: Message) -> AsyncIterator[DialledConnection]:
    """Yield a connection whose other end sends messages, then closes it."""

    async def send(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message, text=True)

    async with serve(send, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/ari/events"
        yield await factories.event_socket(load(ari={"websocket_url": url})).connect()


async def test_messages_of_one_frame_and_of_many_come_in_order() -> None:
    got: list[bytes] = []
    async with sent(b"first", [b"in ", b"three ", b"frames"], b"last") as connection:
        await connection.read(got.append)
    assert got == [b"first", b"in three frames", b"last"]


async def test_messages_before_the_reading_wait_within_bounds_and_none_is_lost() -> None:
    text = b"x" * 1000  # In all, more than the sockets' buffers take.
    count = 12 * QUEUED_MESSAGES
    got: list[bytes] = []
    async with sent(*(b"%d %s" % (number, text) for number in range(count))) as connection:
        await until(lambda: not connection.transport.is_reading())
        assert not got
        await connection.read(got.append)
    assert [int(message.split()[0]) for message in got] == [*range(count)]


async def test_error_of_who_takes_the_messages_ends_the_reading() -> None:
    got: list[bytes] = []

    def take(message: bytes) -> None:
        got.append(message)
        if message == b"bad":
            raise ValueError("this one")

    async with sent(b"good", b"bad", b"another") as connection:
        with pytest.raises(ValueError, match="this one"):
            await connection.read(take)
    assert got == [b"good", b"bad"]


async def test_reading_of_a_connection_that_has_ended_passes_what_had_come() -> None:
    got: list[bytes] = []
    async with sent(b"one", b"two") as connection:
        await connection.wait_closed()
        await connection.read(got.append)
    assert got == [b"one", b"two"]


async def test_reader_that_is_cancelled_closes_its_connection() -> None:
    async with scripted_asterisk() as asterisk:
        settings = load(ari={"rest_url": asterisk.url, "websocket_url": asterisk.websocket_url})
        async with factories.rest_client(settings) as rest:
            replaced = ReplacedApplications(())
            reader = EventReader(
                ServerId("server-1"),
                factories.event_socket(settings),
                FrameBuffer(_ignore, capacity_bytes=1),
                canary=EventCanary(
                    rest, (), every_seconds=0, counters=EventCounters(), permit=SwitchedPermit()
                ),
                replaced=replaced,
                freed=FreedApplications(rest, replaced, permit=SwitchedPermit()),
                metrics=Metrics(),
            )
            async with asyncio.TaskGroup() as tasks:
                reader.start(_read_all(reader), tasks)
                await until(lambda: asterisk.socket is not None and reader.is_connected)
                reader.stop()
                reader.stop()

            socket = asterisk.socket
            assert socket is not None
            await until(lambda: socket.closed)


async def _read_all(reader: EventReader) -> None:
    async with contextlib.aclosing(reader.connections()) as opened:
        async for connection in opened:
            await reader.read(connection, _nothing_to_catch_up)


async def _nothing_to_catch_up() -> Callable[[], Coroutine[None, None, None]]:
    async def work() -> None:
        return

    return work


def _ignore(frame: bytes, *, is_former: bool = False) -> None:
    del frame, is_former
