"""The promises of bus/base.py, run on every adapter."""

import asyncio
import functools
import gc
import operator
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Literal

import pytest

from ari_proxy.bus.base import Bus, Message, Right, opened
from ari_proxy.bus.errors import (
    BusError,
    BusTimeoutError,
    BusUnavailableError,
    MessageTooLargeError,
    NoRespondersError,
    OutcomeUnknownError,
)
from ari_proxy.bus.listeners import has_listener
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.bus.memory.durable import DurableMemoryBroker, DurableMemoryBus
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from ari_proxy.bus.rabbitmq.bus import RabbitMqBus
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions
from tests.support.durable import queues_of
from tests.support.link import Link
from tests.support.running import until
from tests.support.servers import NatsServer

#: More than a bus sets aside for headers.
HEADER_ROOM = 200


@dataclass
class Adapter:
    make: Callable[[int], Bus]
    stop: Callable[[], None]
    start: Callable[[], None]


@pytest.fixture(params=["subject", "queue"])
def topic(request: pytest.FixtureRequest) -> str:
    """A topic of either kind; queues outlive a test, so each has its own."""
    return "events_contract" if request.param == "subject" else f"contract-{secrets.token_hex(6)}"


@pytest.fixture(params=["memory", "memory_durable", "nats", "rabbitmq"])
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    if request.param == "memory":
        broker = MemoryBroker()
        yield Adapter(lambda size: MemoryBus(broker, buffer_bytes=size), broker.stop, broker.start)
        return
    if request.param == "memory_durable":
        keeping = DurableMemoryBroker()
        yield Adapter(
            lambda size: DurableMemoryBus(keeping, buffer_bytes=size), keeping.stop, keeping.start
        )
        return
    if request.param == "rabbitmq":
        link: Link = request.getfixturevalue("rabbitmq_link")
        yield Adapter(
            lambda size: RabbitMqBus(
                RabbitMqOptions(urls=(link.url,), name="test", buffer_bytes=size)
            ),
            link.stop,
            link.start,
        )
        return
    name = "own_jetstream_server" if request.param == "jetstream" else "own_nats_server"
    server: NatsServer = request.getfixturevalue(name)
    yield Adapter(
        lambda size: NatsBus(NatsOptions(urls=(server.url,), name="test", buffer_bytes=size)),
        server.stop,
        server.start,
    )


#: Buses that keep no messages: there a listener may reply to what it is offered.
fleeting = pytest.mark.parametrize("adapter", ["memory", "nats"], indirect=True)


@pytest.fixture
async def buses(adapter: Adapter) -> AsyncIterator[tuple[Bus, Bus]]:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(opened(adapter.make(1 << 26)))
        second = await stack.enter_async_context(opened(adapter.make(1 << 26)))
        await first.wait_connected()
        await second.wait_connected()
        yield first, second


async def test_messages_of_one_publisher_come_in_order(buses: tuple[Bus, Bus], topic: str) -> None:
    publisher, subscriber = buses
    got: list[bytes] = []
    await subscriber.subscribe(topic, lambda message: got.append(message.payload))

    for number in range(2000):
        publisher.publish(topic, b"%d" % number)
    await until(lambda: len(got) >= 2000)

    assert got == [b"%d" % number for number in range(2000)]


async def test_every_group_gets_each_message_once(buses: tuple[Bus, Bus]) -> None:
    publisher, other = buses
    got: dict[str, list[bytes]] = {"a": [], "b": [], "alone": []}

    def into(name: str) -> Callable[[Message], None]:
        return lambda message: got[name].append(message.payload)

    for bus in buses:
        await bus.subscribe("events_contract", into("a"), group="a")
        await bus.subscribe("events_contract", into("b"), group="b")
    await other.subscribe("events_contract", into("alone"))

    for number in range(100):
        publisher.publish("events_contract", b"%d" % number)
    await until(lambda: all(len(messages) >= 100 for messages in got.values()))

    assert {name: len(set(messages)) for name, messages in got.items()} == dict.fromkeys(got, 100)
    assert {name: len(messages) for name, messages in got.items()} == dict.fromkeys(got, 100)


