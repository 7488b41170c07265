"""Whether an application that has died leaves its callers alone."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ari_proxy.bus.base import SubscriptionHandle
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase, DeliveryTrigger
from ari_proxy.ingest.setup.watchdog import LOOKS
from ari_proxy.telemetry import metrics_table as table
from tests.support.event_path import Scene, scene
from tests.support.running import until
from tests.support.samples import samples

SILENCE = 0.1


@pytest.fixture(params=[False, True], ids=["fleeting", "durable"])
def is_durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class Watched:
    """A call that is served, while its application is looked after."""

    def __init__(self, path: Scene, dialog: Dialog, listening: SubscriptionHandle) -> None:
        self.path = path
        self.dialog = dialog
        self.listening = listening

    def is_given_up(self) -> bool:
        targets = [request.target for request in self.path.asterisk.requests]
        return "/ari/channels/c/continue" in targets


@asynccontextmanager
async def watched(*, is_durable: bool, silence: float = SILENCE) -> AsyncIterator[Watched]:
    async with scene(is_durable=is_durable, no_listener="continue") as path:
        await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        got = path.application.messages.setdefault(dialog.topic, [])
        listening = await path.application.bus.subscribe(dialog.topic, got.append)
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        call = Watched(path, dialog, listening)
        async with path.watching_applications(silence):
            yield call


async def test_call_whose_application_is_gone_is_given_up(*, is_durable: bool) -> None:
    async with watched(is_durable=is_durable) as call:
        await call.listening.unsubscribe()
        await until(call.is_given_up)

    assert call.dialog.is_abandoned


async def heard_again(dialog: Dialog) -> None:
    before = dialog.heard_at
    await until(lambda: dialog.heard_at > before)


async def test_call_whose_application_listens_goes_on(*, is_durable: bool) -> None:
    async with watched(is_durable=is_durable) as call:
        for _ in range(2 * LOOKS):  # Longer than it may be silent.
            await heard_again(call.dialog)

    assert not call.dialog.is_abandoned
    assert not call.is_given_up()
    types = set(call.path.application.types(call.dialog.topic))
    assert types == ({"StasisStart"} if is_durable else {"StasisStart", proxy_events.PROBE})
    assert call.dialog.sequence == 1  # A probe stands outside of the order.


async def test_application_has_all_its_time_again_after_an_outage_of_the_bus(
    *, is_durable: bool
) -> None:
    async with watched(is_durable=is_durable, silence=0.5) as call:
        await call.listening.unsubscribe()
        call.path.broker.stop()
        await until(lambda: not call.path.bus.is_connected)
        call.dialog.note_heard(time.monotonic() - 1000)
        call.path.broker.start()
        await heard_again(call.dialog)
        assert not call.dialog.is_abandoned
        await until(call.is_given_up)


@pytest.mark.parametrize("why", ["ended", "no_channel", "held", "abandoned"])
async def test_dialog_that_leaves_nobody_alone_is_not_looked_at(
    why: str, *, is_durable: bool
) -> None:
    async with watched(is_durable=is_durable) as call:
        other = call.path.router.begin("demo", "other", 0)
        other.advance(DeliveryTrigger.HELD)
        if why != "held":
            other.advance(DeliveryTrigger.ACCEPTED)
            other.advance(DeliveryTrigger.DELIVERED)
        match why:
            case "ended":
                call.path.dialogs.end(other, 0, "channels_left")
            case "no_channel":
                other.release("other")
            case "abandoned":
                call.path.stream.abandon(other)
        await call.listening.unsubscribe()
        await until(call.is_given_up)

    # The call that was watched, and no other one.
    assert samples(call.path.metrics, table.APP_STARTS)["demo", "no_listener"] == 1


async def test_no_call_is_looked_after_where_silence_is_allowed() -> None:
    async with watched(is_durable=False, silence=0) as call:
        await call.listening.unsubscribe()
        async with asyncio.timeout(10):
            await call.path.watchdog(silence_seconds=0).watch()  # Is over at once.

    assert not call.dialog.is_abandoned
