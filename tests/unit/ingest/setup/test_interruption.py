"""An application that does not listen for a while, on a bus that keeps no messages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ari_proxy.bus.base import SubscriptionHandle
from ari_proxy.ingest.handover import messages
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.telemetry import metrics_table as table
from tests.support.calls import body_of
from tests.support.event_path import Scene, scene
from tests.support.running import until
from tests.support.samples import samples


class Served:
    """A call that an application serves; it may go away and come back."""

    def __init__(self, path: Scene) -> None:
        self.path = path
        path.push("StasisStart", "c")
        self.dialog: Dialog = path.dialog("c")
        self._listening: SubscriptionHandle | None = None

    async def come(self) -> None:
        got = self.path.application.messages.setdefault(self.dialog.topic, [])
        self._listening = await self.path.application.bus.subscribe(self.dialog.topic, got.append)
        await until(lambda: self.dialog.delivery is DeliveryPhase.OPEN)

    async def leave(self) -> None:
        await self.path.bus.flush(timeout_seconds=5)
        assert self._listening is not None
        await self._listening.unsubscribe()

    async def is_interrupted(self) -> bool:
        await self.path.bus.flush(timeout_seconds=5)
        return self.dialog.delivery is DeliveryPhase.INTERRUPTED

    @property
    def types(self) -> list[str]:
        return self.path.application.types(self.dialog.topic)

    def sequences(self) -> list[int]:
        return [body["sequence"] for body in self.path.application.bodies(self.dialog.topic)]


@asynccontextmanager
async def served(*, silence_seconds: float = 60) -> AsyncIterator[Served]:
    async with scene(no_listener="continue", silence_seconds=silence_seconds) as path:
        await path.application.listen("demo")
        call = Served(path)
        await call.come()
        yield call


async def test_events_wait_for_an_application_that_is_away_and_come_in_order() -> None:
    async with served() as call:
        await call.leave()
        for event in ("ChannelHold", "ChannelUnhold"):
            call.path.push(event, "c")
        assert await call.is_interrupted()
        call.path.push("ChannelHold", "c")
        await call.come()
        call.path.push("ChannelUnhold", "c")
        await until(lambda: len(call.types) == 5)

    assert call.types == ["StasisStart", *["ChannelHold", "ChannelUnhold"] * 2]
    assert call.sequences() == [1, 2, 3, 4, 5]
    assert len(call.path.application.messages["demo"]) == 1


async def test_end_of_a_call_waits_for_an_application_that_is_away() -> None:
    async with served() as call:
        await call.leave()
        call.path.push("StasisEnd", "c")
        call.path.push("ChannelDestroyed", "c")
        call.path.sweeper.report_end(call.dialog, "channels_left")
        assert await call.is_interrupted()
        await call.come()
        await until(lambda: len(call.types) == 4)

    assert call.types[1:] == ["StasisEnd", "ChannelDestroyed", "ProxyDialogEnded"]


async def test_what_follows_the_end_does_not_wait_for_an_application_that_has_gone() -> None:
    async with served() as call:
        call.path.push("StasisEnd", "c")
        await call.leave()
        call.path.push("ChannelDestroyed", "c")
        assert not await call.is_interrupted()

    assert call.types == ["StasisStart", "StasisEnd"]
    assert not call.dialog.held


async def test_call_whose_application_stays_away_is_given_up() -> None:
    async with served(silence_seconds=0.1) as call:
        await call.leave()
        call.path.push("ChannelHold", "c")
        targets = call.path.asterisk.requests
        await until(lambda: "/ari/channels/c/continue" in [request.target for request in targets])

    assert call.dialog.delivery is DeliveryPhase.DESERTED


async def test_end_that_nobody_comes_for_is_dropped() -> None:
    async with served(silence_seconds=0.1) as call:
        await call.leave()
        call.path.push("StasisEnd", "c")
        await until(lambda: call.dialog.is_abandoned)

    assert all("continue" not in request.target for request in call.path.asterisk.requests)


async def test_event_that_would_come_behind_a_later_one_is_told_as_a_gap() -> None:
    async with served() as call:
        dialog, path = call.dialog, call.path
        reporting = asyncio.create_task(path.loss_reporter.run())
        for event in ("ChannelHold", "ChannelUnhold"):
            path.push(event, "c")
        await until(lambda: len(call.types) == 3)
        # As if the application had been away for the first one only.
        assert path.unheard.take_back(dialog.topic, path.application.messages[dialog.topic][1][1])
        await until(lambda: "ProxyGap" in call.types)
        reporting.cancel()

    gap = body_of(path.application.bodies(dialog.topic)[-1])
    assert (gap["reason"], gap["count"]) == ("unheard", 1)
    assert call.types == ["StasisStart", "ChannelHold", "ChannelUnhold", "ProxyGap"]
    assert samples(path.metrics, table.EVENTS_DROPPED) == {("unheard",): 1}


async def test_only_a_call_that_is_up_delays_the_end_of_ingest() -> None:
    async with served() as call:
        await call.leave()
        call.path.push("ChannelHold", "c")
        assert await call.is_interrupted()
        call.path.setup.finish()
        await call.come()
        await call.leave()
        call.path.push("StasisEnd", "c")
        assert await call.is_interrupted()
        call.path.setup.finish()
        assert await call.path.background.finish(20) == 0

    assert call.types == ["StasisStart", "ChannelHold"]


async def test_interrupted_call_is_handed_over_with_what_waits() -> None:
    async with served() as call, scene() as successor:
        await call.leave()
        call.path.push("ChannelHold", "c")
        assert await call.is_interrupted()
        call.path.setup.pause()
        records = list(messages.records_of(call.path.dialogs))
        (taken,) = messages.load(successor.dialogs, records, now=0)
        successor.setup.resume(taken, ())
        assert taken.delivery is DeliveryPhase.INTERRUPTED
        await successor.application.listen(taken.topic)
        await until(lambda: taken.delivery is DeliveryPhase.OPEN)

    assert successor.application.types(taken.topic) == ["ChannelHold"]
    assert successor.asterisk.requests == []