async def test_star_stands_for_one_token(buses: tuple[Bus, Bus]) -> None:
    publisher, subscriber = buses
    got: list[str] = []
    await subscriber.subscribe("tap_server.*", lambda message: got.append(message.topic))

    for topic in ("tap_server", "tap_server.a", "tap_server.a.b", "tap_x.a"):
        publisher.publish(topic, b"")
    publisher.publish("tap_server.end", b"")
    await until(lambda: "tap_server.end" in got)

    assert got == ["tap_server.a", "tap_server.end"]


async def test_offer_tells_whether_anybody_listens(buses: tuple[Bus, Bus], topic: str) -> None:
    publisher, subscriber = buses
    got: list[bytes] = []

    before = await publisher.publish_to_listener(topic, b"lost")
    subscription = await subscriber.subscribe(topic, lambda message: got.append(message.payload))
    during = await publisher.publish_to_listener(topic, b"heard")
    await until(lambda: got)
    await subscription.unsubscribe()
    await until_unheard(publisher, topic)

    assert (bool(before), bool(during), got[0]) == (False, True, b"heard")


@fleeting
async def test_offer_tells_what_a_listener_replies_at_once_or_later(
    buses: tuple[Bus, Bus], topic: str
) -> None:
    publisher, listener = buses
    got: list[Message] = []
    await listener.subscribe(topic, got.append)

    offered = await publisher.publish_to_listener(topic, b"will you?")
    assert (bool(offered), offered.reply) == (True, None)
    await until(lambda: got)
    for answer in (b"no", b"or yes?"):
        listener.publish(got[0].reply, answer)
    async with asyncio.timeout(5):
        assert await offered.wait_reply() == b"no"
    await publisher.flush(timeout_seconds=5)
    assert offered.reply == b"no"
    nobody = await publisher.publish_to_listener("nobody", b"will you?")
    assert (bool(nobody), nobody.reply) == (False, None)


@fleeting
async def test_replies_to_what_nobody_holds_are_not_awaited(buses: tuple[Bus, Bus]) -> None:
    publisher, listener = buses
    got: list[Message] = []
    await listener.subscribe("events_contract", got.append)

    await publisher.publish_to_listener("events_contract", b"")
    await until(lambda: got)

    assert not getattr(publisher, "_replies", {})
    if isinstance(publisher, MemoryBus):
        assert not await listener.publish_to_listener(got[0].reply, b"late")


async def test_what_is_too_large_is_refused_by_one_error_on_every_bus(
    buses: tuple[Bus, Bus], topic: str
) -> None:
    publisher, listener = buses
    await listener.subscribe(topic, lambda _: None)
    too_large = bytes(publisher.max_message_bytes + HEADER_ROOM)

    with pytest.raises(MessageTooLargeError):
        await publisher.publish_to_listener(topic, too_large)
    with pytest.raises(MessageTooLargeError):
        await publisher.request(topic, too_large, timeout_seconds=60)

    assert await publisher.publish_to_listener(topic, b"fits")
    assert (publisher.is_connected, publisher.reconnects) == (True, 0)


async def test_headers_count_as_the_server_counts_them(buses: tuple[Bus, Bus], topic: str) -> None:
    publisher, listener = buses
    got: list[int] = []
    await listener.subscribe(topic, lambda message: got.append(len(message.payload)))
    limit = publisher.max_message_bytes

    for size in (limit, limit + 1, 1):
        publisher.publish(topic, bytes(size), traceparent=TRACEPARENT)
    await until(lambda: 1 in got)

    assert got == [limit, 1]
    assert (publisher.is_connected, publisher.reconnects) == (True, 0)


async def until_unheard(bus: Bus, topic: str) -> None:
    async with asyncio.timeout(5):
        await until(lambda: _unheard(bus, topic))


async def _unheard(bus: Bus, topic: str) -> bool:
    return not await bus.publish_to_listener(topic, b"late")


async def test_request_returns_the_reply(buses: tuple[Bus, Bus], topic: str) -> None:
    client, server = buses
    await server.subscribe(
        topic, lambda message: server.publish(message.reply, b"re: " + message.payload)
    )

    assert await client.request(topic, b"question", timeout_seconds=5) == b"re: question"


async def test_request_without_listener_fails_at_once(buses: tuple[Bus, Bus], topic: str) -> None:
    with pytest.raises(NoRespondersError):
        await buses[0].request(topic, b"question", timeout_seconds=60)


