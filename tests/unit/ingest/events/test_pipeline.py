"""The event path: which frames become which messages, in which order, and what of it is counted."""

import asyncio
import json
import time
from typing import cast

import pytest
from aiohttp import web

from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.bus.base import Message
from ari_proxy.ingest.events.own_events import CANARY_NAME
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.proxy_events import Gap
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.telemetry import metrics_table as table
from tests.support.calls import body_of
from tests.support.event_path import HELD_BYTES, SERVER, Scene, begun, scene
from tests.support.running import until
from tests.support.samples import samples
from tests.support.scripted_asterisk import channel_event

OTHER_DIALOG = DialogId(f"{SERVER}.0123456789abcdef")


@pytest.fixture(params=[False, True], ids=["fleeting", "durable"])
def is_durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_events_wait_for_the_application_and_reach_it_in_order_and_once(
    *, is_durable: bool
) -> None:
    async with scene(is_durable=is_durable) as path:
        starts = await path.application.listen("demo")
        path.push("StasisStart", "c")
        for number in range(20):
            path.push("ChannelVarset", "c", more=f'"value":"{number}",')
        topic = path.dialog("c").topic
        await until(lambda: starts)
        await path.application.listen(topic)
        await until(lambda: len(path.application.types(topic)) == 21)
        path.push("ChannelHold", "c")
        await until(lambda: len(path.application.types(topic)) == 22)

    events = path.application.bodies(topic)
    assert len(starts) == 1
    assert json.loads(starts[0].payload)["dialog_id"] == path.dialog("c").dialog_id
    assert path.application.types(topic) == [
        "StasisStart",
        *["ChannelVarset"] * 20,
        "ChannelHold",
    ]
    assert [event["sequence"] for event in events] == list(range(1, 23))
    assert [body_of(event)["value"] for event in events[1:21]] == [str(n) for n in range(20)]
    assert set(samples(path.metrics, table.DIALOGS_STARTED).items()) == {(("demo",), 1)}


async def test_event_carries_the_frame_as_asterisk_has_sent_it() -> None:
    async with scene() as path:
        topic = await begun(path)
        frame = channel_event("ChannelVarset", "c", more='"value": "<é&>" ,')
        path.pipeline.on_frame(frame.encode())
        await until(lambda: len(path.application.types(topic)) == 2)

    assert path.application.bodies(topic)[1]["ari_body"] == frame


async def test_frame_that_is_no_event_is_counted_and_the_next_one_passes() -> None:
    async with scene() as path:
        topic = await begun(path)
        for frame in (b"", b"\xff\xfe", b"[]", b'{"type":3}'):
            path.pipeline.on_frame(frame)
        path.push("ChannelHold", "c")
        await until(lambda: len(path.application.types(topic)) == 2)

    assert samples(path.metrics, table.FRAMES_MALFORMED) == {(): 4}
    assert path.counters.received["ChannelHold"] == 1


async def test_event_of_no_dialog_goes_out_on_the_topic_of_the_server() -> None:
    async with scene() as path:
        await path.application.listen(topics.events(SERVER))
        path.push("ChannelVarset", "of-nobody")
        await until(lambda: path.application.messages[topics.events(SERVER)])

    (event,) = path.application.bodies(topics.events(SERVER))
    assert (event["dialog_id"], event["sequence"]) == ("", 0)
    assert samples(path.metrics, table.EVENTS_UNROUTED) == {(): 1}


@pytest.mark.parametrize(
    ("event_type", "more"),
    [
        ("ChannelVarset", f'"variable":"{DIALOG_VARIABLE}",'),
        ("ChannelUserevent", f'"eventname":"{CANARY_NAME}.x",'),
    ],
)
async def test_event_that_we_have_caused_ourselves_reaches_no_application(
    event_type: str, more: str
) -> None:
    async with scene() as path:
        topic = await begun(path)
        for told in (more, '"variable":"x","eventname":"x",'):
            path.pipeline.on_frame(channel_event(event_type, "c", more=told).encode())
        await until(lambda: len(path.application.types(topic)) == 2)

    assert path.dialog("c").sequence == 2


class Websocket:
    """Hands frames over as Asterisk's websocket does."""

    closed = False

    def __init__(self, path: Scene) -> None:
        self._path = path

    async def send_str(self, frame: str) -> None:
        self._path.pipeline.on_frame(frame.encode())

    async def close(self) -> None:
        """Nothing is left to close."""


async def test_canary_that_arrives_proves_that_the_websocket_delivers() -> None:
    async with scene(proof_seconds=0.01, silent_seconds=0.05) as path:
        path.asterisk.socket = cast("web.WebSocketResponse", Websocket(path))
        path.asterisk.standing["GET", "/applications/demo"] = (200, '{"name":"demo"}')
        silent = asyncio.create_task(path.canary.until_silent(()))
        await until(lambda: path.asterisk.proofs >= 3 or silent.done())
        assert not silent.done()
        path.asterisk.silent.add("demo")

        assert await silent == "demo"


