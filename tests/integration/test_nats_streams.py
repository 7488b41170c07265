"""A JetStream stream over our subjects is no listener; on a real nats-server and a cluster."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ari_proxy.bus.base import Bus, opened
from ari_proxy.bus.errors import NoRespondersError
from ari_proxy.bus.listeners import has_listener
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from ari_proxy.bus.nats.streams import Trace, stream_of
from tests.support.running import until
from tests.support.servers import NatsCluster, NatsServer


@asynccontextmanager
async def bus_at(server: NatsServer) -> AsyncIterator[Bus]:
    async with opened(NatsBus(NatsOptions(urls=(server.url,), name="test"))) as bus:
        await bus.wait_connected()
        yield bus


async def record(bus: Bus, *subjects: str) -> None:
    """Make a stream that records subjects, as an operator does who wants to see what passed."""
    stream = json.dumps({"name": "CALLS", "subjects": subjects, "storage": "memory"}).encode()
    answer = await bus.request("$JS.API.STREAM.CREATE.CALLS", stream, timeout_seconds=5)
    assert "error" not in json.loads(answer)


@pytest.fixture
def recording_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer("-js", "-sd", str(tmp_path))
    server.start()
    yield server
    server.stop()


async def test_recorded_offer_waits_for_a_listener(recording_server: NatsServer) -> None:
    got: list[bytes] = []
    async with bus_at(recording_server) as bus, bus_at(recording_server) as other:
        await record(other, "demo", "events_server.*")
        for topic in ("demo", "events_server.dialog"):
            assert not await bus.publish_to_listener(topic, b"nobody")
            assert not await bus.publish_to_listener(topic, b"nobody")
            assert not await has_listener(bus, topic, b"nobody")
            await other.subscribe(topic, lambda message: got.append(message.payload), group="g")
            assert await bus.publish_to_listener(topic, b"somebody")
        await until(lambda: len(got) == 2)

        assert got == [b"somebody"] * 2
        assert bus.faults["recorded"]


async def test_recorded_request_finds_its_listener_or_nobody(recording_server: NatsServer) -> None:
    async with bus_at(recording_server) as bus, bus_at(recording_server) as other:
        await record(other, "demo")
        assert not await bus.publish_to_listener("demo", b"")
        with pytest.raises(NoRespondersError):
            await bus.request("demo", b"", timeout_seconds=60)
        await other.subscribe("demo", lambda message: other.publish(message.reply, b"answer"))

        assert await bus.request("demo", b"", timeout_seconds=5) == b"answer"


async def test_recorded_topic_of_a_listener_that_comes_back_after_an_outage(
    recording_server: NatsServer,
) -> None:
    topic = "events_server.dialog"
    got: list[bytes] = []
    async with bus_at(recording_server) as bus:
        async with bus_at(recording_server) as other:
            await record(other, topic)
            recording_server.stop()
            await until(lambda: not bus.is_connected and not other.is_connected)
        recording_server.start()
        await bus.wait_connected()
        async with bus_at(recording_server) as other:
            await record(other, topic)
            assert not await bus.publish_to_listener(topic, b"nobody")
            for number in range(3):
                bus.publish(topic, b"%d" % number)
            await until(lambda: bus.faults["recorded"])
            await other.subscribe(topic, lambda message: got.append(message.payload))
            await until(lambda: len(got) == 3)

    assert got == [b"0", b"1", b"2"]


async def test_listener_at_another_server_of_the_cluster_is_found() -> None:
    cluster = NatsCluster(2)
    cluster.start()
    try:
        async with bus_at(cluster.servers[0]) as bus, bus_at(cluster.servers[1]) as other:
            asking = bus._requests  # type: ignore[attr-defined]  # it needs no stream for that
            assert not await asking._has_listener("demo")
            await other.subscribe("demo", lambda _: None)

            async def is_heard() -> bool:
                return bool(await asking._has_listener("demo"))

            await until(is_heard)
    finally:
        cluster.stop()


@pytest.mark.parametrize(
    ("payload", "stream"),
    [
        (b'{"stream":"S", "seq":5}', "S"),
        (b'{"error":{"code":400,"err_code":10071,"description":"x"},"stream":"S","seq":0}', "S"),
        (b'{"error":""}', ""),
        (b"no", ""),
        (b"{", ""),
    ],
)
def test_answers_of_streams_are_told_from_those_of_listeners(payload: bytes, stream: str) -> None:
    assert stream_of(payload) == stream


def told(*copies: dict[str, object]) -> Callable[[Trace], None]:
    payload = json.dumps({"events": [{"type": "in"}, *({"type": "eg"} | c for c in copies)]})
    return lambda trace: trace.add(payload.encode())


@pytest.mark.parametrize(
    ("events", "is_known", "is_heard"),
    [
        ([told()], True, False),
        ([told({"kind": 0})], True, True),
        ([told({"kind": 0, "error": "no echo"})], True, False),
        ([told({"kind": 5})], True, False),
        ([told({"kind": 1, "hop": "1"})], False, False),
        ([told({"kind": 1, "hop": "1"}), told({"kind": 0})], True, True),
        ([told({"kind": 1, "hop": "1"}, {"kind": 1, "hop": "2"}), told()], False, False),
        ([told({"type": "si"})], True, True),
        ([told({"type": "js", "stream": "S"})], True, False),
        ([told(), lambda trace: trace.add(b"?")], True, False),
    ],
)
def test_all_servers_are_waited_for_before_nobody_is_said_to_listen(
    events: list[Callable[[Trace], None]], is_known: bool, is_heard: bool
) -> None:
    trace = Trace()
    for event in events:
        event(trace)

    assert (trace.is_complete, trace.has_listener) == (is_known, is_heard)