async def test_request_without_reply_times_out(buses: tuple[Bus, Bus], topic: str) -> None:
    await buses[1].subscribe(topic, lambda _: None)

    with pytest.raises(BusTimeoutError):
        await buses[0].request(topic, b"question", timeout_seconds=0.05)


async def test_what_is_published_while_the_bus_is_away_comes_later_in_order(
    adapter: Adapter, buses: tuple[Bus, Bus], topic: str
) -> None:
    publisher, subscriber = buses
    got: list[bytes] = []
    await subscriber.subscribe(topic, lambda message: got.append(message.payload))

    adapter.stop()
    await until(lambda: not publisher.is_connected and not subscriber.is_connected)
    for number in range(100):
        publisher.publish(topic, b"%d" % number)
    adapter.start()
    # On NATS nobody keeps a message for a subscriber that has not come back yet.
    await subscriber.wait_connected()
    await publisher.wait_connected()
    publisher.publish(topic, b"end")
    await until(lambda: got and got[-1] == b"end")

    numbers = [int(payload) for payload in got[:-1]]
    assert numbers == sorted(numbers)
    assert publisher.dropped == 0


async def test_subscriptions_outlive_the_connection(
    adapter: Adapter, buses: tuple[Bus, Bus], topic: str
) -> None:
    publisher, subscriber = buses
    got: list[bytes] = []
    await subscriber.subscribe(topic, lambda message: got.append(message.payload))

    for round_number in range(2):
        adapter.stop()
        await until(lambda: not publisher.is_connected and not subscriber.is_connected)
        adapter.start()
        await subscriber.wait_connected()
        await publisher.wait_connected()
        publisher.publish(topic, b"%d" % round_number)
        await until(functools.partial(operator.contains, got, b"%d" % round_number))

    assert publisher.reconnects == 2


async def test_what_was_unsubscribed_at_whatever_moment_of_a_reconnect_stays_so(
    adapter: Adapter, buses: tuple[Bus, Bus], topic: str
) -> None:
    publisher, subscriber = buses
    subscriptions = [await subscriber.subscribe(f"{topic}{i}", lambda _: None) for i in range(100)]
    adapter.stop()
    await until(lambda: not subscriber.is_connected and not publisher.is_connected)

    async def end(number: int) -> None:
        await asyncio.sleep(number * 0.005)
        await subscriptions[number].unsubscribe()

    adapter.start()
    async with asyncio.TaskGroup() as tasks:
        for number in range(len(subscriptions)):
            tasks.create_task(end(number))
    await subscriber.wait_connected()

    async def is_nobody_there() -> bool:
        """RabbitMQ may take its time to end what the former connection had."""
        return not any(
            [await publisher.publish_to_listener(f"{topic}{number}", b"") for number in range(100)]
        )

    await until(is_nobody_there)


async def test_message_that_the_bus_does_not_take_is_counted_and_the_next_arrives(
    buses: tuple[Bus, Bus], topic: str
) -> None:
    publisher, subscriber = buses
    got: list[int] = []
    await subscriber.subscribe(topic, lambda message: got.append(len(message.payload)))
    limit = publisher.max_message_bytes

    for size in (limit, limit + HEADER_ROOM, 1):
        publisher.publish(topic, b"x" * size)
    await until(lambda: 1 in got)

    publisher.publish(topic, b"x" * (limit + HEADER_ROOM))
    await publisher.flush(timeout_seconds=5)

    assert got == [limit, 1]
    assert (publisher.dropped, publisher.buffered_bytes) == (2, 0)


