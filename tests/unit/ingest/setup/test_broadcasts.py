"""Calls that Asterisk offers: claimed once an application has taken them, else told or dropped."""

import asyncio
import time
from typing import Any

import pytest

from ari_proxy.ingest.handover import messages
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.setup.claims import CallClaims
from ari_proxy.protocol.ids import DialogId
from ari_proxy.telemetry import metrics_table as table
from tests.support.calls import body_of
from tests.support.event_path import SERVER, Scene, scene
from tests.support.running import until
from tests.support.samples import samples
from tests.support.scripted_asterisk import asterisk_without_network, channel_event

CLAIM = "/events/claim"
ASKED = [("POST", f"/ari{CLAIM}?channelId=c&application=demo")]


@pytest.fixture(params=[False, True], ids=["fleeting", "durable"])
def is_durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def broadcast(milliseconds: int = 60_000) -> bytes:
    dialplan = f'"dialplan":{{"app_name":"StasisBroadcast","app_data":"{milliseconds}"}}'
    event = channel_event("CallBroadcast", "c", more='"caller":"200","called":"300",')
    return event.replace('"state":"Up"', f'"state":"Ring",{dialplan}').encode()


def offered(path: Scene, milliseconds: int = 60_000) -> Dialog:
    path.replaced.begin_connection(has_all=True)
    path.pipeline.on_frame(broadcast(milliseconds))
    (dialog,) = path.dialogs
    return dialog


async def taken(path: Scene) -> Dialog:
    await path.application.listen("demo")
    dialog = offered(path)
    await path.application.listen(dialog.topic)
    await until(lambda: path.asterisk.requests)
    return dialog


def requests(path: Scene) -> list[tuple[str, str]]:
    return [(request.method, request.target) for request in path.asterisk.requests]


def results(path: Scene) -> dict[Any, float]:
    return {result: n for (_, result), n in samples(path.metrics, table.OFFERED_CALLS).items()}


async def test_claimed_call_goes_on_in_its_dialog(*, is_durable: bool) -> None:
    async with scene(claim=True, is_durable=is_durable) as path:
        dialog = await taken(path)
        await until(lambda: results(path) == {"claimed": 1})
        assert path.application.types(dialog.topic) == ([] if is_durable else ["CallBroadcast"])
        path.push("CallClaimed", "c")
        path.push("StasisStart", "c")
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        path.push("ChannelHold", "c")
        types = path.application.types
        await until(lambda: len(types(dialog.topic)) == 4)

    assert requests(path) == ASKED
    assert len(path.asterisk.marks) == 1
    (start,) = path.application.bodies("demo")
    assert (start["dialog_id"], start["channel_id"]) == (dialog.dialog_id, "c")
    assert types(dialog.topic) == ["CallBroadcast", "CallClaimed", "StasisStart", "ChannelHold"]
    assert [e["sequence"] for e in path.application.bodies(dialog.topic)] == [1, 2, 3, 4]
    assert samples(path.metrics, table.APP_STARTS) == {("demo", "accepted"): 1}


async def test_stasis_start_may_come_before_the_answer(*, is_durable: bool) -> None:
    async with scene(claim=True, is_durable=is_durable) as path:
        path.asterisk.hold = asyncio.Event()
        dialog = await taken(path)
        path.push("StasisStart", "c")
        path.asterisk.hold.set()
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        await until(lambda: len(path.application.types(dialog.topic)) == 2)

    assert len(path.application.bodies("demo")) == len(path.dialogs) == 1
    assert path.application.types(dialog.topic) == ["CallBroadcast", "StasisStart"]
    assert len(path.asterisk.marks) == 1


@pytest.mark.parametrize(
    ("status", "reason", "result"),
    [
        (409, "claimed_elsewhere", "claimed_elsewhere"),
        (404, "offer_over", "offer_over"),
        (501, "offer_over", "failed"),
    ],
)
async def test_application_is_told_that_it_has_not_got_the_call(
    status: int, reason: str, result: str, *, is_durable: bool
) -> None:
    async with scene(claim=True, is_durable=is_durable) as path:
        path.asterisk.answer("POST", CLAIM, status, '{"message":"no"}')
        dialog = await taken(path)
        types = path.application.types
        await until(lambda: types(dialog.topic) == ["CallBroadcast", "ProxyDialogEnded"])

    assert body_of(path.application.bodies(dialog.topic)[1])["reason"] == reason
    assert results(path) == {result: 1}
    assert requests(path) == ASKED
    path.dialogs.sweep(float("inf"))
    assert (len(path.dialogs), path.dialogs.size) == (0, 0)


