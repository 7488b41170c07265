"""The promises of bus/base.py that only a bus gives that keeps messages.

Those that can be seen through the port are held by every adapter that keeps messages; the others
below are about RabbitMQ itself.
"""

import asyncio
import gc
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Protocol, get_args

import aio_pika
import pytest

from ari_proxy.backoff import Backoff
from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.bus.errors import BusRefusedError, BusTimeoutError
from ari_proxy.bus.listeners import has_listener
from ari_proxy.bus.memory.durable import DurableMemoryBroker, DurableMemoryBus
from ari_proxy.bus.rabbitmq.bus import RabbitMqBus
from ari_proxy.bus.rabbitmq.consuming import Consumer
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions
from ari_proxy.bus.rabbitmq.topology import missing_topic
from ari_proxy.protocol.ids import DialogForm, ServerId, new_dialog_id
from ari_proxy.protocol.topics import of_dialog
from tests.support.durable import DurableBus
from tests.support.link import Link
from tests.support.rabbitmq import RabbitMqServer, needs_many_queues, not_for_quorum
from tests.support.running import until

needs_exclusive_consumers = not_for_quorum(
    "a quorum queue lets others in beside an exclusive consumer"
)


@pytest.fixture
def server() -> str:
    """A server's id that no other test has."""
    return f"server-{secrets.token_hex(4)}"


class Adapter(Protocol):
    """A server, and what the port does not tell of it."""

    def stop(self) -> None: ...

    def start(self) -> None: ...

    def connected(self, *, registry: str = "") -> AbstractAsyncContextManager[DurableBus]:
        """Connect a bus for a block; behind it the bus is dead."""

    def killable(self) -> AbstractAsyncContextManager[tuple[DurableBus, Callable[[], None]]]:
        """Connect a bus, with what ends it without a word."""

    async def consumers(self, *queues: str) -> list[int]:
        """How many consume each queue."""

    def delete(self, queue: str) -> None:
        """Delete a queue that an earlier test may have left."""


class MemoryAdapter:
    def __init__(self) -> None:
        self._broker = DurableMemoryBroker()
        self.stop, self.start = self._broker.stop, self._broker.start

    @asynccontextmanager
    async def connected(self, *, registry: str = "") -> AsyncIterator[DurableBus]:
        bus = DurableMemoryBus(self._broker, registry=registry)
        async with opened(bus):
            await bus.wait_connected()
            yield bus

    @asynccontextmanager
    async def killable(self) -> AsyncIterator[tuple[DurableBus, Callable[[], None]]]:
        bus = DurableMemoryBus(self._broker)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bus.run())
            await bus.wait_connected()

            def kill() -> None:
                running.cancel()

            yield bus, kill
            kill()

    async def consumers(self, *queues: str) -> list[int]:
        return [self._broker.queues.consumers(queue) for queue in queues]

    def delete(self, queue: str) -> None:
        self._broker.queues.delete(queue)


class RabbitMqAdapter:
    def __init__(self, server: RabbitMqServer, link: Link) -> None:
        self._server = server
        self._link = link
        self.stop, self.start = link.stop, link.start

    def connected(self, *, registry: str = "") -> AbstractAsyncContextManager[DurableBus]:
        return connected(self._link, registry=registry)

    @asynccontextmanager
    async def killable(self) -> AsyncIterator[tuple[DurableBus, Callable[[], None]]]:
        async with own_link_to(self._server) as own_link, connected(own_link) as bus:
            yield bus, own_link.stop

    async def consumers(self, *queues: str) -> list[int]:
        async with connected(self._server) as bus:
            assert bus._session is not None
            states = [await bus._session.operations.queue_state(queue) for queue in queues]
        return [state.consumers if state is not None else 0 for state in states]

    def delete(self, queue: str) -> None:
        self._server.delete_queues(queue)


@pytest.fixture(params=["memory", "rabbitmq"])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    if request.param == "memory":
        return MemoryAdapter()
    server: RabbitMqServer = request.getfixturevalue("rabbitmq_server")
    return RabbitMqAdapter(server, request.getfixturevalue("rabbitmq_link"))


@pytest.fixture
def registry(server: str, rabbitmq_server: RabbitMqServer) -> Iterator[str]:
    yield f"dialogs_{server}"
    rabbitmq_server.delete_queues(f"dialogs_{server}")


@pytest.fixture
def own_registry(server: str, adapter: Adapter) -> Iterator[str]:
    """The registry of a server on whichever bus."""
    yield f"dialogs_{server}"
    adapter.delete(f"dialogs_{server}")


@pytest.fixture
def queue() -> str:
    return f"contract-{secrets.token_hex(6)}"


def topics_of(server: str, number: int) -> tuple[str, str, str]:
    owner = f"{server}.{number:016}"
    return f"events_{owner}", f"commands_{owner}", f"responses_{owner}"


def records_of(bus: RabbitMqBus) -> int:
    """Return how many records of the registry it holds."""
    holding = bus._declarations._registry._holding
    return 0 if holding is None else len(holding.tags)


@asynccontextmanager
async def own_link_to(server: RabbitMqServer) -> AsyncIterator[Link]:
    """A link that one bus has for itself."""
    link = Link(server.port)
    link.start()
    try:
        yield link
    finally:
        link.remove()