async def test_full_buffer_drops_the_oldest_and_tells_of_each(
    adapter: Adapter, topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got: list[bytes] = []
    lost: list[tuple[str, bytes, str]] = []
    adapter.stop()
    bus = adapter.make(100_000)
    bus.set_drop_handler(lambda *message: lost.append(message))
    for number in range(1000):
        bus.publish(topic, b"%04d" % number + bytes(800))

    async with opened(bus):
        await bus.subscribe(topic, lambda message: got.append(message.payload[:4]))
        adapter.start()
        await until(lambda: b"0999" in got)

    kept = [int(payload) for payload in got]
    assert kept == list(range(1000 - len(kept), 1000))
    assert bus.dropped == 1000 - len(kept)
    assert 90 <= len(kept) <= 100
    assert lost == [(topic, b"%04d" % n + bytes(800), "full") for n in range(bus.dropped)]
    # The first one at once, how many there were afterwards.
    assert capsys.readouterr().out.count("bus.messages_dropped") == 1


async def test_whatever_is_lost_is_told_with_its_reason(
    adapter: Adapter, buses: tuple[Bus, Bus], topic: str
) -> None:
    bus, _ = buses
    lost: list[tuple[bytes, str]] = []
    bus.set_drop_handler(lambda _, payload, reason: lost.append((payload[:9], reason)))

    bus.publish(topic, b"too large" + bytes(2 * bus.max_message_bytes))
    await bus.flush(timeout_seconds=5)
    adapter.stop()
    await until(lambda: not bus.is_connected)
    bus.publish(topic, b"unwanted")
    assert bus.discard(lambda unwanted: unwanted == topic) == 1
    adapter.start()

    assert lost == [(b"too large", "refused"), (b"unwanted", "discarded")]
    assert bus.dropped == 2


async def test_leaving_a_group_loses_nothing(buses: tuple[Bus, Bus], topic: str) -> None:
    staying, leaving = buses
    got: list[bytes] = []

    def take(message: Message) -> None:
        got.append(message.payload)

    await staying.subscribe(topic, take, group="group")

    async def publish() -> None:
        for number in range(5000):
            staying.publish(topic, b"%d" % number)
            if not number % 50:
                await staying.flush(timeout_seconds=5)

    publishing = asyncio.create_task(publish())
    while not publishing.done():
        subscription = await leaving.subscribe(topic, take, group="group")
        await subscription.unsubscribe()
        await asyncio.sleep(0)
    await until(lambda: len(got) >= 5000)

    assert sorted(got) == sorted(b"%d" % number for number in range(5000))


async def test_flush_waits_for_the_confirmation(buses: tuple[Bus, Bus], topic: str) -> None:
    publisher, _ = buses
    publisher.publish(topic, b"x")

    await publisher.flush(timeout_seconds=5)

    assert publisher.buffered_bytes == 0


async def test_flush_does_not_wait_for_what_is_published_meanwhile(
    buses: tuple[Bus, Bus], topic: str
) -> None:
    publisher, listener = buses
    await listener.subscribe(topic, lambda _: None)
    count = 0

    def publish(number: int) -> None:
        nonlocal count
        count += number
        for _ in range(number):
            publisher.publish(topic, b"x")

    async def go_on_publishing() -> None:
        while True:
            if publisher.buffered_bytes < 1_000_000:
                publish(300)  # More than an adapter sends in one turn: something always waits.
            await asyncio.sleep(0)

    going_on = asyncio.create_task(go_on_publishing())
    for _ in range(5):
        publish(1000)
        before = count
        await publisher.flush(timeout_seconds=10)
        assert before <= publisher.published < count
    going_on.cancel()
    await publisher.flush(timeout_seconds=30)

    assert (publisher.published, publisher.buffered_bytes) == (count, 0)


async def test_flush_without_bus_fails_in_time(adapter: Adapter, topic: str) -> None:
    adapter.stop()
    async with opened(adapter.make(1 << 26)) as bus:
        bus.publish(topic, b"x")

        with pytest.raises(BusUnavailableError):
            await bus.flush(timeout_seconds=0.1)


async def test_cancelled_offer_and_request_leave_nothing_behind(
    adapter: Adapter, buses: tuple[Bus, Bus], topic: str
) -> None:
    bus, other = buses
    await other.subscribe(topic, lambda _: None)
    adapter.stop()
    await until(lambda: not bus.is_connected)

    for waiting in (
        bus.publish_to_listener(topic, b""),
        bus.request(topic, b"", timeout_seconds=60),
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0.05)
    adapter.start()
    await bus.wait_connected()

    assert not getattr(bus, "_replies", {})


async def test_cancelled_unsubscribing_does_no_harm(buses: tuple[Bus, Bus], topic: str) -> None:
    bus, other = buses
    for turns in range(30):
        subscription = await bus.subscribe(topic, lambda _: None)
        ending = asyncio.create_task(subscription.unsubscribe())
        for _ in range(turns):
            await asyncio.sleep(0)
        ending.cancel()
        await asyncio.wait([ending])
    await bus.flush(timeout_seconds=5)
    bus.publish(topic, b"x")
    await bus.flush(timeout_seconds=5)

    assert (bus.is_connected, bus.reconnects, other.reconnects) == (True, 0, 0)


async def test_bus_ends_at_whatever_moment_it_is_cancelled(adapter: Adapter) -> None:
    async def end_after(turns: int) -> None:
        running = asyncio.create_task(adapter.make(100_000).run())
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([running])

    async with asyncio.TaskGroup() as tasks:
        for turns in range(0, 120, 3):
            tasks.create_task(end_after(turns))


async def test_bus_ends_also_when_it_is_cancelled_as_its_connection_is_lost(
    adapter: Adapter,
) -> None:
    for turns in range(0, 60, 4):
        bus = adapter.make(100_000)
        running = asyncio.create_task(bus.run())
        await bus.wait_connected()
        adapter.stop()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=10)
        assert done
        gc.collect()  # A socket that stayed open is a warning, which is an error here.
        adapter.start()


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_message_carries_its_trace_and_none_where_there_is_none(
    buses: tuple[Bus, Bus], topic: str
) -> None:
    publisher, subscriber = buses
    got: list[Message] = []
    await subscriber.subscribe(topic, got.append)

    publisher.publish(topic, b"published", traceparent=TRACEPARENT)
    publisher.publish(topic, b"published", reply="reply", traceparent=TRACEPARENT)
    publisher.publish(topic, b"published")
    await until(lambda: len(got) >= 3)
    assert await publisher.publish_to_listener(topic, b"offered", traceparent=TRACEPARENT)
    assert await publisher.publish_to_listener(topic, b"offered")
    await until(lambda: len(got) >= 5)

    traces = [message.traceparent for message in got]
    assert traces == [TRACEPARENT, TRACEPARENT, "", TRACEPARENT, ""]


