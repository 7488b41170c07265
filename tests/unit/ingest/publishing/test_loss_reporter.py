"""What the buffer loses, on a bus in memory that is stopped."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.memory.durable import DurableMemoryBroker
from ari_proxy.ingest.publishing.loss_ledger import LossLedger
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.proxy_events import Gap
from ari_proxy.protocol import topics
from ari_proxy.protocol.timestamps import seconds_of
from ari_proxy.telemetry import metrics_table as table
from tests.support.event_path import HELD_BYTES, NOBODY, SERVER, EventPath, Scene, scene
from tests.support.running import until
from tests.support.samples import samples
from tests.support.scripted_asterisk import channel_event

BUFFER_BYTES = 65_536
#: Events that do not fit into it.
FLOOD = 700


class Losing(EventPath):
    """With calls whose applications listen, unless they are to be held."""

    def __init__(self, tasks: asyncio.TaskGroup, rest: RestClient) -> None:
        super().__init__(tasks, rest, buffer_bytes=BUFFER_BYTES)
        self.setup.pause()  # The tests open their dialogs by themselves.
        self.broker.stop()

    def begin(self, channel: str, *, is_heard: bool = True) -> Dialog:
        self.push("StasisStart", channel)
        dialog = self.dialogs.objects.channels[channel]
        if is_heard:
            dialog.deliver(0)
        return dialog

    def flood(self, channel: str, events: int = FLOOD) -> None:
        for _ in range(events):
            self.push("ChannelVarset", channel)

    async def drained(self, *dialogs: Dialog) -> dict[str, list[dict[str, Any]]]:
        """The bus is back, and takes all; return what has come on the topics of dialogs."""
        got: dict[str, list[dict[str, Any]]] = {dialog.topic: [] for dialog in dialogs}

        def take(message: Message) -> None:
            got[message.topic].append(json.loads(message.payload))

        for topic in got:
            await self.bus.subscribe(topic, take)
        self.broker.start()
        async with opened(self.bus):
            await self.bus.flush(timeout_seconds=5)
            self.loss_reporter.report()
            await self.bus.flush(timeout_seconds=5)
        self.broker.stop()
        return got


@asynccontextmanager
async def losing() -> AsyncIterator[Losing]:
    rest = RestClient("http://127.0.0.1:9/ari", NOBODY, concurrency=1, timeout_seconds=1)
    async with rest, asyncio.TaskGroup() as tasks:
        path = Losing(tasks, rest)
        yield path
        await path.background.finish(0)


def body(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event["ari_body"])
    return found


def gap_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    (gap,) = [body(event) for event in events if event["type"] == proxy_events.GAP]
    return gap


async def test_each_dialog_is_told_its_own_losses_behind_what_was_kept() -> None:
    async with losing() as path:
        one, other = path.begin("one"), path.begin("other")
        path.flood("one")
        path.flood("other", 5)
        got = await path.drained(one, other)

    events = got[one.topic]
    sequences = [event["sequence"] for event in events]
    gap = gap_of(events)
    assert gap["count"] == FLOOD - (len(events) - 1)
    assert sequences == list(range(sequences[0], FLOOD + 3))
    assert (gap["type"], gap["reason"], gap["application"]) == ("ProxyGap", "buffer_full", "demo")
    assert [event["type"] for event in got[other.topic]] == ["ChannelVarset"] * 5


async def test_nothing_is_published_while_the_buffer_is_full_or_another_ingest_serves() -> None:
    async with losing() as path:
        dialog = path.begin("c")
        path.flood("c")
        dropped = path.bus.dropped
        path.loss_reporter.report()
        assert path.bus.dropped == dropped
        path.permit.is_given = False
        assert proxy_events.GAP not in {
            e["type"] for e in (await path.drained(dialog))[dialog.topic]
        }
        path.permit.is_given = True

        assert gap_of((await path.drained(dialog))[dialog.topic])["count"] == dropped


async def test_dialog_that_waits_for_its_application_is_told_later() -> None:
    async with losing() as path:
        dialog = path.begin("c", is_heard=False)
        size = len(channel_event("ChannelVarset", "c"))
        path.flood("c", 2 * HELD_BYTES // size)
        kept = len(dialog.held)
        assert (await path.drained(dialog))[dialog.topic] == []
        dialog.deliver(0)
        gap = gap_of((await path.drained(dialog))[dialog.topic])

    assert (gap["reason"], gap["count"]) == ("buffer_full", dialog.sequence - 1 - kept)


@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_end_that_was_lost_is_told_again_behind_the_gap(*, is_forgotten: bool) -> None:
    async with losing() as path:
        over, other = path.begin("over"), path.begin("other")
        path.flood("over", 3)
        path.dialogs.end(over, 0, "channels_left")
        path.ends.publish(over, "channels_left")
        path.flood("other")
        if is_forgotten:
            path.dialogs.sweep(math.inf)
        events = (await path.drained(over, other))[over.topic]

    assert [event["type"] for event in events] == [proxy_events.GAP, proxy_events.DIALOG_ENDED]
    assert (gap_of(events)["count"], body(events[1])["reason"]) == (4, "channels_left")
    first, second = (event["sequence"] for event in events)
    assert over.sequence - 2 * (not is_forgotten) < first < second


@pytest.mark.parametrize(
    ("since", "expected"), [(1.0, "1970-01-01T00:00:01.000+00:00"), (None, None)]
)
async def test_lost_gap_is_covered_by_the_next_one(
    since: float | None, expected: str | None
) -> None:
    async with losing() as path:
        dialog = path.begin("c")
        text = Gap("buffer_full", since, 2.0, 7).event("demo", 3.0)
        path.stream.notify(dialog, proxy_events.GAP, text)
        path.flood("c")
        events = (await path.drained(dialog))[dialog.topic]

    gap = gap_of(events)
    assert gap["from"] == expected
    assert gap["count"] == 7 + FLOOD + 2 - len(events)
    assert seconds_of(gap["to"]) is not None


async def test_event_that_is_too_large_is_told_as_such() -> None:
    async with losing() as path:
        dialog = path.begin("c")
        payload = path.stream.envelope("ChannelVarset", "x" * 10, dialog.dialog_id, 1)
        path.ledger.note(dialog.topic, payload + bytes(path.bus.max_message_bytes), "refused")
        # What we may not publish there, nobody could be told.
        path.ledger.note(dialog.topic, payload, "refused")
        path.ledger.note(dialog.topic, payload, "discarded")
        path.ledger.note(topics.events(SERVER), payload, "full")
        gap = gap_of((await path.drained(dialog))[dialog.topic])

    assert (gap["reason"], gap["count"]) == ("too_large", 1)


async def test_losses_of_too_many_dialogs_are_not_kept() -> None:
    async with losing() as path:
        ledger = LossLedger(path.bus, path.dialogs, capacity=2)
        dialogs = [path.begin(str(number)) for number in range(3)]
        for dialog in dialogs:
            payload = path.stream.envelope("ChannelVarset", "{}", dialog.dialog_id, 1)
            ledger.note(dialog.topic, payload, "full")

    assert [topic for topic, _ in ledger.entries()] == [dialog.topic for dialog in dialogs[1:]]


async def interrupted(path: Scene) -> tuple[Dialog, list[Message]]:
    """Return a call whose application has left, and what it has received."""
    await path.application.listen("demo")
    path.push("StasisStart", "c")
    dialog = path.dialog("c")
    got: list[Message] = []
    listening = await path.application.bus.subscribe(dialog.topic, got.append)
    await until(lambda: got and dialog.delivery is DeliveryPhase.OPEN)
    await listening.unsubscribe()
    return dialog, got


def dropped(path: Scene) -> float:
    return samples(path.metrics, table.EVENTS_DROPPED).get(("unheard",), 0)


async def test_application_that_was_away_is_told_how_many_events_it_has_missed() -> None:
    async with scene() as path:
        dialog, got = await interrupted(path)
        for _ in range(3):
            path.push("ChannelVarset", "c")
        await path.bus.flush(timeout_seconds=5)
        path.loss_reporter.report()
        assert dialog.sequence == 4  # Too early: it would be lost as well.

        def is_reported() -> bool:
            path.loss_reporter.report()
            return dialog.sequence > 4

        await until(is_reported)
        await path.bus.flush(timeout_seconds=5)  # It is lost.
        await path.application.bus.subscribe(dialog.topic, got.append)

        def is_told() -> bool:
            path.loss_reporter.report()
            return len(got) > 1

        await until(is_told)
        count = dropped(path)

    start, gap = (json.loads(message.payload) for message in got)
    assert (gap["type"], body(gap)["reason"], body(gap)["count"]) == ("ProxyGap", "unheard", 4)
    assert gap["sequence"] - start["sequence"] - 1 == 4
    assert count == 3


@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_application_is_told_what_its_queue_has_not_taken_and_the_end_again(
    *, is_forgotten: bool
) -> None:
    async with scene(is_durable=True) as path:
        dialog, got = await interrupted(path)
        assert isinstance(path.broker, DurableMemoryBroker)
        path.broker.queues.delete(dialog.topic)
        path.push("ChannelVarset", "c")
        path.push("StasisEnd", "c")
        path.sweeper.report_end(dialog, "channels_left")
        await path.bus.flush(timeout_seconds=5)
        lost = path.bus.dropped
        if is_forgotten:
            path.dialogs.sweep(math.inf)

        def is_lost_as_well() -> bool:
            path.loss_reporter.report()
            return path.bus.dropped == lost + 2

        await until(is_lost_as_well)
        await path.application.bus.subscribe(dialog.topic, got.append)

        def is_told() -> bool:
            path.loss_reporter.report()
            return len(got) > 2

        await until(is_told)
        count = dropped(path)

    start, gap, end = (json.loads(message.payload) for message in got)
    assert (gap["type"], body(gap)["reason"], body(gap)["count"]) == ("ProxyGap", "unheard", 5)
    assert gap["sequence"] - start["sequence"] - 1 >= 5
    assert (end["sequence"], body(end)["reason"]) == (gap["sequence"] + 1, "channels_left")
    assert count == 2
    assert path.ledger.entries() == ()


async def test_end_of_a_dialog_whose_queues_were_deleted_is_not_told_again() -> None:
    async with scene(is_durable=True) as path:
        dialog, _ = await interrupted(path)
        assert path.bus.queues is not None
        await path.bus.queues.delete(topics.of_dialog(dialog.dialog_id))
        path.push("StasisEnd", "c")
        path.sweeper.report_end(dialog, "channels_left")
        await path.bus.flush(timeout_seconds=5)
        path.loss_reporter.report(is_last=True)
        await path.bus.flush(timeout_seconds=5)

    assert (path.bus.dropped, path.ledger.entries()) == (2, ())


async def test_application_that_leaves_before_the_end_has_missed_nothing() -> None:
    async with scene() as path:
        await interrupted(path)
        path.push("ChannelHangupRequest", "c")
        await path.bus.flush(timeout_seconds=5)
        path.push("StasisEnd", "c")
        await path.bus.flush(timeout_seconds=5)
        path.loss_reporter.report(is_last=True)
        count = dropped(path)

    assert count == 0
    assert path.ledger.entries() == ()


async def test_events_of_an_application_that_does_not_come_back_are_counted() -> None:
    async with scene() as path:
        dialog, _ = await interrupted(path)
        path.push("ChannelVarset", "c")
        await path.bus.flush(timeout_seconds=5)
        path.setup.give_up(dialog)
        path.loss_reporter.report()
        count = dropped(path)

    assert count == 1
    assert path.ledger.entries() == ()


async def test_successor_inherits_no_untold_loss() -> None:
    async with scene() as path:
        dialog, got = await interrupted(path)
        path.push("ChannelVarset", "c")
        await path.bus.flush(timeout_seconds=5)
        await path.application.bus.subscribe(dialog.topic, got.append)
        path.loss_reporter.report(is_last=True)
        await until(lambda: len(got) > 1)

    assert body(json.loads(got[1].payload))["count"] == 1
