"""What only the NATS adapter has, on a real server."""

import asyncio
import gc

import pytest
from nats.aio.client import Client

from ari_proxy.bus.nats_connecting import connect, discard
from ari_proxy.bus.nats_options import NatsOptions
from tests.support.servers import NatsServer


@pytest.mark.parametrize("turns", range(1, 8))
async def test_no_socket_stays_open_when_closing_is_cancelled(
    nats_server: NatsServer, turns: int
) -> None:
    client = Client()
    await connect(client, NatsOptions(urls=(nats_server.url,), name="test"))
    closing = asyncio.create_task(discard(client))
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert client.is_closed
    del client
    gc.collect()  # A socket that stayed open is a warning, which is an error here.
