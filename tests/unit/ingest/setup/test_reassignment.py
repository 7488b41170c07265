"""A call whose instance of the application has died goes to one that recovers calls."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from ari_proxy.bus.base import Message
from ari_proxy.ingest.handover import messages as records
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.setup.reassignment import MOST_TIMES
from ari_proxy.telemetry import metrics_table as table
from tests.support.event_path import Scene, scene
from tests.support.running import until
from tests.support.samples import samples

RECOVERED = "recovered_demo"
SILENCE = 0.1


@pytest.fixture(params=[False, True], ids=["fleeting", "durable"])
def is_durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class Served:
    """A call that is served by an instance that can die."""

    def __init__(self, path: Scene, dialog: Dialog) -> None:
        self.path = path
        self.dialog = dialog
        self.events = path.application.messages.setdefault(dialog.topic, [])
        self._listening: Any = None

    async def listen(self) -> None:
        self._listening = await self.path.application.bus.subscribe(
            self.dialog.topic, self.events.append
        )

    async def die(self) -> None:
        await self._listening.unsubscribe()

    @property
    def types(self) -> list[str]:
        return [kind for kind in self.path.application.types(self.dialog.topic) if kind in _TOLD]

    def last(self, event_type: str) -> dict[str, Any]:
        bodies = self.path.application.bodies(self.dialog.topic)
        found = [body for body in bodies if body["type"] == event_type]
        return dict(json.loads(found[-1]["ari_body"]))

    def is_given_up(self) -> bool:
        targets = [request.target for request in self.path.asterisk.requests]
        return "/ari/channels/c/continue" in targets


_TOLD = {"StasisStart", "ProxyGap", "ChannelDtmfReceived"}


@asynccontextmanager
async def served(
    *, is_durable: bool, silence: float = SILENCE, **times: float
) -> AsyncIterator[Served]:
    async with scene(is_durable=is_durable, no_listener="continue", **times) as path:
        dialplan = {"app_name": "Stasis", "app_data": "demo,a"}
        described = json.dumps({"id": "c", "state": "Up", "dialplan": dialplan})
        path.asterisk.standing["GET", "/channels/c"] = 200, described
        await path.application.listen("demo")
        path.push("StasisStart", "c")
        call = Served(path, path.dialog("c"))
        await call.listen()
        await until(lambda: call.dialog.delivery is DeliveryPhase.OPEN)
        async with path.watching_applications(silence):
            yield call


async def test_call_goes_to_an_instance_that_recovers(*, is_durable: bool) -> None:
    async with served(is_durable=is_durable) as call:
        starts = await call.path.application.listen(RECOVERED)
        await call.die()
        await until(lambda: starts)
        await call.listen()
        await until(lambda: call.types[-1:] == ["ProxyGap"])
        call.path.push("ChannelDtmfReceived", "c")
        await until(lambda: call.types[-1:] == ["ChannelDtmfReceived"])
        assert call.dialog.delivery is DeliveryPhase.OPEN
        assert not call.dialog.is_reassigned

    start = json.loads(starts[0].payload)
    assert (start["dialog_id"], start["channel_id"]) == (call.dialog.dialog_id, "c")
    assert start["recovered"] is True
    assert call.types == ["StasisStart", "StasisStart", "ProxyGap", "ChannelDtmfReceived"]
    assert call.last("StasisStart")["reconstructed"] is True
    assert call.last("ProxyGap")["reason"] == "application_gone"
    assert call.last("ProxyGap")["from"] is not None
    assert not call.is_given_up()
    assert len(call.path.application.messages["demo"]) == 1  # Nobody takes it for a new one.


async def test_without_such_an_instance_all_is_as_ever(*, is_durable: bool) -> None:
    async with served(is_durable=is_durable) as call:
        requested = len(call.path.asterisk.requests)
        await call.die()
        await until(call.is_given_up)
        targets = [request.target for request in call.path.asterisk.requests[requested:]]

    assert targets == [
        "/ari/channels/c/variable?variable=ARI_PROXY_STATUS&value=NO_APPLICATION",
        "/ari/channels/c/continue",
    ]
    assert call.dialog.delivery is DeliveryPhase.DESERTED


async def test_instance_that_comes_later_gets_it_within_the_silence(*, is_durable: bool) -> None:
    async with served(is_durable=is_durable, silence=60) as call:
        await call.die()
        assert not await call.path.reassignment.offer(call.dialog, 0)
        assert call.dialog.delivery is DeliveryPhase.OPEN
        starts = await call.path.application.listen(RECOVERED)
        assert await call.path.reassignment.offer(call.dialog, 0)
        await until(lambda: starts)


async def test_instance_that_declines_leaves_it_to_another_one() -> None:
    async with served(is_durable=False, silence=60) as call:
        path = call.path

        def decline(message: Message) -> None:
            path.application.bus.publish(message.reply, b'{"decline":true}')

        full = await path.application.bus.subscribe(RECOVERED, decline, group="ariq")
        await call.die()
        assert not await path.reassignment.offer(call.dialog, 0)
        assert call.dialog.delivery is DeliveryPhase.OPEN
        await full.unsubscribe()
        await path.application.listen(RECOVERED)
        assert await path.reassignment.offer(call.dialog, 0)
        await call.listen()
        await until(lambda: call.types[-1:] == ["ProxyGap"])

    assert not call.is_given_up()


async def test_what_happens_meanwhile_comes_behind_the_start(*, is_durable: bool) -> None:
    async with served(is_durable=is_durable, silence=60) as call:
        path = call.path
        await path.application.listen(RECOVERED)
        await call.die()
        path.asterisk.hold = asyncio.Event()
        offering = asyncio.create_task(path.reassignment.offer(call.dialog, 0))
        await until(lambda: call.dialog.delivery is DeliveryPhase.ACCEPTED)
        await call.listen()
        path.push("ChannelDtmfReceived", "c")
        await until(lambda: call.dialog.held)
        path.asterisk.hold.set()
        assert await offering
        await until(lambda: call.types[-1:] == ["ChannelDtmfReceived"])

    assert call.types == ["StasisStart", "StasisStart", "ProxyGap", "ChannelDtmfReceived"]


async def test_offer_that_a_hand_over_interrupts_leaves_the_gap_to_tell() -> None:
    async with served(is_durable=False, silence=60) as call:
        path = call.path
        await path.application.listen(RECOVERED)
        await call.die()
        path.asterisk.hold = asyncio.Event()
        offering = asyncio.create_task(path.reassignment.offer(call.dialog, 0))
        await until(lambda: call.dialog.delivery is DeliveryPhase.ACCEPTED)
        offering.cancel()
        await asyncio.wait([offering])
        path.asterisk.hold.set()

        assert [b'"ProxyGap"' in event for event in call.dialog.held] == [True]


async def test_ingest_that_may_publish_no_more_offers_nothing() -> None:
    async with served(is_durable=False, silence=60) as call:
        starts = await call.path.application.listen(RECOVERED)
        await call.die()
        call.path.setup.pause()
        assert not await call.path.reassignment.offer(call.dialog, 0)

    assert starts == []


async def test_call_that_ends_each_of_its_instances_does_not_end_all() -> None:
    async with served(is_durable=False, silence=60) as call:
        starts = await call.path.application.listen(RECOVERED)
        for _ in range(MOST_TIMES):
            await call.die()
            assert await call.path.reassignment.offer(call.dialog, 0)
            await call.listen()
            await until(lambda: call.dialog.delivery is DeliveryPhase.OPEN)
        await call.die()
        assert not await call.path.reassignment.offer(call.dialog, 0)

    assert len(starts) == MOST_TIMES


async def test_taker_that_dies_before_it_listens_is_replaced() -> None:
    async with served(is_durable=False, taker_seconds=0.02) as call:
        starts = await call.path.application.listen(RECOVERED)
        await call.die()
        await until(lambda: len(starts) > 1)
        await call.listen()
        await until(lambda: call.types[-1:] == ["ProxyGap"])

    assert {json.loads(start.payload)["recovered"] for start in starts} == {True}


async def test_call_that_nobody_recovers_in_time_is_given_up() -> None:
    async with served(is_durable=False, listener_seconds=0.1) as call:
        await call.path.application.listen(RECOVERED)  # It accepts, and never comes.
        await call.die()
        await until(call.is_given_up)

    assert call.dialog.delivery is DeliveryPhase.DESERTED
    assert samples(call.path.metrics, table.APP_STARTS)["demo", "no_listener"] == 1


async def test_channel_that_asterisk_does_not_describe_is_reassigned_with_a_gap_alone() -> None:
    async with served(is_durable=False) as call:
        call.path.asterisk.standing.clear()
        starts = await call.path.application.listen(RECOVERED)
        await call.die()
        await until(lambda: starts)
        await call.listen()
        await until(lambda: call.types == ["StasisStart", "ProxyGap"])


async def test_successor_goes_on_with_a_reassignment() -> None:
    async with served(is_durable=False) as old:
        starts = await old.path.application.listen(RECOVERED)
        await old.die()
        await until(lambda: starts and old.dialog.held)
        told = list(records.records_of(old.path.dialogs))
    async with scene(taker_seconds=0.01) as new:
        again = await new.application.listen(RECOVERED)
        for taken, held in records.load(new.dialogs, told, 0).items():
            new.setup.resume(taken, held)
        await until(lambda: again)

    assert json.loads(again[0].payload)["recovered"] is True


def as_an_older_ingest_reads(told: list[records.Record]) -> list[records.Record]:
    """Return records without what an ingest before recovered calls does not know."""
    known = [json.loads(msgspec.json.encode(record)) for record in told]
    for record in known:
        record.pop("is_reassigned", None)
    return msgspec.convert(known, list[records.Record])


@asynccontextmanager
async def handed_to_an_older_ingest(
    old: Served, *, is_durable: bool = False, taker_seconds: float = 60
) -> AsyncIterator[Served]:
    """Have an older ingest go on with a call around a block; applications listen to `demo`."""
    told = as_an_older_ingest_reads(list(records.records_of(old.path.dialogs)))
    async with scene(is_durable=is_durable, taker_seconds=taker_seconds) as path:
        await path.application.listen("demo")
        await path.application.listen(RECOVERED)
        for dialog, held in records.load(path.dialogs, told, 0).items():
            path.setup.resume(dialog, held)
            yield Served(path, dialog)


async def test_older_ingest_leaves_the_call_to_the_instance_that_recovers_it() -> None:
    async with served(is_durable=False) as old:  # Else its events are in their queue by then.
        starts = await old.path.application.listen(RECOVERED)
        await old.die()
        await until(lambda: starts and old.dialog.held)
        async with handed_to_an_older_ingest(old) as new:
            await new.listen()
            await until(lambda: new.dialog.delivery is DeliveryPhase.OPEN)
            new.path.push("ChannelDtmfReceived", "c")
            await until(lambda: new.types[-1:] == ["ChannelDtmfReceived"])
            announced = new.path.application.messages

    assert new.types == ["StasisStart", "ProxyGap", "ChannelDtmfReceived"]
    assert announced["demo"] == announced[RECOVERED] == []


async def test_older_ingest_announces_the_call_if_its_new_instance_never_comes() -> None:
    async with served(is_durable=False) as old:
        starts = await old.path.application.listen(RECOVERED)
        await old.die()
        await until(lambda: starts and old.dialog.held)
        async with handed_to_an_older_ingest(old, taker_seconds=0.01) as new:
            await until(lambda: new.path.application.messages["demo"])
            await new.listen()
            await until(lambda: new.types == ["StasisStart", "ProxyGap"])

    start = json.loads(new.path.application.messages["demo"][0].payload)
    assert (start["dialog_id"], start.get("recovered")) == (old.dialog.dialog_id, None)
    assert new.path.application.messages[RECOVERED] == []


async def test_older_ingest_goes_on_with_a_call_that_is_being_offered(*, is_durable: bool) -> None:
    async with served(is_durable=is_durable, silence=60) as old:
        await old.die()
        old.dialog.note_reassignment(is_reassigned=True)  # As it is while nobody has answered.
        async with handed_to_an_older_ingest(old, is_durable=is_durable) as new:
            await new.listen()
            new.path.push("ChannelDtmfReceived", "c")
            await until(lambda: new.types == ["ChannelDtmfReceived"])
            announced = new.path.application.messages

    assert announced["demo"] == announced[RECOVERED] == []
