"""The events websocket and what servers do to it."""

import asyncio
import contextlib
import socket
import struct

import pytest

from ari_proxy import connections
from ari_proxy.ari import websocket
from ari_proxy.back_off import BackOff
from ari_proxy.settings.load import load
from tests.support.link import Link
from tests.support.scripted_asterisk import scripted_asterisk


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection as a host does that has none: with a reset."""
    del reader
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_connection_that_is_reset_while_it_opens_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket, "BACK_OFF", BackOff(first_seconds=0, last_seconds=0))
    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"ws://127.0.0.1:{port}/ari/events"
    events = connections.event_socket(load(ari={"websocket_url": url}))
    async with server:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                async for _ in events.connections():
                    pytest.fail("there is no websocket")
    server.close()

    async with scripted_asterisk(port):
        async with asyncio.timeout(20):
            async for connection in events.connections():
                assert connection.subprotocol == "ari"
                break


async def test_connection_that_breaks_while_it_closes_is_closed() -> None:
    async with scripted_asterisk() as asterisk:
        link = Link(int(asterisk.url.split(":")[2].partition("/")[0]))
        link.start()
        try:
            url = f"ws://127.0.0.1:{link.port}/ari/events"
            opened = connections.event_socket(load(ari={"websocket_url": url})).connections()
            await anext(opened)
            link.freeze()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(opened.aclose())
                await asyncio.sleep(0.1)
                await asyncio.to_thread(link.stop)
        finally:
            link.remove()