async def test_loss_of_the_application_is_told_and_published() -> None:
    async with scene() as path:
        await path.application.listen(topics.events(SERVER))
        path.pipeline.on_frame(b'{"type":"ApplicationReplaced","application":"demo"}')
        await until(lambda: path.application.messages[topics.events(SERVER)])

    assert path.replaced.names == {"demo"}
    assert path.application.types(topics.events(SERVER)) == ["ApplicationReplaced"]


async def test_nothing_goes_out_while_it_is_another_ones_turn() -> None:
    async with scene() as path:
        topic = await begun(path)
        before, begun_at = path.pipeline.fenced_since, time.time()
        path.permit.is_given = False
        path.push("ChannelHold", "c")
        path.permit.is_given = True
        path.push("ChannelUnhold", "c")
        # A successor is told of a gap since the last event before it.
        assert before is None
        assert begun_at - 60 < (path.pipeline.fenced_since or 0) <= begun_at
        await until(lambda: len(path.application.types(topic)) == 2)

    assert path.application.types(topic) == ["StasisStart", "ChannelUnhold"]
    assert samples(path.metrics, table.EVENTS_DROPPED) == {("fenced",): 1}


async def test_oldest_events_behind_the_first_go_where_too_many_wait() -> None:
    async with scene() as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        size = len(channel_event("ChannelVarset", "c"))
        for _ in range(HELD_BYTES // size + 10):
            path.push("ChannelVarset", "c")
        await path.application.listen("demo")
        await path.application.listen(dialog.topic)
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        await until(lambda: path.application.messages[dialog.topic])
        path.loss_reporter.report()
        await until(lambda: proxy_events.GAP in path.application.types(dialog.topic))

    sequences = [event["sequence"] for event in path.application.bodies(dialog.topic)]
    lost = int(samples(path.metrics, table.EVENTS_DROPPED)[("held_too_long",)])
    assert lost > 0
    assert sequences == [1, *range(2 + lost, dialog.sequence + 1)]
    assert body_of(path.application.bodies(dialog.topic)[-1])["count"] == lost


async def test_second_channel_of_a_dialog_is_marked_and_one_that_tells_it_is_not() -> None:
    async with scene() as path:
        await begun(path)
        dialog = path.dialog("c")
        named = ids.new_object_id(dialog.token)
        for channel in ("second", named):
            path.dialogs.adopt(dialog, {channel: False})
            path.push("StasisStart", channel)
        await until(lambda: len(path.asterisk.marks) == 2)

    assert [mark.target.split("/")[3] for mark in path.asterisk.marks] == ["c", "second"]
    assert all(f"value={dialog.dialog_id}" in mark.target for mark in path.asterisk.marks)


async def test_paused_set_up_holds_its_events_for_the_next_ingest() -> None:
    async with scene() as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        path.push("ChannelHold", "c")
        path.setup.pause()
        assert await path.background.finish(5) == 0
        await path.application.listen("demo")
        await path.application.listen(dialog.topic)

    assert (dialog.delivery, len(dialog.held)) == (DeliveryPhase.OFFERED, 2)
    assert path.application.bodies("demo") == []


async def test_set_up_that_is_not_done_in_time_is_counted_and_cancelled() -> None:
    async with scene() as path:
        path.push("StasisStart", "c")

        assert await path.background.finish(0.01) == 1
        assert await path.background.finish(0.01) == 0


async def adopted(path: Scene) -> str:
    """A dialog that another process has begun."""
    dialog = path.dialogs.open(OTHER_DIALOG, "demo", "c", announce=True, now=0)
    path.dialogs.adopt(dialog, {"c": True})
    dialog.adopt(1001, b'{"type":"StasisStart"}')
    path.stream.notify(dialog, proxy_events.GAP, Gap("ingest_restarted").event("demo", 1.0))
    path.setup.begin(dialog)
    return dialog.topic


async def test_application_of_an_adopted_dialog_is_told_of_the_gap_and_nothing_again(
    *, is_durable: bool
) -> None:
    async with scene(is_durable=is_durable) as path:
        starts = await path.application.listen("demo")
        await path.application.listen(topics.events(OTHER_DIALOG))
        topic = await adopted(path)
        path.push("ChannelHold", "c")
        await until(lambda: len(path.application.types(topic)) == 2)

    assert path.application.types(topic) == [proxy_events.GAP, "ChannelHold"]
    assert [event["sequence"] for event in path.application.bodies(topic)] == [1002, 1003]
    assert starts == []
    assert path.asterisk.marks == []


async def test_first_event_of_a_channel_that_a_client_has_named_finds_the_dialog() -> None:
    async with scene() as path:
        topic = await begun(path)
        dialog = path.dialog("c")
        binding = {"dialog_id": dialog.dialog_id, "kind": "channel", "object_id": "mine"}
        path.registrations.on_binding(Message("bindings", json.dumps(binding).encode()))
        path.push("ChannelCreated", "mine")
        await until(lambda: len(path.application.types(topic)) == 2)

    assert path.application.types(topic) == ["StasisStart", "ChannelCreated"]
