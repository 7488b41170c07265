"""What only the NATS adapter has, on a real server."""

import asyncio
import gc
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from nats.aio.client import Client

from ari_proxy.backoff import Backoff
from ari_proxy.bus.base import opened
from ari_proxy.bus.errors import MessageTooLargeError
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.connection import connect, discard
from ari_proxy.bus.nats.options import NatsOptions, NatsTuning
from tests.support.certificates import Certificates
from tests.support.documented_rights import PASSWORD, SPY
from tests.support.running import until
from tests.support.servers import NatsCluster, NatsServer

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def ignore(error: Exception) -> None:
    """Take what nats-py tells of a connection."""


@pytest.mark.parametrize("turns", range(1, 8))
async def test_no_socket_stays_open_when_closing_is_cancelled(
    nats_server: NatsServer, turns: int
) -> None:
    client = Client()
    await connect(client, NatsOptions(urls=(nats_server.url,), name="test"), ignore, seconds=5)
    closing = asyncio.create_task(discard(client))
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert client.is_closed
    del client
    gc.collect()  # A socket that stayed open is a warning, which is an error here.


@pytest.fixture
def small_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that takes 8 KiB at most."""
    config = tmp_path / "nats.conf"
    config.write_text("max_payload: 8192\n")
    server = NatsServer("-c", str(config))
    server.start()
    yield server
    server.stop()


async def test_no_size_of_a_traced_message_has_the_server_end_the_connection(
    small_nats_server: NatsServer,
) -> None:
    got: list[int] = []
    options = NatsOptions(urls=(small_nats_server.url,), name="test")
    async with opened(NatsBus(options)) as bus:
        await bus.wait_connected()
        await bus.subscribe("traced", lambda message: got.append(len(message.payload)))
        for size in range(8000, 8300):
            bus.publish("traced", bytes(size), traceparent=TRACEPARENT)
        await bus.flush(timeout_seconds=5)
        await until(lambda: len(got) + bus.dropped == 300)
        reconnects = bus.reconnects

    assert reconnects == 0
    assert got == list(range(8000, got[-1] + 1))
    assert 8192 - 100 < got[-1] < 8192 - 55


async def test_oversized_event_after_a_reconnect_is_lost_alone(
    small_nats_server: NatsServer,
) -> None:
    got: list[bytes] = []
    options = NatsOptions(urls=(small_nats_server.url,), name="test")
    async with opened(NatsBus(options)) as bus, opened(NatsBus(options)) as other:
        await bus.wait_connected()
        small_nats_server.stop()
        await until(lambda: not bus.is_connected and not other.is_connected)
        await other.subscribe("events_server.dialog", lambda message: got.append(message.payload))
        for payload in (b"before", bytes(9000), b"after"):
            bus.publish("events_server.dialog", payload)
        small_nats_server.start()
        await until(lambda: len(got) == 2)
        await bus.flush(timeout_seconds=5)

        assert (got, bus.dropped, bus.reconnects) == ([b"before", b"after"], 1, 1)


async def test_server_that_takes_less_after_its_restart_is_asked_for_no_more(
    tmp_path: Path,
) -> None:
    config = tmp_path / "nats.conf"
    config.write_text("max_payload: 65536\n")
    server = NatsServer("-c", str(config))
    server.start()
    got: list[int] = []
    try:
        async with opened(NatsBus(NatsOptions(urls=(server.url,), name="test"))) as bus:
            await bus.wait_connected()
            await bus.subscribe(
                "events_server.dialog", lambda message: got.append(len(message.payload))
            )
            server.stop()
            await until(lambda: not bus.is_connected)
            for size in (1, 9000, 2):
                bus.publish("events_server.dialog", bytes(size))
            config.write_text("max_payload: 8192\n")
            server.start()
            await until(lambda: 2 in got)

            assert (got, bus.dropped, bus.reconnects) == ([1, 2], 1, 1)
            with pytest.raises(MessageTooLargeError, match="8192"):
                await bus.publish_to_listener("events_server.dialog", bytes(9000))
    finally:
        server.stop()


async def test_connection_that_ends_at_once_is_backed_off() -> None:
    accepted = 0
    waits: list[int] = []

    class Counted(Backoff):
        def seconds(self, failures: int) -> float:
            waits.append(failures)
            return 0.001

    async def end_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the client as nats-server does, and close on what comes next."""
        nonlocal accepted
        writer.write(b'INFO {"max_payload": 1048576, "headers": true}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        await reader.read(1)
        accepted += 1
        writer.close()

    tuning = NatsTuning(backoff=Counted(1, 1))
    server = await asyncio.start_server(end_at_once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = NatsOptions(urls=(f"nats://127.0.0.1:{port}",), name="test")
    async with server, opened(NatsBus(options, tuning=tuning)):
        await until(lambda: accepted >= 5)

    assert waits[:4] == [1, 2, 3, 4]


async def test_message_that_is_dropped_since_the_listener_is_slow_is_counted(
    nats_server: NatsServer,
) -> None:
    got: list[bytes] = []
    options = NatsOptions(urls=(nats_server.url,), name="test", user=SPY, password=PASSWORD)
    tuning = NatsTuning(pending_messages=100)
    async with opened(NatsBus(options, tuning=tuning)) as bus, opened(NatsBus(options)) as other:
        await bus.wait_connected()
        await bus.subscribe("slow", lambda message: got.append(message.payload))
        for number in range(5000):
            other.publish("slow", b"%d" % number)
        await other.flush(timeout_seconds=5)
        await until(lambda: len(got) + bus.faults["slow_consumer"] == 5000)

        assert bus.faults["slow_consumer"]


async def test_what_a_listener_was_found_with_after_a_reconnect_is_confirmed_at_once(
    own_nats_server: NatsServer,
) -> None:
    topic = "events_server.dialog"
    got: list[bytes] = []
    options = NatsOptions(urls=(own_nats_server.url,), name="test", user=SPY, password=PASSWORD)
    tuning = NatsTuning(idle_seconds=3600)
    async with (
        opened(NatsBus(options, tuning=tuning)) as bus,
        opened(NatsBus(options, tuning=tuning)) as other,
    ):
        await bus.wait_connected()
        own_nats_server.stop()
        await until(lambda: not bus.is_connected)
        for number in range(3):
            bus.publish(topic, b"%d" % number)
        own_nats_server.start()
        await other.wait_connected()
        await other.subscribe(topic, lambda message: got.append(message.payload))
        await until(lambda: len(got) == 3)
        await until(lambda: bus.published == 3)

        own_nats_server.stop()
        await until(lambda: not bus.is_connected and not other.is_connected)
        own_nats_server.start()
        bus.publish(topic, b"end")
        await until(lambda: b"end" in got)

    assert got == [b"0", b"1", b"2", b"end"]


def ports_of(bus: NatsBus) -> set[int]:
    """Return the ports of the servers that a bus knows beside its own list."""
    return {int(server.address.rpartition(":")[2]) for server in bus.known_servers}


async def test_servers_of_the_cluster_that_we_were_not_told_of_are_used_when_ours_dies() -> None:
    cluster = NatsCluster(3)
    cluster.start()
    try:
        seed = NatsOptions(urls=(cluster.servers[0].url,), name="test")
        bus = NatsBus(seed)
        async with opened(bus):
            await bus.wait_connected()
            all_ports = {server.port for server in cluster.servers}
            await until(lambda: ports_of(bus) == all_ports)

            cluster.servers[0].stop()
            await until(lambda: bus.reconnects == 1 and bus.is_connected)
            # The dead one is told of no more, and comes from our own list alone.
            await until(lambda: ports_of(bus) == all_ports - {cluster.servers[0].port})

            cluster.servers[1].stop()
            await until(lambda: ports_of(bus) == {cluster.servers[2].port} and bus.is_connected)
            await bus.subscribe("demo", lambda _: None)
            assert await bus.publish_to_listener("demo", b"")
    finally:
        cluster.stop()


async def test_certificate_of_a_discovered_server_is_checked_for_the_name_that_we_know(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "server.pem", tmp_path / "server-key.pem"
    issued = authority.issue_cert("localhost")  # Not for the address that servers tell.
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    cluster = NatsCluster(2, "--tls", "--tlscert", str(certificate), "--tlskey", str(key))
    cluster.start()
    try:
        url = f"tls://localhost:{cluster.servers[0].port}"
        bus = NatsBus(NatsOptions(urls=(url,), name="test", tls=context))
        async with opened(bus):
            await bus.wait_connected()
            await until(lambda: len(ports_of(bus)) == 2)
            cluster.servers[0].stop()
            await until(lambda: bus.reconnects == 1 and bus.is_connected)
    finally:
        cluster.stop()


async def test_server_that_wants_tls_first_is_named_and_reached_by_a_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = Certificates(tmp_path)
    config = tmp_path / "nats.conf"
    config.write_text(
        f'tls {{ cert_file: "{certificates.server}", key_file: "{certificates.server_key}"\n'
        "handshake_first: true }\n"
    )
    server = NatsServer("-c", str(config))
    server.start()
    context = ssl.create_default_context(cafile=str(certificates.authority))
    options = NatsOptions(urls=(f"tls://localhost:{server.port}",), name="test", tls=context)
    try:
        async with opened(NatsBus(options, tuning=NatsTuning(connect_seconds=1))):
            said = ""

            def is_named() -> bool:
                nonlocal said
                said += capsys.readouterr().out
                return "set bus.tls_handshake_first" in said

            await until(is_named)
        async with opened(NatsBus(replace(options, tls_handshake_first=True))) as bus:
            await bus.wait_connected()
            await bus.flush(timeout_seconds=5)
    finally:
        server.stop()
