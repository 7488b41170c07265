"""A NATS server that will stop says so; the bus moves to another one before it is cut."""

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from tests.support.link import Link
from tests.support.running import until
from tests.support.servers import NatsCluster, NatsServer

GROUPED = "commands_s.d"


@contextmanager
def cluster(count: int, tmp_path: Path) -> Iterator[NatsCluster]:
    """Run servers that end five seconds after they were told to."""
    config = tmp_path / "nats.conf"
    config.write_text('lame_duck_grace_period: "5s"\n')
    servers = NatsCluster(count, "-c", str(config))
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[NatsCluster]:
    with cluster(2, tmp_path) as servers:
        yield servers


@pytest.fixture
def three(tmp_path: Path) -> Iterator[NatsCluster]:
    with cluster(3, tmp_path) as servers:
        yield servers


@asynccontextmanager
async def bus_on(server: NatsServer | Link, count: int) -> AsyncIterator[NatsBus]:
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
        """Subscribe, and wait until the other bus's server knows of it."""
        here, there = self._here, self._there
        for bus, sender, topic, group in (
            (there, here, "events_s.d", ""),
            (here, there, "events_s", ""),
            (here, there, GROUPED, "executors"),
            (here, there, "owners_s", ""),
        ):
            numbers = self.received[topic] = []
            await bus.subscribe(topic, Taker(numbers, bus), group=group)
            while not await sender.publish_to_listener(topic, b"-1"):
                await asyncio.sleep(0.01)

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

    async def check(self) -> None:
        """Check that each message has come once, those without a group in order."""
        for bus in (self._here, self._there):
            await bus.flush(timeout_seconds=5)
        received = self.received
        await until(lambda: sum(map(len, received.values())) >= self.sent.total())
        for topic, sent in self.sent.items():
            # A group's messages may pass each other: some come on the one connection, some on the
            # other.
            got = sorted(received[topic]) if topic == GROUPED else received[topic]
            assert got == list(range(sent)), topic
        assert (self._here.reconnects, self._here.dropped) == (0, 0)
        assert (self._there.reconnects, self._there.dropped) == (0, 0)


async def share_of_another(bus: NatsBus, server: NatsServer) -> int:
    """Return how many of a hundred messages to the group a new member gets."""
    share: list[bytes] = []
    async with bus_on(server, 1) as other:
        await other.subscribe(GROUPED, lambda one: share.append(one.payload), group="executors")
        for _ in range(100):
            bus.publish(GROUPED, b"0")
        await bus.flush(timeout_seconds=5)
        await other.flush(timeout_seconds=5)
    return len(share)


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
            await traffic.check()
            assert await share_of_another(there, staying) > 20
    told = [line["event"] for line in logs]
    assert "bus.moved" in told, logs
    assert "bus.disconnected" not in told


@pytest.mark.skipif(not os.environ.get("LONG"), reason="both ends may move at once; with LONG=1")
async def test_server_that_leaves_as_soon_as_it_was_moved_to_is_left_as_well(
    three: NatsCluster,
) -> None:
    first, _, last = three.servers
    with capture_logs() as logs:

        def moved_to() -> list[NatsServer]:
            ports = [line["url"].split(":")[1] for line in logs if line["event"] == "bus.moved"]
            return [one for port in ports for one in three.servers if str(one.port) == port]

        async with bus_on(first, 3) as here, bus_on(last, 3) as there:
            traffic = Traffic(here, there)
            await traffic.begin()
            running = asyncio.create_task(traffic.run())
            await until(lambda: traffic.answers > 50)
            first.leave()
            await until(moved_to)
            second = moved_to()[0]
            second.leave()
            await until(lambda: first.has_ended and second.has_ended)
            answers = traffic.answers
            await until(lambda: traffic.answers > answers + 50)
            running.cancel()
            await asyncio.wait([running])
            await traffic.check()
    assert "bus.disconnected" not in [line["event"] for line in logs]


async def test_slow_connection_is_left_once_all_that_it_owes_has_come(pair: NatsCluster) -> None:
    leaving, staying = pair.servers
    link = Link(leaving.port, kind="NATS")
    link.start()
    answer_to: list[str] = []
    got: dict[str, list[int]] = {"events_s.d": [], "events_s": []}

    def take(message: Message) -> None:
        if message.payload == b"question":
            answer_to.append(message.reply)
        elif not message.reply:
            got[message.topic].append(int(message.payload))

    with capture_logs() as logs:
        async with bus_on(link, 2) as here, bus_on(staying, 2) as there:
            for bus, sender, topic in ((there, here, "events_s.d"), (here, there, "events_s")):
                await bus.subscribe(topic, take)
                while not await sender.publish_to_listener(topic, b"-1"):
                    await asyncio.sleep(0.01)
            question = asyncio.create_task(
                here.request("events_s.d", b"question", timeout_seconds=20)
            )
            await until(lambda: answer_to)
            link.delay_seconds = 0.1
            leaving.leave()
            sent = 0
            while not leaving.has_ended:
                for bus, topic in ((here, "events_s.d"), (there, "events_s")):
                    bus.publish(topic, b"%d" % sent, once=True)
                sent += 1
                await asyncio.sleep(0.005)
            assert not question.done()
            there.publish(answer_to[0], b"answer")
            assert await question == b"answer"
            assert (here.reconnects, here.dropped, there.dropped) == (0, 0, 0)
            assert "bus.disconnected" not in [line["event"] for line in logs]
            await until(lambda: min(map(len, got.values())) >= sent)
            expected = list(range(sent))
            assert got == {"events_s.d": expected, "events_s": expected}
    link.remove()
    told = [line["event"] for line in logs]
    assert "bus.moved" in told, logs
    assert not {"bus.disconnected", "bus.servers_apart"} & set(told)


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


async def test_server_that_is_not_in_step_with_the_one_that_leaves_is_not_moved_to() -> None:
    leaving, stranger = NatsServer(), NatsServer()
    got: list[int] = []
    leaving.start()
    options = NatsOptions(urls=(leaving.url, stranger.url), name="test")
    try:
        with capture_logs() as logs:
            async with opened(NatsBus(options)) as here, bus_on(leaving, 0) as there:
                await here.wait_connected()
                await here.subscribe("events_s", lambda message: got.append(int(message.payload)))
                await asyncio.to_thread(stranger.start)
                leaving.leave()
                numbers = itertools.count()

                def has_failed() -> bool:
                    there.publish("events_s", b"%d" % next(numbers))
                    told = Counter(line["event"] for line in logs)
                    return told["bus.servers_apart"] > 2 or told["bus.moved"] > 0

                await until(has_failed)
                sent = next(numbers)
                await until(lambda: len(got) >= sent)
                assert got == list(range(sent))
                assert here.reconnects == 0
        assert "bus.moved" not in [line["event"] for line in logs]
    finally:
        leaving.stop()
        stranger.stop()