@pytest.mark.parametrize("accepts", [False, True])
async def test_call_that_nobody_takes_is_not_claimed(accepts: bool, *, is_durable: bool) -> None:
    async with scene(claim=True, is_durable=is_durable, no_listener="continue") as path:
        if accepts:
            await path.application.listen("demo")
        dialog = offered(path, 200)
        await until(lambda: results(path) == {"not_taken": 1})

    assert dialog.is_ended
    assert requests(path) == []
    assert samples(path.metrics, table.APP_STARTS) == {}
    path.dialogs.sweep(float("inf"))
    assert (len(path.dialogs), path.dialogs.size) == (0, 0)


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_call_is_not_claimed_while_its_events_do_not_come(is_replaced: bool) -> None:
    """Asterisk would give it to an application that it does not know, or to another client."""
    async with scene(claim=True) as path:
        await path.application.listen("demo")
        dialog = offered(path)
        if is_replaced:
            path.replaced.note("demo")
        else:
            path.replaced.end_connection()
        await path.application.listen(dialog.topic)
        types = path.application.types
        await until(lambda: types(dialog.topic) == ["CallBroadcast", "ProxyDialogEnded"])

    assert requests(path) == []
    assert results(path) == {"disconnected": 1}


async def test_offer_is_dropped_when_another_ingest_continues(*, is_durable: bool) -> None:
    async with scene(claim=True, is_durable=is_durable) as path:
        dialog = offered(path)
        path.setup.pause()
        await path.background.finish(5)
        await path.application.listen("demo")
        heir = DialogTable(SERVER, grace_seconds=10)
        messages.load(heir, messages.records_of(path.dialogs), 0)

    (known,) = heir
    assert known.is_ended
    assert known.is_abandoned
    assert (dialog.end_reason, results(path), requests(path)) == ("offer_over", {"dropped": 1}, [])


async def test_application_is_told_of_a_dropped_offer_once_it_listens(*, is_durable: bool) -> None:
    async with scene(claim=True, is_durable=is_durable) as path:
        starts = await path.application.listen("demo")
        dialog = offered(path)
        await until(lambda: starts)
        path.setup.pause()
        await path.background.finish(5)
        records = list(messages.records_of(path.dialogs))
    async with scene(claim=True, is_durable=is_durable) as heir:
        for known, held in messages.load(heir.dialogs, records, time.monotonic()).items():
            heir.setup.resume(known, held)
        heir.sweeper.finish()
        await heir.application.listen(dialog.topic)
        types = heir.application.types
        await until(lambda: types(dialog.topic) == ["CallBroadcast", "ProxyDialogEnded"])

    assert body_of(heir.application.bodies(dialog.topic)[1])["reason"] == "offer_over"
    assert heir.application.bodies("demo") == []


async def test_claimed_call_is_handed_over_before_its_stasis_start() -> None:
    async with scene(claim=True) as path:
        dialog = await taken(path)
        await until(lambda: results(path) == {"claimed": 1})
        path.setup.pause()
        heir = DialogTable(SERVER, grace_seconds=10)
        messages.load(heir, messages.records_of(path.dialogs), 0)

    (known,) = heir
    assert (known.dialog_id, known.is_ended) == (dialog.dialog_id, False)
    assert known.delivery is DeliveryPhase.ACCEPTED
    assert heir.objects.of_channel("c") is known


async def test_call_that_is_offered_again_is_claimed_once(*, is_durable: bool) -> None:
    async with scene(claim=True, is_durable=is_durable) as path:
        former = offered(path)
        path.pipeline.on_frame(broadcast())
        (present,) = (dialog for dialog in path.dialogs if dialog is not former)
        for topic in (former.topic, present.topic, "demo"):
            await path.application.listen(topic)
        types = path.application.types
        await until(lambda: types(former.topic)[-1:] == ["ProxyDialogEnded"])
        await until(lambda: results(path) == {"claimed": 1, "offer_over": 1})

    assert requests(path) == ASKED


@pytest.mark.parametrize("has_started", [False, True])
async def test_answer_that_is_lost_leaves_the_call_to_the_stasis_start(has_started: bool) -> None:
    async with asterisk_without_network() as (asterisk, rest):
        asterisk.broken.add(CLAIM)
        dialogs = DialogTable(SERVER, grace_seconds=10)
        dialog = dialogs.offer(DialogId(f"{SERVER}.0123456789abcdef"), "demo", "c", now=0)
        claim = asyncio.create_task(CallClaims(rest, unknown_seconds=0.2).claim(dialog))
        await until(lambda: asterisk.requests)
        if has_started:
            dialogs.adopt(dialog, {"c": True})
        result = await claim

    assert result == ("claimed" if has_started else "failed")
    assert len(asterisk.requests) == 1


async def test_call_that_a_client_claims_itself_is_announced_once(*, is_durable: bool) -> None:
    async with scene(claim=True, is_durable=is_durable) as path:
        dialog = offered(path)
        path.push("StasisStart", "c")
        await until(lambda: samples(path.metrics, table.DIALOGS_STARTED))
        starts = await path.application.listen("demo")
        await path.application.listen(dialog.topic)
        types = path.application.types
        await until(lambda: types(dialog.topic) == ["CallBroadcast", "StasisStart"])

    assert len(starts) == 1
    assert requests(path) == []
    assert len(path.asterisk.marks) == 1
    assert samples(path.metrics, table.DIALOGS_STARTED) == {("demo",): 1}