async def test_handler_that_fails_is_counted_and_the_next_message_arrives(
    buses: tuple[Bus, Bus], topic: str
) -> None:
    publisher, listener = buses
    got: list[bytes] = []

    def take(message: Message) -> None:
        got.append(message.payload)
        if message.payload == b"bad":
            raise ValueError("this handler fails")

    await listener.subscribe(topic, take)
    for payload in (b"bad", b"good"):
        publisher.publish(topic, payload)
    await until(lambda: len(got) == 2)

    assert (listener.faults["handler_failed"], listener.reconnects) == (1, 0)


async def test_cancelled_subscribing_leaves_no_listener(buses: tuple[Bus, Bus], topic: str) -> None:
    publisher, listener = buses
    for turns in range(30):
        subscribing = asyncio.create_task(listener.subscribe(topic, lambda _: None))
        for _ in range(turns):
            await asyncio.sleep(0)
        subscribing.cancel()
        await asyncio.wait([subscribing])
        if not subscribing.cancelled():
            await subscribing.result().unsubscribe()

    await until_unheard(publisher, topic)
    assert not getattr(listener, "_subscriptions", ())


async def test_bus_tells_its_problem(adapter: Adapter, buses: tuple[Bus, Bus]) -> None:
    bus, _ = buses
    before = bus.problem
    adapter.stop()
    await until(lambda: not bus.is_connected)
    during = bus.problem
    adapter.start()
    await bus.wait_connected()

    assert (before, bus.problem) == (None, None)
    assert during is not None
    assert during.kind == "away"
    assert (bus.is_blocked, bus.refusals) == (False, 0)


async def test_bus_tells_when_it_has_tried(adapter: Adapter) -> None:
    adapter.stop()
    async with asyncio.timeout(20), opened(adapter.make(1 << 20)) as bus:
        reason = await bus.wait_tried()
        adapter.start()
        await bus.wait_connected()
        afterwards = await bus.wait_tried()
        adapter.stop()
        await until(lambda: not bus.is_connected)
        again = await bus.wait_tried()
        adapter.start()

    assert reason
    assert afterwards == ""
    assert again


