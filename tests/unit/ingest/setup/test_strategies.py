"""How first events reach an application, on a bus with and without durable queues."""

import asyncio
import time
from typing import Final

from ari_proxy.ingest.queues.backlog import ArrivalDeadlines
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.setup.announcement import Announcement
from ari_proxy.ingest.setup.gate import SetupGate
from ari_proxy.ingest.setup.strategies import ProbingStrategy, QueueingStrategy
from ari_proxy.protocol.ids import DialogId
from tests.support.durable import queues_of
from tests.support.event_path import SERVER, Scene, scene
from tests.support.permit import SwitchedPermit
from tests.support.running import until

DIALOG: Final = DialogId(f"{SERVER}.0123456789abcdef")
EVENT: Final = b'{"type":"StasisStart"}'


def announced(path: Scene) -> tuple[Dialog, Announcement]:
    """A new dialog with an event, and its announcement."""
    dialog = path.dialogs.open(DIALOG, "demo", "c", announce=True, now=0)
    dialog.hold(EVENT)
    gate = SetupGate(SwitchedPermit())
    return dialog, Announcement(SERVER, path.bus, dialog, gate, patience_seconds=60)


def payloads(path: Scene, topic: str) -> list[bytes]:
    return [message.payload for message in path.application.messages.get(topic, ())]


async def test_first_event_is_sent_until_an_application_has_subscribed() -> None:
    async with scene() as path:
        starts = await path.application.listen("demo")
        dialog, announcement = announced(path)
        strategy = ProbingStrategy()
        announcing = asyncio.create_task(strategy.announce(announcement, None))
        await until(lambda: starts and dialog.delivery is DeliveryPhase.ACCEPTED)
        assert not announcing.done()
        await path.application.listen(dialog.topic)
        async with asyncio.timeout(10):
            await announcing
        await path.bus.flush(timeout_seconds=5)

    assert strategy.delivers_first
    assert payloads(path, dialog.topic) == [EVENT]


async def test_application_of_a_dialog_that_was_adopted_gets_its_first_event() -> None:
    async with scene() as path:
        dialog, announcement = announced(path)
        waiting = asyncio.create_task(ProbingStrategy().wait_listener(announcement))
        await path.application.listen(dialog.topic)
        async with asyncio.timeout(10):
            await waiting

    assert payloads(path, dialog.topic) == [EVENT]


async def test_events_wait_in_durable_queues_once_the_app_start_is_accepted() -> None:
    async with scene(is_durable=True) as path:
        queues = queues_of(path.bus)
        starts = await path.application.listen("demo")
        dialog, announcement = announced(path)
        strategy = QueueingStrategy(queues, ArrivalDeadlines(path.bus, deadline_seconds=None))
        async with asyncio.timeout(10):
            await strategy.announce(announcement, None)
        path.bus.publish(dialog.topic, EVENT)
        await path.bus.flush(timeout_seconds=5)
        waiting = await queues.backlog(dialog.topic)
        await until(lambda: starts)

    assert not strategy.delivers_first
    assert waiting == 1
    assert dialog.delivery is DeliveryPhase.ACCEPTED


async def test_dialog_with_durable_queues_gets_a_deadline_when_it_opens() -> None:
    async with scene(is_durable=True) as path:
        deadlines = ArrivalDeadlines(path.bus, deadline_seconds=10)
        dialog, _ = announced(path)
        before = time.monotonic()
        QueueingStrategy(queues_of(path.bus), deadlines).on_open(dialog)
        assert deadlines.due(before + 9.9) == []
        due = deadlines.due(time.monotonic() + 10)

    assert [late for late, _ in due] == [dialog]
