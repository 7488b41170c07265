"""Dialogs whose applications have not come for the events in their queues."""

import time

import pytest

from ari_proxy.ingest.queues.backlog import ArrivalDeadlines
from ari_proxy.ingest.routing.phase import DeliveryTrigger
from ari_proxy.protocol import topics
from tests.support.durable import queues_of
from tests.support.event_path import scene
from tests.support.kept_queues import KeptQueues, kept
from tests.support.running import until


async def test_dialog_is_due_once_when_its_time_is_over() -> None:
    async with scene(is_durable=True) as path:
        deadlines = ArrivalDeadlines(path.bus, deadline_seconds=10)
        first, second = (path.router.begin("demo", name, 0) for name in ("c", "d"))
        deadlines.set(first, 0.0)
        deadlines.set(second, 1.0)
        found = [[dialog for dialog, _ in deadlines.due(now)] for now in (9.9, 10.0, 10.9, 11.0)]

    assert found == [[], [first], [], [second]]


async def test_dialog_for_whose_events_nobody_came_in_time_is_given_up() -> None:
    async with kept() as made:
        dialog = await made.open()
        await until(lambda: made.unheard)

    assert made.unheard == [dialog]


@pytest.mark.parametrize("why", ["heard", "partly_heard", "ended", "abandoned", "bus_was_away"])
async def test_dialog_that_needs_not_be_given_up_is_not(why: str) -> None:
    async with scene(is_durable=True) as path:
        made = KeptQueues(path, grace_seconds=60)
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
        made.set_due(other)
        async with made.running():
            await until(lambda: made.unheard)

    assert made.unheard == [other]


async def test_nobody_is_looked_for_where_calls_wait_for_ever() -> None:
    async with scene(is_durable=True) as path:
        made = KeptQueues(path, grace_seconds=0, deadline_seconds=None)
        await made.open()

        assert made.deadlines.due(time.monotonic()) == []
