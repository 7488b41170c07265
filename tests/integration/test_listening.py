"""Listening on addresses of both families: the admin API, the listener, and all of it on ::1."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from structlog.testing import capture_logs

from ari_proxy import accepting
from ari_proxy.admin import api as admin_api
from ari_proxy.admin.api import AdminApi
from ari_proxy.connections import factories
from ari_proxy.settings.load import load
from ari_proxy.simulator import server as simulator
from ari_proxy.telemetry.metrics import Metrics
from tests.support.round_trip import nats_server
from tests.support.running import bus_client, running_proxy, until, until_running

BOTH = ["127.0.0.1", "::1"]


@asynccontextmanager
async def listening(host: str, *, has_ipv6: bool = True) -> AsyncIterator[int]:
    """Listen, and yield the port."""
    sockets = await accepting.listen(host, 0, backlog=8, has_ipv6=lambda: has_ipv6)
    try:
        yield sockets[0].getsockname()[1]
    finally:
        for one in sockets:
            one.close()


def reached(port: int) -> list[str]:
    """Return the addresses at which a port answers."""
    found = []
    for address in BOTH:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as client:
            if client.connect_ex((address, port)) == 0:
                found.append(address)
    return found


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("::", BOTH),
        ("localhost", BOTH),
        ("0.0.0.0", ["127.0.0.1"]),
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
    ],
)
async def test_address_is_reached_in_its_families(host: str, expected: list[str]) -> None:
    async with listening(host) as port:
        assert reached(port) == expected


async def test_every_address_is_that_of_ipv4_where_there_is_no_ipv6() -> None:
    async with listening("::", has_ipv6=False) as port:
        assert reached(port) == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
async def test_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(OSError, match="assign"):
        await accepting.listen(host, 0, backlog=1)


async def test_port_that_is_taken_is_refused_and_nothing_stays_open() -> None:
    async with listening("::1") as port:
        with pytest.raises(OSError, match="in use"):
            await accepting.listen("localhost", port, backlog=1)
        assert reached(port) == ["::1"]


async def test_peer_of_ipv4_is_told_by_its_usual_address() -> None:
    peers: list[str] = []
    acceptor = accepting.Acceptor(lambda: None, lambda _error, _others: None)

    def take(accepted: socket.socket, address: str) -> None:
        peers.append(address)
        accepted.close()

    (bound,) = await accepting.listen("::", 0, backlog=8)
    with bound:
        running = asyncio.ensure_future(acceptor.run(bound, take))
        await asyncio.to_thread(reached, bound.getsockname()[1])
        await until(lambda: len(peers) == 2)
        running.cancel()
        await asyncio.wait([running])

    assert peers == BOTH


@pytest.mark.parametrize("host", ["::", "::1"])
async def test_admin_api_answers_on_ipv6(host: str) -> None:
    with capture_logs() as logs:
        serving = asyncio.ensure_future(
            admin_api.serve(AdminApi({}, Metrics(prefixes=())), host, 0)
        )
        await until(lambda: [one for one in logs if one["event"] == "admin.listening"])
    (port,) = [one["port"] for one in logs if one["event"] == "admin.listening"]
    async with aiohttp.ClientSession() as session:
        addresses = ["[::1]", "127.0.0.1"] if host == "::" else ["[::1]"]
        for address in addresses:
            async with session.get(f"http://{address}:{port}/livez") as answer:
                assert answer.status == 200
    serving.cancel()
    await asyncio.wait([serving])


async def test_all_of_it_on_ipv6_alone() -> None:
    """Asterisk's REST and events, and the bus, by URLs with addresses in brackets."""
    stop, ports = asyncio.Event(), list[int]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            simulator.serve(stop, port=0, user="ari", password="ari", listening=ports.append)
        )
        await until(lambda: ports)
        with nats_server("--addr", "::") as server:
            where = f"[::1]:{ports[0]}/ari"
            settings = load(
                server_id="server-1",
                applications=("demo",),
                ari={
                    "rest_url": f"http://{where}",
                    "websocket_url": f"ws://{where}/events",
                    "user": "ari",
                    "password": "ari",
                },
                bus={"urls": [f"nats://[::1]:{server.port}"]},
                admin={"host": "::1", "port": 0},
            )
            async with bus_client(settings) as bus, running_proxy(settings):
                await until_running(settings)
                assert bus.is_connected
                async with factories.rest_client(settings) as rest:

                    async def is_registered() -> bool:
                        return (await rest.request("GET", "/applications/demo")).status == 200

                    await until(is_registered)
        stop.set()


@pytest.mark.parametrize("turns", range(6))
async def test_connection_in_the_moment_of_the_end_is_taken_or_closed(turns: int) -> None:
    (bound,) = await accepting.listen("127.0.0.1", 0, backlog=8)
    taken: list[socket.socket] = []
    acceptor = accepting.Acceptor(lambda: None, lambda *_: None)
    accepting_now = asyncio.create_task(
        acceptor.run(bound, lambda accepted, _: taken.append(accepted))
    )
    await asyncio.sleep(0)
    with socket.create_connection(bound.getsockname()) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        accepting_now.cancel()
        await asyncio.wait([accepting_now])
        bound.close()
        for accepted in taken:
            accepted.close()
        # One that nobody holds is closed by Python, with a warning, which is an error here.
        del accepting_now
        gc.collect()
        client.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
