"""Calls whose application is slow, away, or gone, on a bus in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Message, opened
from ari_proxy.ingest import phase
from ari_proxy.ingest.dialogs import Dialog
from ari_proxy.ingest.offering import TAKER_SECONDS
from ari_proxy.ingest.phase import Delivery, Life
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.messages import Binding
from tests.support.event_path import NOBODY, SERVER, EventPath
from tests.support.running import until
from tests.support.scripted_asterisk import channel_event

OWN = DialogId(f"{SERVER}.0123456789abcdef")


class Calls(EventPath):
    """Calls on a bus that runs."""

    def push(self, event_type: str, channel: str) -> None:
        self.pipeline.on_frame(channel_event(event_type, channel).encode())

    def begin(self, channel: str) -> Dialog:
        self.push("StasisStart", channel)
        return self.router.table.channels[channel]

    async def listen(self, topic: str, take: Callable[[Message], None]) -> None:
        await self.bus.subscribe(topic, take)


@asynccontextmanager
async def calls() -> AsyncIterator[Calls]:
    rest = RestClient("http://127.0.0.1:9/ari", lambda: NOBODY, concurrency=1, timeout_seconds=1)
    async with rest, asyncio.TaskGroup() as tasks:
        path = Calls(tasks, rest)
        async with opened(path.bus):
            yield path
            await path.background.finish(0)


def types(messages: list[Message]) -> list[str]:
    return [event_of(message)["type"] for message in messages]


def event_of(message: Message) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(message.payload)
    return event


async def test_slow_taker_is_served_though_nobody_else_takes_the_app_start() -> None:
    async with calls() as path:
        starts: list[Message] = []
        instance = await path.bus.subscribe("demo", starts.append)
        dialog = path.begin("c")
        await until(lambda: starts)
        await instance.unsubscribe()  # It is at its limit, and takes its time for this one.
        await asyncio.sleep(TAKER_SECONDS + 0.2)
        events: list[Message] = []
        await path.listen(dialog.topic, events.append)
        await until(lambda: events)

    assert types(events) == ["StasisStart"]
    assert dialog.delivery is Delivery.OPEN


async def test_call_that_is_over_and_forgotten_is_announced_to_nobody() -> None:
    async with calls() as path:
        dialogs = [path.begin(str(number)) for number in range(20)]
        for dialog in dialogs:
            path.push("ChannelDestroyed", dialog.channel_id)
        path.sweeper.finish()
        await until(lambda: all(dialog.is_abandoned for dialog in dialogs))
        starts: list[Message] = []
        await path.listen("demo", starts.append)
        living = path.begin("living")
        await until(lambda: starts)

    assert [event_of(start)["dialog_id"] for start in starts] == [living.dialog_id]
    assert {dialog.life for dialog in dialogs} == {Life.FORGOTTEN}


async def test_end_that_is_due_with_the_grace_period_is_told() -> None:
    async with calls() as path:
        await path.listen("demo", lambda _: None)
        events: list[Message] = []
        dialog = path.begin("c")
        await path.listen(dialog.topic, events.append)
        await until(lambda: dialog.delivery is Delivery.OPEN)
        path.push("ChannelDestroyed", "c")
        path.sweeper.finish()
        await until(lambda: len(events) == 3)

    assert types(events)[1:] == ["ChannelDestroyed", "ProxyDialogEnded"]
    assert dialog.life is Life.FORGOTTEN


async def test_dialog_that_was_given_up_and_lives_again_is_served() -> None:
    async with calls() as path:
        path.router.register(Binding(OWN, "channel", "first"), 0)
        path.push("StasisStart", "first")
        dialog = path.router.table.dialogs[OWN]
        path.setup.give_up(dialog)
        path.push("ChannelDestroyed", "first")
        assert (dialog.delivery, dialog.life) == (Delivery.UNWANTED, Life.ENDED)
        events: list[Message] = []
        await path.listen(dialog.topic, events.append)

        path.router.register(Binding(OWN, "channel", "second"), 1)
        path.push("StasisStart", "second")
        await until(lambda: events)

    assert types(events) == ["StasisStart"]
    assert (dialog.delivery, dialog.life) == (Delivery.OPEN, Life.LIVE)


async def test_reply_of_any_kind_ends_no_other_call() -> None:
    deep = b'{"taken":true,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    async with calls() as path:

        def take(message: Message) -> None:
            path.bus.publish(message.reply, deep)

        await path.listen("demo", take)
        dialog = path.begin("c")
        events: list[Message] = []
        await asyncio.sleep(0.05)
        await path.listen(dialog.topic, events.append)
        await until(lambda: events)


async def test_phases_of_a_call_that_is_served() -> None:
    async with calls() as path:
        dialog = path.begin("c")
        seen = [dialog.delivery]
        starts: list[Message] = []
        await path.listen("demo", starts.append)
        await until(lambda: dialog.delivery is not Delivery.OFFERED)
        seen.append(dialog.delivery)
        await path.listen(dialog.topic, lambda _: None)
        await until(lambda: dialog.delivery not in phase.TO_SET_UP)
        seen.append(dialog.delivery)

    assert seen == [Delivery.OFFERED, Delivery.ACCEPTED, Delivery.OPEN]
    assert len(starts) == 1


async def test_events_of_a_server_belong_to_no_dialog() -> None:
    async with calls() as path:
        events: list[Message] = []
        await path.listen(topics.events(SERVER), events.append)
        path.push("ChannelVarset", "nobody's")
        await until(lambda: events)

    assert types(events) == ["ChannelVarset"]
    assert ids.token_of_object("nobody's") is None
