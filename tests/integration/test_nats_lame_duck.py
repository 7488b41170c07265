"""A NATS server that will stop says so; the bus moves to another one before it is cut."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from tests.support.running import until
from tests.support.servers import NatsCluster, NatsServer

GROUPED = "commands_s.d"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[NatsCluster]:
    """Two servers, which end a second after their last client has left."""
    config = tmp_path / "nats.conf"
    config.write_text('lame_duck_grace_period: "1s"\n')
    cluster = NatsCluster(2, "-c", str(config))
    cluster.start()
    yield cluster
    cluster.stop()


@asynccontextmanager
async def bus_on(server: NatsServer, count: int) -> AsyncIterator[NatsBus]:
    """Connect to a server, and wait until it has told of all of them."""
    bus = NatsBus(NatsOptions(urls=(server.url,), name="test"))
    async with opened(bus):
        await bus.wait_connected()
        await until(lambda: len(bus.known_servers) == count)
        yield bus


class Taker:
    """Notes numbers and answers requests."""

    def __init__(self, numbers: list[int], bus: NatsBus) -> None:
        self._numbers, self._bus = numbers, bus

    def __call__(self, message: Message) -> None:
        if message.reply:
            self._bus.publish(message.reply, b"answer")
        else:
            self._numbers.append(int(message.payload))


class Traffic:
    """Numbered messages between two buses, in both directions, and requests."""

    def __init__(self, here: NatsBus, there: NatsBus) -> None:
        self._here, self._there = here, there
        #: By topic, what was sent and what has come.
        self.sent: Counter[str] = Counter()
        self.received: dict[str, list[int]] = {}
        self.answers = 0

    async def begin(self) -> None:
        for bus, topic, group in (
            (self._there, "events_s.d", ""),
            (self._here, "events_s", ""),
            (self._here, GROUPED, "executors"),
            (self._here, "owners_s", ""),
        ):
            numbers = self.received[topic] = []
            await bus.subscribe(topic, Taker(numbers, bus), group=group)

    async def run(self) -> None:
        for number in itertools.count():
            for bus, topic in (
                (self._here, "events_s.d"),
                (self._there, "events_s"),
                (self._there, GROUPED),
            ):
                bus.publish(topic, b"%d" % number, once=True)
                self.sent[topic] += 1
            if number % 10 == 0:
                for bus, topic in ((self._here, "events_s.d"), (self._there, "owners_s")):
                    assert await bus.request(topic, b"-1", timeout_seconds=5) == b"answer"
                    self.answers += 1
            await asyncio.sleep(0)


async def test_bus_moves_before_it_is_cut_and_nothing_is_lost_doubled_or_refused(
    pair: NatsCluster,
) -> None:
    leaving, staying = pair.servers
    with capture_logs() as logs:
        async with bus_on(leaving, 2) as here, bus_on(staying, 2) as there:
            traffic = Traffic(here, there)
            await traffic.begin()
            running = asyncio.create_task(traffic.run())
            await until(lambda: traffic.answers > 50)
            leaving.leave()
            await until(lambda: len(here.known_servers) == 1 and leaving.has_ended)
            answers = traffic.answers
            await until(lambda: traffic.answers > answers + 50)
            running.cancel()
            await asyncio.wait([running])
            for bus in (here, there):
                await bus.flush(timeout_seconds=5)
            received = traffic.received
            await until(lambda: sum(map(len, received.values())) >= traffic.sent.total())

            for topic, sent in traffic.sent.items():
                # A group's messages may pass each other: some come on the one connection, some on
                # the other.
                got = sorted(received[topic]) if topic == GROUPED else received[topic]
                assert got == list(range(sent)), topic
            assert (here.reconnects, here.dropped, there.dropped) == (0, 0, 0)
    told = [line["event"] for line in logs]
    assert "bus.moved" in told
    assert "bus.disconnected" not in told


async def test_server_without_another_one_is_used_until_it_has_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "nats.conf"
    config.write_text('lame_duck_grace_period: "1s"\nlame_duck_duration: "30s"\n')
    server = NatsServer("-c", str(config))
    server.start()
    got: list[bytes] = []
    try:
        async with opened(NatsBus(NatsOptions(urls=(server.url,), name="test"))) as bus:
            await bus.wait_connected()
            await bus.subscribe("events_s", lambda message: got.append(message.payload))
            server.leave()
            told = ""

            def is_tried() -> bool:
                nonlocal told
                told += capsys.readouterr().out
                return "bus.server_leaving" in told and "bus.refused" in told

            await until(is_tried)
            bus.publish("events_s", b"sooner")
            await until(lambda: got == [b"sooner"])
            server.stop()
            server.start()
            await until(lambda: bus.reconnects == 1)
            bus.publish("events_s", b"later")
            await until(lambda: got == [b"sooner", b"later"])
    finally:
        server.stop()