@asynccontextmanager
async def connected(
    *links: Link | RabbitMqServer, registry: str = "", user: str = "", **options: Any
) -> AsyncIterator[RabbitMqBus]:
    how = RabbitMqOptions(
        urls=tuple(link.url for link in links),
        name="test",
        user=user,
        password=user,
        registry=registry,
    )
    bus = RabbitMqBus(how, **options)
    async with opened(bus):
        await bus.wait_connected()
        yield bus


class Inbox:
    """Remembers what a subscription gets, and takes it or not."""

    def __init__(self, *, takes: bool = True) -> None:
        self.messages: list[Message] = []
        self._takes = takes

    def __call__(self, message: Message) -> None:
        self.messages.append(message)
        if self._takes:
            message.ack()

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]


async def test_declared_queue_keeps_messages_until_somebody_listens(
    adapter: Adapter, queue: str
) -> None:
    async with adapter.connected() as bus:
        await bus.queues.declare([queue])
        bus.publish(queue, b"1")
        bus.publish(queue, b"2")
        await bus.flush(timeout_seconds=5)
        unheard = await bus.queues.backlog(queue)
        was_drained = await bus.queues.is_drained(queue)
        late = Inbox()
        await bus.subscribe(queue, late)
        await until(lambda: len(late.payloads) == 2)
        heard = await bus.queues.backlog(queue)
        is_drained = await bus.queues.is_drained(queue)
        exists = await bus.queues.is_drained(f"{queue}-none")

    assert late.payloads == [b"1", b"2"]
    assert (unheard, heard, bus.dropped) == (2, 0, 0)
    assert (was_drained, is_drained, exists) == (False, True, False)


