"""Ends of dialogs: reported once, in order, and then forgotten."""

import asyncio

from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.phase import DeliveryPhase, LifePhase
from ari_proxy.protocol import ids
from ari_proxy.telemetry import metrics_table as table
from tests.support.calls import body_of
from tests.support.event_path import SERVER, begun, scene
from tests.support.running import until
from tests.support.samples import samples


async def test_end_of_a_dialog_is_told_once_as_its_last_event() -> None:
    async with scene() as path:
        topic = await begun(path)
        dialog = path.dialog("c")
        path.push("StasisEnd", "c")
        path.sweeper.finish()
        path.sweeper.finish()
        await until(lambda: proxy_events.DIALOG_ENDED in path.application.types(topic))
        await path.bus.flush(timeout_seconds=5)

    assert path.application.types(topic) == ["StasisStart", "StasisEnd", proxy_events.DIALOG_ENDED]
    assert dialog.life is LifePhase.FORGOTTEN
    end = path.application.bodies(topic)[-1]
    assert (end["sequence"], body_of(end)["reason"]) == (3, "channels_left")
    assert samples(path.metrics, table.DIALOGS_ENDED) == {("demo",): 1}


async def test_end_is_left_to_the_next_ingest_once_the_sweeper_is_paused() -> None:
    async with scene() as path:
        topic = await begun(path)
        path.push("StasisEnd", "c")
        path.sweeper.pause()
        async with asyncio.timeout(10):
            await path.sweeper.run()  # Is over at once.

    assert path.application.types(topic) == ["StasisStart", "StasisEnd"]


async def test_end_of_a_dialog_of_which_nobody_has_heard_is_told_to_nobody() -> None:
    async with scene(no_listener="continue", listener_seconds=0.05) as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await path.application.listen(dialog.topic)
        await until(lambda: dialog.is_abandoned)
        path.push("StasisEnd", "c")
        path.sweeper.finish()
        await path.background.finish(5)
        await path.bus.flush(timeout_seconds=5)

    assert path.application.types(dialog.topic) == []
    assert samples(path.metrics, table.EVENTS_DROPPED)[("no_listener",)] >= 1


async def test_end_of_a_dialog_that_was_given_up_is_told_to_whoever_listens_now() -> None:
    async with scene(no_listener="continue") as path:
        topic = await begun(path)
        path.setup.give_up(path.dialog("c"))
        path.push("StasisEnd", "c")
        path.sweeper.finish()
        await until(lambda: proxy_events.DIALOG_ENDED in path.application.types(topic))

    assert path.application.types(topic) == ["StasisStart", proxy_events.DIALOG_ENDED]
    assert body_of(path.application.bodies(topic)[-1])["reason"] == "no_listener"
    assert ("demo", "no_listener") in samples(path.metrics, table.APP_STARTS)


async def test_dialogs_that_nobody_goes_on_with_end_with_their_channels() -> None:
    async with scene(no_listener="hangup") as path:
        topic = await begun(path)
        dialog = path.dialog("c")
        path.sweeper.end_all("server_removed")
        path.sweeper.end_all("server_removed")
        path.sweeper.finish()
        await path.background.finish(5)
        await path.bus.flush(timeout_seconds=5)
        requests = [(item.method, item.target) for item in path.asterisk.requests]

    assert path.application.types(topic) == ["StasisStart", proxy_events.DIALOG_ENDED]
    end = body_of(path.application.bodies(topic)[-1])
    assert (end["reason"], end["channels"]) == ("server_removed", ["c"])
    assert dialog.life is LifePhase.FORGOTTEN
    assert ("DELETE", "/ari/channels/c") in requests


async def test_dialog_that_has_ended_is_not_ended_again() -> None:
    async with scene() as path:
        topic = await begun(path)
        path.push("StasisEnd", "c")
        path.sweeper.end_all("server_removed")
        path.sweeper.finish()
        await path.bus.flush(timeout_seconds=5)

    assert body_of(path.application.bodies(topic)[-1])["reason"] == "channels_left"


async def test_end_is_left_to_whoever_may_publish() -> None:
    async with scene() as path:
        topic = await begun(path)
        path.permit.is_given = False
        path.sweeper.end_all("server_removed")
        await path.bus.flush(timeout_seconds=5)

    assert path.application.types(topic) == ["StasisStart"]


async def test_dialog_without_any_event_ends_in_silence() -> None:
    async with scene() as path:
        dialog = path.dialogs.open_empty(
            ids.dialog_id(SERVER, "s.0123456789abcdef"), "demo", announce=False, now=0
        )
        path.sweeper.end_all("server_removed")
        await path.bus.flush(timeout_seconds=5)

    assert dialog.is_ended
    assert not dialog.is_abandoned


async def test_application_that_has_accepted_a_call_is_told_before_its_first_event() -> None:
    async with scene() as path:
        await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: dialog.delivery is DeliveryPhase.ACCEPTED)
        path.setup.pause()
        path.sweeper.end_all("server_removed")
        await path.application.listen(dialog.topic)
        await until(lambda: path.application.types(dialog.topic))

    assert path.application.types(dialog.topic) == [proxy_events.DIALOG_ENDED]
