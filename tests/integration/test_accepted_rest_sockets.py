"""Requests on websockets that a scripted Asterisk opens to the listener."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from ari_proxy.ari.accepted_rest_sockets import AcceptedRestSockets, AcceptedTimes
from ari_proxy.ari.listener import Listener
from ari_proxy.ari.no_http import NoHttp
from ari_proxy.ari.rest_pool import RestPool
from ari_proxy.ari.websocket_client import WebsocketClient
from ari_proxy.backoff import Backoff
from tests.support.ports import free_port
from tests.support.rest_websocket import ScriptedWebsockets
from tests.support.running import until
from tests.support.scripted_asterisk import CREDENTIALS

SOON = AcceptedTimes(
    name=1,
    booting=Backoff(first_seconds=0.01, last_seconds=0.01),
    useless=0.01,
    grace=0.2,
    release=0.1,
)


@dataclass
class Accepting:
    """A client on websockets that are accepted, and the Asterisk that opens them."""

    port: int
    pool: RestPool
    sockets: AcceptedRestSockets
    client: WebsocketClient
    tasks: asyncio.TaskGroup
    script: ScriptedWebsockets = field(default_factory=ScriptedWebsockets)

    async def dial(self, application: str = "ari-proxy-command-1") -> ClientConnection:
        connection = await connect(
            f"ws://127.0.0.1:{self.port}/server-1/commands",
            additional_headers={"Authorization": CREDENTIALS.authorization},
            subprotocols=[Subprotocol("ari")],
            compression=None,
        )
        await connection.send(
            json.dumps({"type": "ApplicationRegistered", "application": application})
        )
        self.tasks.create_task(self.script.serve(connection))
        return connection


@asynccontextmanager
async def accepting(number: int = 2, times: AcceptedTimes = SOON) -> AsyncIterator[Accepting]:
    port, pool = free_port(), RestPool(answer_seconds=1)
    listener = Listener(("127.0.0.1", port), CREDENTIALS)
    sockets = AcceptedRestSockets(pool, listener.register("/server-1/commands", ()), number, times)
    client = WebsocketClient(pool, NoHttp(), concurrency=32, timeout_seconds=5)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(it.run()) for it in (listener, sockets)]
        it = Accepting(port, pool, sockets, client, tasks)
        with capture_logs() as logs:
            await until(lambda: any(log["event"] == "ari_listener.bound" for log in logs))
        yield it
        for task in running:
            task.cancel()
        for connection in it.script.connections:
            connection.transport.abort()


async def test_request_waits_until_asterisk_has_booted() -> None:
    async with accepting() as it:
        it.script.filter_status = 503
        await it.dial()
        asking = asyncio.create_task(it.client.request("POST", "/channels/c/answer"))
        await until(lambda: len(it.script.filters) >= 3)
        assert not asking.done()
        assert it.pool.opened == 0
        it.script.filter_status = 200

        assert (await asking).status == 204
        assert len(it.script.connections) == 1, "it is not closed while Asterisk boots"
    assert {each["uri"] for each in it.script.filters} == {
        "applications/ari-proxy-command-1/eventFilter"
    }


async def test_refused_user_costs_few_websockets() -> None:
    """Asterisk opens the next one at once."""
    async with accepting(times=replace(SOON, useless=60)) as it:
        it.script.filter_status = 401
        closed = asyncio.create_task((await it.dial()).wait_closed())
        await until(lambda: it.script.filters)
        await asyncio.wait([closed], timeout=0.1)
        assert not closed.done()


async def test_application_of_calls_keeps_its_events() -> None:
    async with accepting() as it:
        with capture_logs() as logs:
            foreign = await it.dial("demo")
            await foreign.wait_closed()
        await it.dial()
        await until(lambda: it.pool.opened == 1)

    told = [log for log in logs if log["event"] == "rest_websocket.foreign"]
    assert [(log["application"], log["log_level"]) for log in told] == [("demo", "error")]
    assert len(it.script.filters) == 1


async def test_answer_to_a_former_websocket_is_none_to_this_one() -> None:
    async with accepting() as it:
        first = await it.dial()
        await until(lambda: it.pool.opened == 1)
        it.script.held["channels/a"] = asyncio.Event()
        asking = asyncio.create_task(it.client.request("GET", "/channels/a"))
        await until(lambda: it.script.requests)
        (stale,) = it.script.requests
        first.transport.abort()
        second = await it.dial()
        await until(lambda: len(it.script.requests) == 2)
        await it.script.send(second, stale, 200, "stale")
        it.script.answers["channels/a"] = (200, "fresh")
        it.script.held["channels/a"].set()

        assert (await asking).body == "fresh"


async def test_others_get_websockets_before_this_one_is_unavailable() -> None:
    async with accepting(3) as it:
        for _ in range(3):
            await it.dial()
        await until(lambda: it.pool.opened == 3)
        it.script.held["channels/a"] = asyncio.Event()
        asking = [asyncio.create_task(it.client.request("POST", "/channels/a")) for _ in range(3)]
        await until(lambda: len(it.script.requests) == 3)
        releasing = asyncio.create_task(it.sockets.release())
        it.script.held["channels/a"].set()
        assert {answer.status for answer in await asyncio.gather(*asking)} == {204}
        await releasing

        assert it.pool.opened == 1
        assert (await it.client.request("POST", "/channels/b")).status == 204
        with pytest.raises(InvalidStatus, match="503"):
            await it.dial()


async def test_it_is_available_while_there_is_a_websocket_or_was_one_just_now() -> None:
    async with accepting(times=replace(SOON, grace=60)) as it:
        available = asyncio.create_task(it.sockets.until_available())
        await asyncio.wait([available], timeout=0.05)
        assert not available.done()
        first = await it.dial()
        await available
        unavailable = asyncio.create_task(it.sockets.until_unavailable())
        first.transport.abort()
        await until(lambda: not it.sockets.is_available)
        await it.dial()
        await until(lambda: it.sockets.is_available)
        assert not unavailable.done()
        unavailable.cancel()


async def test_it_is_unavailable_once_there_has_been_no_websocket_for_a_while() -> None:
    async with accepting() as it:
        first = await it.dial()
        await it.sockets.until_available()
        first.transport.abort()
        await it.sockets.until_unavailable()
        assert not it.sockets.is_available
