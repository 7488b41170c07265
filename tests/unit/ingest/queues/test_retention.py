"""The queues of dialogs on a bus that keeps messages: who looks after them, and how long."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest

from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.bus.memory.durable import DurableMemoryBroker
from ari_proxy.ingest.queues.orphans import note
from ari_proxy.ingest.queues.retention import QueueRetention
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryTrigger
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId
from tests.support.durable import queues_of
from tests.support.event_path import SERVER, Scene, scene
from tests.support.running import until

DIALOG = DialogId(f"{SERVER}.0123456789abcdef")
NAMES = topics.of_dialog(DIALOG)
DECLARED = DeclaredQueues(NAMES, note("demo", "c"))


class Kept:
    """The queues of an ingest's dialogs, with a clock that is set by hand."""

    def __init__(
        self, path: Scene, *, grace_seconds: float, deadline_seconds: float | None = 10
    ) -> None:
        self.path = path
        self.now = 0.0
        self.retention = QueueRetention(
            path.bus,
            path.dialogs,
            deadline_seconds=deadline_seconds,
            grace_seconds=grace_seconds,
            clock=lambda: self.now,
            look_seconds=0.001,
            tidy_seconds=0.001,
        )
        #: Channels that Asterisk has; None if it does not tell.
        self.channels: Collection[str] | None = ()
        self.unheard: list[Dialog] = []
        self.gone: list[tuple[str, str]] = []
        self.looks = 0

    async def _channel_ids(self) -> Collection[str] | None:
        self.looks += 1
        return self.channels

    async def run(self) -> None:
        """Look after them, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.retention.tidy(self.unheard.append))
            tasks.create_task(self.retention.take_over())
            tasks.create_task(
                self.retention.look_after(
                    self._channel_ids, lambda *dialog: self.gone.append(dialog)
                )
            )

    async def looked(self) -> None:
        """Wait until Asterisk was asked twice more: what was due at first is done."""
        before = self.looks
        await until(lambda: self.looks >= before + 2)

    async def open(self) -> Dialog:
        """A dialog whose AppStart was taken, with an event in its queue."""
        dialog = self.path.dialogs.open(DIALOG, "demo", "c", announce=False, now=0)
        self.path.dialogs.adopt(dialog, {"c": True})
        await queues_of(self.path.bus).declare(NAMES, note=DECLARED.note)
        dialog.next_sequence()
        dialog.hold(b"1")
        for payload in dialog.deliver(0):
            self.path.bus.publish(dialog.topic, payload)
        await self.path.bus.flush(timeout_seconds=5)
        self.retention.on_announced(dialog)
        return dialog

    def end(self, dialog: Dialog) -> None:
        """Have a dialog end, and be told."""
        self.path.dialogs.end(dialog, self.now, "channels_left")
        self.retention.on_ended(dialog)

    def exist(self) -> list[bool]:
        """Return which of the dialog's queues there are."""
        assert isinstance(self.path.broker, DurableMemoryBroker)
        return [self.path.broker.queues.exists(name) for name in NAMES]


@asynccontextmanager
async def kept(*, grace_seconds: float = 60) -> AsyncIterator[Kept]:
    async with scene(is_durable=True) as path:
        made = Kept(path, grace_seconds=grace_seconds)
        running = asyncio.create_task(made.run())
        yield made
        running.cancel()
        await asyncio.wait([running])


async def until_taken(made: Kept) -> None:
    """Wait until what is left behind is known."""
    await until(lambda: len(made.retention.orphans))


async def leave_behind(made: Kept) -> None:
    """An ingest declares the queues of a dialog, and dies."""
    former = made.path.connection(registry=f"dialogs_{SERVER}")
    running = asyncio.create_task(former.run())
    await former.wait_connected()
    await queues_of(former).declare(NAMES, note=DECLARED.note)
    running.cancel()
    await until_taken(made)


# Whether somebody came


async def test_dialog_for_whose_events_nobody_came_in_time_is_given_up() -> None:
    async with kept() as made:
        dialog = await made.open()
        made.now = 9.9
        await asyncio.sleep(0.02)
        assert made.unheard == []
        made.now = 10
        await until(lambda: made.unheard)

    assert made.unheard == [dialog]


@pytest.mark.parametrize("why", ["heard", "partly_heard", "ended", "abandoned", "bus_was_away"])
async def test_dialog_that_needs_not_be_given_up_is_not(why: str) -> None:
    async with kept() as made:
        dialog = await made.open()
        other = made.path.router.begin("demo", "other", 0)
        match why:
            case "heard":
                got = await made.path.application.listen(dialog.topic)
                await until(lambda: got)
            case "partly_heard":
                dialog.next_sequence()  # One of two events waits.
            case "ended":
                made.path.dialogs.end(dialog, 0, "channels_left")
            case "abandoned":
                dialog.abandon()
            case _:
                made.path.broker.stop()
                await until(lambda: not made.path.bus.is_connected)
                made.path.broker.start()
                await made.path.bus.wait_connected()
        # One that is due at the same time, and for which nobody came.
        await queues_of(made.path.bus).declare(topics.of_dialog(other.dialog_id), note="")
        other.next_sequence()
        other.hold(b"1")
        other.advance(DeliveryTrigger.ACCEPTED)
        for payload in other.deliver(0):
            made.path.bus.publish(other.topic, payload)
        await made.path.bus.flush(timeout_seconds=5)
        made.retention.on_announced(other)
        made.now = 10
        await until(lambda: made.unheard)

    assert made.unheard == [other]