async def test_rights_are_tried_and_nobody_notices(buses: tuple[Bus, Bus], topic: str) -> None:
    bus, listener = buses
    got: list[bytes] = []
    await listener.subscribe(topic, lambda message: got.append(message.payload))
    actions: list[Literal["publish", "subscribe"]] = ["publish", "subscribe"]
    verdicts = [await bus.try_right(Right(action, "events_contract")) for action in actions]
    verdicts += [await bus.try_right(Right("publish", topic))]
    verdicts += [await bus.try_right(Right("declare", topic))]
    verdicts += [await bus.try_right(Right("consume", topic))]
    verdicts += [await bus.try_right(Right("answer", f"nobody-{secrets.token_hex(4)}"))]
    bus.publish(topic, b"after")
    await until(lambda: got)

    assert verdicts == ["granted"] * 6
    assert got == [b"after"]
    assert (bus.problem, bus.reconnects, bus.refusals) == (None, 0, 0)


@pytest.mark.parametrize("adapter", ["nats", "jetstream", "rabbitmq"], indirect=True)
async def test_whatever_is_asked_while_the_server_dies_fails_by_the_errors_of_the_port(
    adapter: Adapter, topic: str
) -> None:
    async def subscribe(bus: Bus) -> None:
        subscription = await bus.subscribe(topic, lambda _: None)
        await subscription.unsubscribe()

    calls: list[Callable[[Bus], Awaitable[object]]] = [
        lambda bus: bus.publish_to_listener(topic, b""),
        lambda bus: has_listener(bus, topic, b""),
        lambda bus: bus.request(topic, b"", timeout_seconds=0.5),
        lambda bus: bus.try_right(Right("publish", topic)),
        lambda bus: bus.try_right(Right("subscribe", topic)),
        lambda bus: bus.try_right(Right("answer", topic)),
        subscribe,
    ]
    if adapter.make(1).queues is not None:
        calls += [
            lambda bus: queues_of(bus).declare([topic]),
            lambda bus: queues_of(bus).backlog(topic),
        ]
    failures: set[type[BusError]] = set()

    async def ask(bus: Bus, call: Callable[[Bus], Awaitable[object]]) -> None:
        try:
            await call(bus)
        except BusError as error:
            failures.add(type(error))

    async with opened(adapter.make(1 << 20)) as bus:
        for _ in range(3):
            await bus.wait_connected()
            async with asyncio.TaskGroup() as tasks:
                for call in calls:
                    tasks.create_task(ask(bus, call))
                await asyncio.sleep(0)
                adapter.stop()
                while bus.is_connected:
                    for call in calls:
                        tasks.create_task(ask(bus, call))
                    await asyncio.sleep(0.001)
                adapter.start()

    of_the_port = {BusUnavailableError, OutcomeUnknownError, NoRespondersError, BusTimeoutError}
    assert BusUnavailableError in failures
    assert failures <= of_the_port


@pytest.mark.parametrize("adapter", ["memory_durable", "rabbitmq"], indirect=True)
async def test_iteration_over_orphans_leaves_no_task_behind(buses: tuple[Bus, Bus]) -> None:
    bus, _ = buses
    tasks = asyncio.all_tasks()

    async def look() -> None:
        async for _ in queues_of(bus).orphans():
            return

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.05)
    looking.cancel()
    await asyncio.wait([looking])
    gc.collect()

    assert asyncio.all_tasks() <= tasks


@fleeting
async def test_events_of_a_dialog_that_nobody_listens_to_are_told(buses: tuple[Bus, Bus]) -> None:
    publisher, subscriber = buses
    dialog, other = "events_contract.0123456789abcdef", "events_contract.fedcba9876543210"
    got: list[bytes] = []
    unheard: list[tuple[str, bytes]] = []
    publisher.set_unheard_handler(lambda topic, payload: unheard.append((topic, payload)))
    listening = await subscriber.subscribe(dialog, lambda message: got.append(message.payload))
    publisher.publish(dialog, b"1")
    await publisher.flush(timeout_seconds=5)
    assert unheard == []
    await until(lambda: got == [b"1"])
    await listening.unsubscribe()
    for payload in (b"2", b"3"):
        publisher.publish(dialog, payload)
        publisher.publish(other, payload)
        publisher.publish("events_contract", payload)
    await publisher.flush(timeout_seconds=5)

    assert unheard == [(topic, payload) for payload in (b"2", b"3") for topic in (dialog, other)]