async def test_messages_for_a_deleted_queue_are_lost_and_told(
    adapter: Adapter, queue: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lost: list[tuple[str, bytes, str]] = []
    async with adapter.connected() as bus:
        bus.set_drop_handler(lambda *what: lost.append(what))
        await bus.queues.declare([queue])
        await bus.queues.delete([queue])
        await bus.queues.delete([queue])
        await bus.flush(timeout_seconds=5)
        published = bus.published
        for payload in (b"1", b"", b"3"):
            bus.publish(queue, payload)
        await bus.flush(timeout_seconds=5)

        assert (bus.dropped, bus.published) == (3, published)
        assert not await bus.queues.backlog(queue)
    assert lost == [(queue, payload, "returned") for payload in (b"1", b"", b"3")]
    assert capsys.readouterr().out.count("bus.messages_dropped") == 1


async def test_what_is_offered_is_not_kept_where_nobody_listens(
    adapter: Adapter, queue: str
) -> None:
    async with adapter.connected() as bus:
        await bus.queues.declare([queue])

        assert not await has_listener(bus, queue, b"")
        assert not await bus.publish_to_listener(queue, b"1")
        assert not await bus.queues.backlog(queue)


@pytest.mark.parametrize(("keep_seconds", "kept"), [(0.01, 0), (None, 1)])
async def test_what_was_offered_and_not_taken_is_kept_no_longer_than_it_may(
    adapter: Adapter, queue: str, keep_seconds: float | None, kept: int
) -> None:
    inbox = Inbox(takes=False)
    async with adapter.connected() as bus, adapter.killable() as (listener, kill):
        await listener.subscribe(queue, inbox, manual_ack=True)
        assert await has_listener(bus, queue, b"")
        assert await bus.publish_to_listener(queue, b"1", keep_seconds=keep_seconds)
        await until(lambda: inbox.messages)
        await asyncio.sleep(0.05)  # Past its time.
        kill()
        await until(lambda: _is_consumed_by(adapter, queue, 0))

        assert await bus.queues.backlog(queue) == kept
        await bus.queues.delete([queue])


async def _is_consumed_by(adapter: Adapter, queue: str, count: int) -> bool:
    return await adapter.consumers(queue) == [count]


async def test_request_waits_for_the_executor_of_a_dialog_and_not_longer_than_somebody_waits(
    adapter: Adapter, server: str
) -> None:
    names = topics_of(server, 1)
    late = Inbox(takes=False)
    async with adapter.connected() as bus, adapter.connected() as executor:
        await bus.queues.declare(names)
        with pytest.raises(BusTimeoutError):
            await bus.request(names[1], b"too late", timeout_seconds=0.05)
        await until(lambda: _has_unheard(bus, names[1], 0))
        asking = asyncio.create_task(bus.request(names[1], b"in time", timeout_seconds=10))
        await until(lambda: _has_unheard(bus, names[1], 1))
        await executor.subscribe(names[1], late)
        await until(lambda: late.messages)
        executor.publish(late.messages[0].reply, b"answer")

        assert await asking == b"answer"
        assert late.payloads == [b"in time"]
        await bus.queues.delete(names)


async def _has_unheard(bus: DurableBus, queue: str, count: int) -> bool:
    return await bus.queues.backlog(queue) == count


async def test_queue_that_is_deleted_under_its_listener_comes_again(
    adapter: Adapter, queue: str
) -> None:
    inbox = Inbox()
    async with adapter.connected() as bus, adapter.connected() as listener:
        await listener.subscribe(queue, inbox)
        await bus.queues.delete([queue])
        await until(lambda: _is_consumed_by(adapter, queue, 1))
        bus.publish(queue, b"1")
        await until(lambda: inbox.messages)
        await bus.queues.delete([queue])


async def test_what_is_offered_for_a_time_is_gone_after_it(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    async with connected(rabbitmq_link) as bus:
        await bus.queues.declare([queue])
        async with await aio_pika.connect(rabbitmq_server.url) as connection:
            channel = await connection.channel()
            await channel.set_qos(1)
            # A listener that is busy: it gets one message, and keeps the others waiting.
            consumed = await channel.get_queue(queue)
            await consumed.consume(keep)
            assert await bus.publish_to_listener(queue, b"busy")
            assert await bus.publish_to_listener(queue, b"1", keep_seconds=0.01)
            await until(lambda: _is_empty(channel, queue))


async def keep(_message: aio_pika.abc.AbstractIncomingMessage) -> None:
    """Do not acknowledge it."""


async def _is_empty(channel: aio_pika.abc.AbstractChannel, queue: str) -> bool:
    declared = await channel.declare_queue(queue, passive=True)
    return declared.declaration_result.message_count == 0


async def test_request_that_waits_for_the_connection_lives_no_longer_than_its_caller_waits(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, server: str
) -> None:
    names = topics_of(server, 1)
    loop = asyncio.get_running_loop()
    async with (
        connected(rabbitmq_link) as bus,
        await aio_pika.connect(rabbitmq_server.url) as foreign,
    ):
        await bus.queues.declare(names)
        rabbitmq_link.stop()
        await until(lambda: not bus.is_connected)
        asking = asyncio.create_task(bus.request(names[1], b"x", timeout_seconds=60))
        await asyncio.sleep(0)
        begun_at = loop.time()
        await asyncio.sleep(0.2)  # The request waits.
        waited = loop.time() - begun_at
        rabbitmq_link.start()
        queue = await (await foreign.channel()).get_queue(names[1], ensure=False)
        await until(lambda: _has_unheard(bus, names[1], 1))
        message = await queue.get()
        asking.cancel()
        await bus.queues.delete(names)

    assert message is not None
    assert isinstance(message.expiration, float)
    assert message.expiration <= 60 - waited


async def test_queue_that_cannot_be_declared_harms_no_other(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    async with await aio_pika.connect(rabbitmq_server.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True, arguments={"x-max-length": 1})
        async with connected(rabbitmq_link) as bus:
            others = [f"{queue}-{number}" for number in range(100)]
            async with asyncio.TaskGroup() as tasks:
                declaring = [tasks.create_task(bus.queues.declare([name])) for name in others]
                refused = [tasks.create_task(_refusal(bus, queue)) for _ in range(20)]
            assert all(not task.exception() for task in declaring)
            assert all("406" in task.result() for task in refused)
            # It serves those who listen all the same.
            inbox = Inbox()
            await bus.subscribe(queue, inbox)
            bus.publish(queue, b"1")
            await until(lambda: inbox.payloads)
            assert bus.reconnects == 0
            await bus.queues.delete([queue, *others])


async def _refusal(bus: RabbitMqBus, queue: str) -> str:
    with pytest.raises(BusRefusedError) as caught:
        await bus.queues.declare([queue])
    return str(caught.value)


async def test_topology_that_rabbitmq_has_lost_is_restored(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, registry: str, server: str
) -> None:
    names = topics_of(server, 1)
    application = f"application-{server}"
    async with connected(rabbitmq_link, registry=registry) as bus:
        await bus.queues.declare([application])
        await bus.queues.declare(names, note="note")
        rabbitmq_link.stop()
        await until(lambda: not bus.is_connected)
        await asyncio.to_thread(rabbitmq_server.delete_queues, registry, application, *names)
        rabbitmq_link.start()
        await bus.wait_connected()
        for name in (application, *names):
            bus.publish(name, b"kept")
        await bus.flush(timeout_seconds=5)
        unheard = [await bus.queues.backlog(name) for name in (application, *names)]
        dropped = bus.dropped
        # It holds the record that it has written anew.
        await until(lambda: records_of(bus))
    async with connected(rabbitmq_link, registry=registry) as successor:
        found = await anext(successor.queues.orphans())
        await successor.queues.delete(names)
        await successor.queues.delete([application])

    assert (unheard, dropped) == ([1] * 4, 0)
    assert found == DeclaredQueues(names, "note")


async def test_successor_learns_what_a_dead_process_has_declared(
    adapter: Adapter, own_registry: str, server: str
) -> None:
    first, second = topics_of(server, 1), topics_of(server, 2)
    async with AsyncExitStack() as life, adapter.connected(registry=own_registry) as heir:
        bus = await life.enter_async_context(adapter.connected(registry=own_registry))
        left: asyncio.Queue[DeclaredQueues] = asyncio.Queue()
        following = asyncio.create_task(follow(heir, left))
        # Only one of them has the registry; who is first does not matter here.
        await bus.queues.declare(first, note="1")
        await bus.queues.declare(second, note="2")
        await bus.queues.delete(first)
        assert [bus.queues.is_recorded(names) for names in (first, second)] == [False, True]
        await life.aclose()
        found = await left.get()
        while found.topics != second:
            found = await left.get()
        assert heir.queues.is_recorded(second)
        await heir.queues.delete(second)
        await heir.queues.delete(first)
        following.cancel()
    async with adapter.connected() as last:
        await until(lambda: _has_unheard(last, own_registry, 0))

    assert found.note == "2"


async def follow(bus: DurableBus, left: asyncio.Queue[DeclaredQueues]) -> None:
    async for declared in bus.queues.orphans():
        left.put_nowait(declared)


async def test_what_is_disowned_goes_to_the_next_one_at_once(
    adapter: Adapter, own_registry: str, server: str
) -> None:
    """Its process lives on, and stands by."""
    names = topics_of(server, 1)
    async with (
        adapter.connected(registry=own_registry) as bus,
        adapter.connected(registry=own_registry) as heir,
    ):
        await bus.queues.declare(names, note="note")
        await until(lambda: _has_unheard(bus, own_registry, 0))
        await bus.queues.release()
        async with asyncio.timeout(10):
            found = await anext(heir.queues.orphans())
        await heir.queues.delete(names)

    assert found == DeclaredQueues(names, "note")


@pytest.mark.parametrize("form", get_args(DialogForm))
async def test_pattern_takes_in_queues_declared_before_and_after(
    adapter: Adapter, own_registry: str, server: str, form: DialogForm
) -> None:
    inbox = Inbox()

    one, two = (of_dialog(new_dialog_id(ServerId(server), form=form)) for _ in range(2))
    others = of_dialog(new_dialog_id(ServerId(f"other-{server}"), form=form))
    async with adapter.connected(registry=own_registry) as bus:
        await bus.queues.declare(one, note="1")
        bus.publish(one[1], b"before")
        async with adapter.connected() as executor:
            subscription = await executor.subscribe(f"commands_{server}.*", inbox, manual_ack=True)
            await bus.queues.declare(others, note="3")
            await bus.queues.declare(two, note="2")
            bus.publish(others[1], b"of another server")
            bus.publish(two[1], b"after")
            bus.publish(two[0], b"not its")
            await until(lambda: len(inbox.payloads) == 2)
            await subscription.unsubscribe()
            bus.publish(one[1], b"later")
            await bus.flush(timeout_seconds=5)
            left = [await bus.queues.backlog(names[1]) for names in (one, two, others)]
        for names in (one, two, others):
            await bus.queues.delete(names)

    assert sorted(inbox.payloads) == [b"after", b"before"]
    assert {message.topic for message in inbox.messages} == {one[1], two[1]}
    assert left == [1, 0, 1]


async def test_listeners_of_a_pattern_share_queues_and_keep_each_ones_order(
    adapter: Adapter, own_registry: str, server: str
) -> None:
    one, two = Inbox(), Inbox()
    queues = [f"commands_{server}.{number:016}" for number in range(100)]
    async with (
        adapter.connected(registry=own_registry) as bus,
        adapter.connected() as first,
        adapter.connected() as second,
    ):
        await first.subscribe(f"commands_{server}.*", one, manual_ack=True)
        await second.subscribe(f"commands_{server}.*", two, manual_ack=True)
        await declare_all(bus, server, 100)
        await until(lambda: _are_consumed_by(adapter, queues, 2))
        for step in range(10):
            for queue in queues:
                bus.publish(queue, b"%d" % step)
        await until(lambda: len(one.messages) + len(two.messages) == 1000)
        await delete_all(bus, server, 100)

    owners = [{message.topic for message in inbox.messages} for inbox in (one, two)]
    assert not owners[0] & owners[1]
    assert min(map(len, owners)) >= 25
    for inbox in (one, two):
        for queue in {message.topic for message in inbox.messages}:
            steps = [message.payload for message in inbox.messages if message.topic == queue]
            assert steps == [b"%d" % step for step in range(10)]


async def _are_consumed_by(adapter: Adapter, queues: list[str], count: int) -> bool:
    """Look whether so many listeners consume every queue."""
    return set(await adapter.consumers(*queues)) == {count}


async def declare_all(bus: DurableBus, server: str, count: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(bus.queues.declare(topics_of(server, number), note=f"{number}"))


async def delete_all(bus: DurableBus, server: str, count: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(bus.queues.delete(topics_of(server, number)))


async def test_newcomer_takes_over_from_nobody_until_the_former_one_leaves(
    adapter: Adapter, own_registry: str, server: str
) -> None:
    old, new = Inbox(), Inbox()
    queues = [f"commands_{server}.{number:016}" for number in range(20)]
    async with adapter.connected(registry=own_registry) as bus:
        async with adapter.killable() as (former, kill):
            await former.subscribe(f"commands_{server}.*", old, manual_ack=True)
            await declare_all(bus, server, 20)
            await until(lambda: _are_consumed_by(adapter, queues, 1))
            async with adapter.connected() as newcomer:
                await newcomer.subscribe(f"commands_{server}.*", new, manual_ack=True)
                await until(lambda: _are_consumed_by(adapter, queues, 2))
                for queue in queues:
                    bus.publish(queue, b"1")
                await until(lambda: len(old.messages) == 20)
                kill()
                for queue in queues:
                    bus.publish(queue, b"2")
                await until(lambda: len(new.messages) == 20)
        await delete_all(bus, server, 20)

    assert set(old.payloads) == {b"1"}
    assert set(new.payloads) == {b"2"}


async def test_what_was_not_taken_comes_again_and_what_was_taken_never(
    adapter: Adapter, queue: str
) -> None:
    hesitating = Inbox(takes=False)
    async with adapter.connected() as bus:
        await bus.subscribe(queue, hesitating, manual_ack=True)
        bus.publish(queue, b"taken")
        bus.publish(queue, b"not taken")
        await until(lambda: len(hesitating.messages) == 2)
        taken = await hesitating.messages[0].ack()
        adapter.stop()
        await until(lambda: not bus.is_connected)
        too_late = await hesitating.messages[1].ack()
        adapter.start()
        await until(lambda: len(hesitating.messages) == 3)
        taken_later = await hesitating.messages[2].ack()
        await bus.queues.delete([queue])

    assert (taken, too_late, taken_later) == (True, False, True)
    assert hesitating.payloads == [b"taken", b"not taken", b"not taken"]


async def test_what_a_listener_that_has_left_had_not_taken_comes_back_with_its_connection(
    adapter: Adapter, queue: str
) -> None:
    hesitating = Inbox(takes=False)
    async with adapter.connected() as other:
        async with adapter.connected() as bus:
            subscription = await bus.subscribe(queue, hesitating, manual_ack=True)
            for number in range(2):
                bus.publish(queue, b"%d" % number)
            await until(lambda: len(hesitating.messages) == 2)
            await subscription.unsubscribe()
            taken = await hesitating.messages[0].ack()
            before = await other.queues.backlog(queue)
        await until(lambda: _has_unheard(other, queue, 1))
        await other.queues.delete([queue])

    assert (taken, before) == (True, 0)


async def test_message_that_is_given_back_comes_to_another_listener(
    adapter: Adapter, queue: str
) -> None:
    full, free = Inbox(takes=False), Inbox()
    async with adapter.connected() as bus, adapter.connected() as other:
        subscription = await bus.subscribe(queue, full, manual_ack=True)
        for number in range(2):
            bus.publish(queue, b"%d" % number)
        await until(lambda: len(full.messages) == 2)
        await other.subscribe(queue, free, manual_ack=True)
        await subscription.unsubscribe()
        taken = await full.messages[0].ack()
        given_back = [message.give_back() for message in full.messages]
        await until(lambda: free.payloads)
        given_back.append(full.messages[1].give_back())
        await other.queues.delete([queue])

    assert taken
    assert given_back == [False, True, False]
    assert free.payloads == [b"1"]


@pytest.mark.parametrize("moment", ["before", "during", "after"])
async def test_deleted_queue_that_somebody_misses_is_not_brought_back(
    rabbitmq_link: Link, registry: str, server: str, moment: str
) -> None:
    """It is missed before it is deleted, while that is under way, or that is found out later."""
    async with (
        connected(rabbitmq_link, registry=registry) as bus,
        connected(rabbitmq_link) as other,
    ):
        missed = asyncio.Event()
        await other.subscribe("missing.*.*", lambda _: missed.set())
        for number in range(30):
            names = topics_of(server, number)
            await bus.queues.declare(names, note="note")
            missed.clear()
            busy, done, session = asyncio.Event(), asyncio.Event(), bus._session
            assert session is not None
            if moment == "after":
                session.jobs.put_nowait(partial(wait_for, busy))
            other.publish(missing_topic(names[1]), b"")
            if moment != "before":
                await missed.wait()
            deleting = asyncio.create_task(bus.queues.delete(names))
            if moment == "before":
                await missed.wait()
            await deleting
            busy.set()
            session.jobs.put_nowait(partial(tell, done))
            await done.wait()
            assert await session.operations.queue_state(names[1]) is None


async def wait_for(event: asyncio.Event, _session: object) -> None:
    await event.wait()


async def tell(event: asyncio.Event, _session: object) -> None:
    event.set()


# Queues that are refused


async def _has_consumers(bus: RabbitMqBus, queues: list[str], *listeners: RabbitMqBus) -> bool:
    """Look whether every listener consumes every queue."""
    assert bus._session is not None
    states = [await bus._session.operations.queue_state(queue) for queue in queues]
    return all(state is not None and state.consumers == len(listeners) for state in states)


@asynccontextmanager
async def had_by_somebody(server: RabbitMqServer, queue: str) -> AsyncIterator[None]:
    """Have a client consume a queue for himself, around a block."""
    async with await aio_pika.connect(server.url) as connection:
        channel = await connection.channel()
        await (await channel.get_queue(queue)).consume(keep, exclusive=True)
        yield


async def refused_often(subscription: Any, queue: str) -> None:
    """Wait until RabbitMQ has refused a queue several times more."""
    before = subscription._retries._failures.get(queue, 0)
    await until(lambda: subscription._retries._failures.get(queue, 0) >= before + 5)


#: The method by which a consumer acknowledges (AMQP 0-9-1: class 60, method 80).
BASIC_ACK = b"\x00\x3c\x00\x50"
#: What is refused is tried again and again.
OFTEN = Backoff(first_seconds=0.01, last_seconds=0.05)
#: For many at once: RabbitMQ closes a channel for each.
SOON = Backoff(first_seconds=0.2, last_seconds=0.5)


@needs_exclusive_consumers
async def test_queue_that_somebody_has_for_himself_costs_its_siblings_nothing(
    rabbitmq_link: Link,
    rabbitmq_server: RabbitMqServer,
    registry: str,
    server: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inbox = Inbox()
    queues = [f"commands_{server}.{number:016}" for number in range(20)]
    before = await channels_of(rabbitmq_server)
    async with (
        connected(rabbitmq_link, registry=registry) as bus,
        connected(rabbitmq_link, retry_backoff=OFTEN) as executor,
    ):
        await declare_all(bus, server, 20)
        async with had_by_somebody(rabbitmq_server, queues[0]):
            subscription = await executor.subscribe(f"commands_{server}.*", inbox, manual_ack=True)
            await until(lambda: _has_consumers(bus, queues[1:], executor))
            await refused_often(subscription, queues[0])
            closed_at_first = capsys.readouterr().out.count("bus.channel_closed")
            await refused_often(subscription, queues[0])
            for queue in queues[1:]:
                bus.publish(queue, b"1")
            await until(lambda: len(inbox.messages) == 19)
            problem = executor.problem
        await until(lambda: executor.problem is None)
        bus.publish(queues[0], b"2")
        await until(lambda: len(inbox.messages) == 20)
        closed_later = capsys.readouterr().out.count("bus.channel_closed")
        channels = await channels_of(rabbitmq_server) - before
        reconnects = executor.reconnects
        await delete_all(bus, server, 20)

    assert problem is not None
    assert queues[0] in problem.reason
    assert closed_at_first <= 1
    assert (closed_later, reconnects) == (0, 0)
    assert len(channels) <= 50


@needs_many_queues
@pytest.mark.parametrize("is_pattern", [True, False], ids=["pattern", "queues"])
async def test_many_refused_queues_are_consumed_on_few_channels_once_that_is_granted(
    rabbitmq_link: Link,
    rabbitmq_server: RabbitMqServer,
    registry: str,
    server: str,
    is_pattern: bool,
) -> None:
    """More than a connection has channels, and others of their kind work all the time."""
    inbox, count = Inbox(), 200
    queues = [f"commands_{server}.{number:016}" for number in range(count)]
    before = await channels_of(rabbitmq_server)
    every_second = {"configure": ".*", "write": ".*", "read": r"[02468]$|^(amq|ari)"}
    with rabbitmq_server.account(**every_second) as user:
        async with (
            connected(rabbitmq_link, registry=registry) as bus,
            connected(rabbitmq_link, user=user, retry_backoff=SOON) as executor,
        ):
            await declare_all(bus, server, count)
            for topic in [f"commands_{server}.*"] if is_pattern else queues:
                await executor.subscribe(topic, inbox, manual_ack=is_pattern)
            await until(lambda: executor.refusals == count // 2)
            await until(lambda: _has_consumers(bus, queues[::2], executor))
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            await asyncio.to_thread(rabbitmq_server.permit, user, **everything)
            await until(lambda: executor.problem is None)
            for queue in queues:
                bus.publish(queue, b"")
            await until(lambda: len({message.topic for message in inbox.messages}) == count)
            channels = await channels_of(rabbitmq_server) - before
            reconnects = executor.reconnects
            await delete_all(bus, server, count)

    assert (len(inbox.messages), reconnects) == (count, 0)
    assert len(channels) <= 50


@needs_exclusive_consumers
async def test_ended_subscriptions_leave_no_memory_and_are_not_counted_as_lost(
    rabbitmq_link: Link,
    rabbitmq_server: RabbitMqServer,
    server: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    queues = topics_of(server, 1)
    async with connected(rabbitmq_link) as bus:
        await bus.subscribe(queues[0], Inbox())
        for _ in range(20):
            for queue in queues[1:]:
                subscription = await bus.subscribe(queue, Inbox())
                await subscription.unsubscribe()
        consumers = [ref for ref in gc.get_objects() if type(ref) is Consumer]
        living = [consumer for consumer in consumers if consumer.queue in queues]
        async with had_by_somebody(rabbitmq_server, queues[1]):
            await bus.subscribe(queues[1], Inbox())
            await until(lambda: bus.problem)
        await bus.queues.delete(queues)

    assert [consumer.queue for consumer in living] == [queues[0]]
    log = capsys.readouterr().out.splitlines()
    (closed,) = [line for line in log if "bus.channel_closed" in line]
    assert re.search(r"consumers\W+1\b", re.sub(r"\x1b\[[0-9;]*m", "", closed)), closed


async def test_first_queues_of_their_kind_keep_their_messages_and_their_order(
    rabbitmq_link: Link, server: str
) -> None:
    inbox = Inbox()
    queues = topics_of(server, 1)
    async with connected(rabbitmq_link) as bus, connected(rabbitmq_link) as listener:
        await bus.queues.declare(queues)

        async def publish() -> None:
            for number in range(500):
                for queue in queues:
                    bus.publish(queue, b"%d" % number)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(publish())
            for queue in queues:
                tasks.create_task(listener.subscribe(queue, inbox))
        await until(lambda: len(inbox.messages) >= 1500)
        await bus.queues.delete(queues)

    for queue in queues:
        steps = [message.payload for message in inbox.messages if message.topic == queue]
        assert steps == [b"%d" % step for step in range(500)]


async def consumer_counts(bus: RabbitMqBus, queue: str, done: asyncio.Event) -> list[int]:
    """Return how many consumers a queue had at each moment until `done`."""
    assert bus._session is not None
    counts = []
    while not done.is_set():
        state = await bus._session.operations.queue_state(queue)
        counts.append(0 if state is None else state.consumers)
    return counts


async def publish_until(
    bus: RabbitMqBus, queue: str, inbox: Inbox, done: asyncio.Event
) -> list[bytes]:
    """Publish numbered messages until `done`; return them."""
    sent: list[bytes] = []
    while not done.is_set():
        if len(sent) - len(inbox.messages) < 100:  # A busy listener has to come to the end.
            sent.append(b"%d" % len(sent))
            bus.publish(queue, sent[-1])
        await asyncio.sleep(0)
    return sent


async def consumer_counts_of_subscribing(
    server: RabbitMqServer, link: Link, queue: str, *, manual_ack: bool, is_refused_first: bool
) -> list[list[int]]:
    """Subscribe to a queue while messages come; return its consumer counts, as seen in turn."""
    inbox, done = Inbox(), asyncio.Event()
    async with (
        connected(link) as bus,
        connected(link, retry_backoff=OFTEN) as listener,
        AsyncExitStack() as somebody,
    ):
        # The queue is then not the first one of the connection.
        await listener.subscribe(f"other-{queue}", Inbox(), manual_ack=manual_ack)
        await bus.queues.declare([queue])
        if is_refused_first:
            await somebody.enter_async_context(had_by_somebody(server, queue))
            await listener.subscribe(queue, inbox, manual_ack=manual_ack)
            assert listener.problem is not None
            await somebody.aclose()
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(consumer_counts(bus, queue, done)) for _ in range(4)]
            publishing = tasks.create_task(publish_until(bus, queue, inbox, done))
            if not is_refused_first:
                await listener.subscribe(queue, inbox, manual_ack=manual_ack)
            await until(lambda: listener.problem is None and len(inbox.messages) > 10)
            done.set()
        sent = publishing.result()
        await until(lambda: len(inbox.messages) >= len(sent))
        await bus.queues.delete([queue, f"other-{queue}"])
    assert inbox.payloads == sent
    return [watch.result() for watch in watching]


@pytest.mark.parametrize("manual_ack", [False, True], ids=["at once", "manual ack"])
@pytest.mark.parametrize(
    "is_refused_first",
    [False, pytest.param(True, marks=needs_exclusive_consumers)],
    ids=["allowed", "refused first"],
)
async def test_queue_keeps_the_consumer_that_it_has_got(
    rabbitmq_link: Link,
    rabbitmq_server: RabbitMqServer,
    queue: str,
    manual_ack: bool,
    is_refused_first: bool,
) -> None:
    """Without one for a moment, a request would find no responder, and an AppStart nobody."""
    for number in range(8):
        seen = await consumer_counts_of_subscribing(
            rabbitmq_server,
            rabbitmq_link,
            f"{queue}-{number}",
            manual_ack=manual_ack,
            is_refused_first=is_refused_first,
        )
        for counts in seen:
            assert counts == sorted(counts)


@pytest.mark.parametrize("number", [1, 20])
async def test_what_a_listener_that_has_left_still_takes_is_its_own_on_every_channel(
    rabbitmq_link: Link, queue: str, number: int
) -> None:
    """The channel of a consumer that has ended stays open while messages are held on it."""
    inbox = Inbox(takes=False)
    queues = [f"{queue}-{place}" for place in range(number)]
    async with connected(rabbitmq_link) as bus, connected(rabbitmq_link) as other:
        for name in queues:
            subscription = await bus.subscribe(name, inbox, manual_ack=True)
            bus.publish(name, b"")
            await until(lambda name=name: inbox.messages and inbox.messages[-1].topic == name)  # type: ignore[misc]
            await subscription.unsubscribe()
        left = [await other.queues.backlog(name) for name in queues]
        taken = [await message.ack() for message in inbox.messages]
        await bus.queues.delete(queues)

    assert left == [0] * number
    assert taken == [True] * number


async def test_message_whose_taking_did_not_reach_rabbitmq_was_not_taken(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    """What comes to another listener was never true here: it may do the work."""
    first, second = Inbox(takes=False), Inbox(takes=False)
    async with own_link_to(rabbitmq_server) as own_link, connected(own_link) as bus:
        await bus.subscribe(queue, first, manual_ack=True)
        async with connected(rabbitmq_link) as other:
            other.publish(queue, b"1")
            await until(lambda: first.messages)
            own_link.freeze()  # What is written from now on is lost.
            taking = asyncio.ensure_future(first.messages[0].ack())
            await asyncio.sleep(0.1)
            assert not taking.done()
            own_link.stop()
            is_first = await taking
            await other.subscribe(queue, second, manual_ack=True)
            await until(lambda: second.messages)
            is_second = await second.messages[0].ack()
            await other.queues.delete([queue])

    assert (is_first, is_second) == (False, True)


async def test_message_whose_taking_reached_rabbitmq_without_an_answer_is_nobodys(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    """The two can't be told apart: rather is it lost than handled twice."""
    first, second = Inbox(takes=False), Inbox()
    async with own_link_to(rabbitmq_server) as own_link, connected(own_link) as bus:
        await bus.subscribe(queue, first, manual_ack=True)
        async with connected(rabbitmq_link) as other:
            other.publish(queue, b"1")
            await until(lambda: first.messages)
            own_link.lose_from(BASIC_ACK, "answers")
            taking = asyncio.ensure_future(first.messages[0].ack())
            await until(lambda: own_link.is_losing)
            await until(partial(has_no_message, rabbitmq_server, queue))
            own_link.stop()
            is_first = await taking
            await other.subscribe(queue, second)
            other.publish(queue, b"2")
            await until(lambda: second.messages)
            await other.queues.delete([queue])

    assert not is_first
    assert second.payloads == [b"2"]
    assert bus.faults["unproven"] == 1


async def has_no_message(server: RabbitMqServer, queue: str) -> bool:
    """Return whether a queue has no message, those included that consumers hold."""
    listed = await asyncio.to_thread(server.control, "list_queues", "name", "messages")
    return [queue, "0"] in [line.split() for line in listed.splitlines()]


async def test_next_node_is_used_when_one_is_away(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    other = Link(rabbitmq_server.port)
    other.start()
    try:
        async with connected(rabbitmq_link, other) as bus:
            inbox = Inbox()
            await bus.subscribe(queue, inbox)
            for number, link in enumerate((rabbitmq_link, other)):
                link.stop()
                bus.publish(queue, b"%d" % number)
                await until(lambda number=number: b"%d" % number in inbox.payloads)  # type: ignore[misc]
                link.start()
            await bus.queues.delete([queue])
    finally:
        other.remove()


@needs_many_queues
async def test_many_dialogs_have_few_channels(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, registry: str, server: str
) -> None:
    inbox, count = Inbox(), 400
    before = await channels_of(rabbitmq_server)
    async with (
        connected(rabbitmq_link, registry=registry) as bus,
        connected(rabbitmq_link) as executor,
    ):
        await executor.subscribe(f"commands_{server}.*", inbox, manual_ack=True)
        await declare_all(bus, server, count)
        for number in range(count):
            bus.publish(f"commands_{server}.{number:016}", b"")
        await until(lambda: len(inbox.messages) == count)
        channels = await channels_of(rabbitmq_server)
        await delete_all(bus, server, count)

    assert len({message.topic for message in inbox.messages}) == count
    assert len(channels - before) <= 50
    assert (bus.dropped, bus.reconnects, executor.reconnects) == (0, 0, 0)


async def channels_of(node: RabbitMqServer) -> set[str]:
    return set((await asyncio.to_thread(node.control, "list_channels", "pid")).splitlines())


async def test_lower_limit_of_rabbitmq_costs_the_large_messages_only(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    inbox = Inbox()
    await asyncio.to_thread(rabbitmq_server.limit_messages, 100_000)
    try:
        async with connected(rabbitmq_link) as bus, connected(rabbitmq_link) as other:
            await other.subscribe(queue, inbox)
            for size in (1, 100_001, 2, 200_000, 3):
                bus.publish(queue, bytes(size))
            await until(lambda: len(inbox.messages) >= 3 and bus.dropped == 2)
            await bus.flush(timeout_seconds=10)

            assert {len(payload) for payload in inbox.payloads} == {1, 2, 3}
            assert bus.max_message_bytes == 100_000
            await bus.queues.delete([queue])
    finally:
        await asyncio.to_thread(rabbitmq_server.limit_messages, 134_217_728)


async def test_registry_that_is_taken_anew_holds_each_record_once(
    rabbitmq_link: Link, registry: str, server: str
) -> None:
    async with connected(rabbitmq_link, registry=registry, refresh_seconds=0.05) as bus:
        await declare_all(bus, server, 5)
        held: list[object] = []

        def taken_anew() -> bool:
            holding = bus._declarations._registry._holding
            if holding is not None and holding not in held:
                held.append(holding)
            # A quorum queue would drop them, having delivered them 20 times.
            return len(held) > 25 and records_of(bus) == 5

        await until(taken_anew)
    async with connected(rabbitmq_link) as other:
        kept = await other.queues.backlog(registry)
        await delete_all(other, server, 5)

    assert kept == 5


async def test_messages_that_a_queue_rejects_are_told_one_by_one(
    rabbitmq_link: Link,
    rabbitmq_server: RabbitMqServer,
    queue: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """RabbitMQ refuses many of them with one word."""
    lost: list[tuple[str, bytes, str]] = []
    inbox = Inbox()
    arguments: dict[str, Any] = {"x-max-length": 10, "x-overflow": "reject-publish"}
    async with await aio_pika.connect(rabbitmq_server.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True, arguments=arguments)
        async with connected(rabbitmq_link) as bus:
            bus.set_drop_handler(lambda *what: lost.append(what))
            for number in range(2000):
                bus.publish(queue, b"%d" % number)
            await bus.flush(timeout_seconds=10)
            kept = await bus.queues.backlog(queue)
            dropped, published = bus.dropped, bus.published
            log = capsys.readouterr().out
            await bus.subscribe(queue, inbox)
            await until(lambda: len(inbox.payloads) == kept)
            await bus.queues.delete([queue])

    assert kept >= 10
    assert (dropped, published, len(lost)) == (2000 - kept, kept, 2000 - kept)
    assert {(topic, reason) for topic, _, reason in lost} == {(queue, "rejected")}
    everything = {b"%d" % number for number in range(2000)}
    assert {payload for _, payload, _ in lost} == everything - set(inbox.payloads)
    assert 1 <= log.count("bus.messages_dropped") < 5
    assert "bus.message_refused" not in log


async def test_taking_a_message_that_another_one_waits_for_can_be_cancelled(
    rabbitmq_link: Link, queue: str
) -> None:
    inbox = Inbox(takes=False)
    async with connected(rabbitmq_link) as bus:
        await bus.subscribe(queue, inbox, manual_ack=True)
        for number in range(2):
            bus.publish(queue, b"%d" % number)
        await until(lambda: len(inbox.messages) == 2)
        first, second = (asyncio.ensure_future(m.ack()) for m in inbox.messages)
        first.cancel()

        assert await second
        assert await inbox.messages[0].ack()
        await bus.queues.delete([queue])