async def test_nobody_is_looked_for_where_calls_wait_for_ever() -> None:
    async with scene(is_durable=True) as path:
        made = Kept(path, grace_seconds=0, deadline_seconds=None)
        await made.open()
        made.now = 10**9
        running = asyncio.create_task(made.run())
        await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])

    assert made.unheard == []


# Their end


async def test_queues_go_when_the_grace_period_is_over() -> None:
    async with kept() as made:
        made.end(await made.open())
        made.now = 59.9
        await asyncio.sleep(0.02)
        before = made.exist()
        made.now = 60
        await until(lambda: not any(made.exist()))

    assert before == [True] * 3


async def test_queues_of_a_dialog_that_a_client_has_begun_again_stay() -> None:
    async with kept() as made:
        dialog = await made.open()
        made.end(dialog)
        made.path.dialogs.revive(dialog, 1)
        made.now = 60
        await asyncio.sleep(0.02)

    assert made.exist() == [True] * 3


async def test_queues_stay_for_the_grace_period_after_an_outage() -> None:
    """The last events may have come there just now, and their application not yet."""
    async with kept() as made:
        made.end(await made.open())
        made.path.broker.stop()
        await until(lambda: not made.path.bus.is_connected)
        made.path.broker.start()
        await made.path.bus.wait_connected()
        made.now = 60
        await asyncio.sleep(0.02)
        before = made.exist()
        made.now = 120
        await until(lambda: not any(made.exist()))

    assert before == [True] * 3


async def test_queues_without_a_grace_period_wait_for_the_bus_and_nobody_for_them() -> None:
    """The bus is away: the event loop goes on."""
    async with kept(grace_seconds=0) as made:
        dialog = await made.open()
        made.path.broker.stop()
        await until(lambda: not made.path.bus.is_connected)
        made.end(dialog)
        await asyncio.sleep(0.02)
        assert made.exist() == [True] * 3
        made.path.broker.start()
        await until(lambda: not any(made.exist()))


# What a predecessor has left behind


async def test_end_of_a_dialog_that_nobody_knows_is_told_once_and_its_queues_go() -> None:
    async with kept() as made:
        await leave_behind(made)
        await until(lambda: made.gone)
        await made.looked()
        before = made.exist()
        made.now = 60
        await until(lambda: not any(made.exist()))

    assert made.gone == [(DIALOG, "demo")]
    assert before == [True] * 3
    assert len(made.retention.orphans) == 0


async def test_dialog_left_behind_lives_as_long_as_asterisk_has_its_channel() -> None:
    async with kept() as made:
        made.channels = ("c",)
        await leave_behind(made)
        made.now = 1000
        await made.looked()
        assert made.gone == []
        made.channels = None  # Asterisk does not tell.
        await made.looked()
        assert made.gone == []
        made.channels = ()
        await until(lambda: made.gone)


async def test_end_of_an_adopted_dialog_is_not_told_again() -> None:
    async with kept() as made:
        dialog = made.path.dialogs.open(DIALOG, "demo", "c", announce=False, now=0)
        made.path.dialogs.end(dialog, 0, "channels_left")
        made.retention.orphans.add(DECLARED)
        await until(lambda: not len(made.retention.orphans))

    assert made.gone == []


async def test_end_of_an_adopted_dialog_that_is_forgotten_is_not_told_again() -> None:
    async with kept() as made:
        made.channels = None
        made.retention.orphans.add(DECLARED)
        over = made.path.dialogs.open(DIALOG, "demo", "c", announce=False, now=0)
        made.path.dialogs.end(over, 0, "channels_left")
        for dialog in made.path.dialogs.ended(1000):
            made.retention.on_ended(dialog)

        assert len(made.retention.orphans) == 0
        assert made.gone == []


async def test_queues_of_the_applications_are_brought_into_being() -> None:
    async with kept() as made:
        await made.retention.declare(["demo", "other"])
        made.path.bus.publish("other", b"1")
        await made.path.bus.flush(timeout_seconds=5)

        assert await queues_of(made.path.bus).backlog("other") == 1


async def test_bus_that_keeps_nothing_has_nothing_to_be_looked_after() -> None:
    async with scene() as path:
        made = Kept(path, grace_seconds=0)
        dialog = path.router.begin("demo", "c", 0)
        made.retention.on_announced(dialog)
        made.retention.on_ended(dialog)
        async with asyncio.timeout(10):
            await made.run()  # Is over at once.

    assert made.looks == 0
