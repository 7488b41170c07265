"""Calls whose application is slow, away, or gone, on a bus in memory."""

import asyncio
import math

import pytest

from ari_proxy.bus.base import Message
from ari_proxy.bus.errors import OutcomeUnknownError
from ari_proxy.ingest.handover import messages as records
from ari_proxy.ingest.routing import phase, proxy_events
from ari_proxy.ingest.routing.phase import DeliveryPhase, LifePhase
from ari_proxy.ingest.routing.proxy_events import Gap
from ari_proxy.ingest.setup.announcement import Announcement
from ari_proxy.ingest.setup.gate import SetupGate, SetUpPausedError
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.messages import ObjectRegistration
from tests.support.event_path import SERVER, Scene, scene
from tests.support.held_bus import Hold
from tests.support.permit import SwitchedPermit
from tests.support.running import until

OWN = DialogId(f"{SERVER}.0123456789abcdef")


@pytest.fixture(params=[False, True], ids=["fleeting", "durable"])
def is_durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_slow_taker_is_served_though_nobody_else_takes_the_app_start() -> None:
    async with scene(taker_seconds=0.01) as path:
        starts: list[Message] = []
        instance = await path.application.bus.subscribe("demo", starts.append)
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: len(starts) == 2)
        await instance.unsubscribe()  # It is at its limit, and takes its time for this one.
        await asyncio.sleep(0.1)  # The AppStart is due again, and nobody takes it.
        await path.application.listen(dialog.topic)
        await until(lambda: path.application.types(dialog.topic))

    assert path.application.types(dialog.topic) == ["StasisStart"]
    assert dialog.delivery is DeliveryPhase.OPEN


async def test_app_start_goes_to_another_instance_when_its_taker_does_not_come() -> None:
    """On NATS nobody knows whether the taker lives."""
    async with scene(taker_seconds=0.02) as path:
        starts = await path.application.listen("demo")
        path.push("StasisStart", "c")
        await until(lambda: len(starts) == 2)
        topic = path.dialog("c").topic
        await path.application.listen(topic)
        await until(lambda: path.application.types(topic))

    assert len({body["dialog_id"] for body in path.application.bodies("demo")}) == 1
    assert path.application.types(topic) == ["StasisStart"]


async def test_app_start_goes_to_another_instance_when_its_taker_declines() -> None:
    async with scene() as path:
        declined: list[Message] = []

        def decline(message: Message) -> None:
            declined.append(message)
            path.application.bus.publish(message.reply, b'{"decline":true}')

        full = await path.application.bus.subscribe("demo", decline, group="ariq")
        path.push("StasisStart", "c")
        await until(lambda: len(declined) >= 2)
        await full.unsubscribe()
        starts = await path.application.listen("demo")
        await until(lambda: starts)
        topic = path.dialog("c").topic
        await path.application.listen(topic)
        await until(lambda: path.application.types(topic))

    assert path.application.types(topic) == ["StasisStart"]


async def test_call_that_is_over_is_announced_while_an_application_may_come(
    *, is_durable: bool
) -> None:
    async with scene(is_durable=is_durable) as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        path.push("ChannelDestroyed", "c")
        path.sweeper.finish()
        await path.application.listen("demo")
        await path.application.listen(dialog.topic)
        await until(lambda: len(path.application.types(dialog.topic)) == 3)

    types = ["StasisStart", "ChannelDestroyed", proxy_events.DIALOG_ENDED]
    assert path.application.types(dialog.topic) == types
    assert dialog.life is LifePhase.FORGOTTEN


async def test_call_that_is_over_and_forgotten_is_announced_to_nobody_later(
    *, is_durable: bool
) -> None:
    async with scene(is_durable=is_durable, listener_seconds=0.05) as path:
        names = [str(number) for number in range(20)]
        for name in names:
            path.push("StasisStart", name)
        dialogs = [path.dialog(name) for name in names]
        for name in names:
            path.push("ChannelDestroyed", name)
        path.sweeper.finish()
        await until(lambda: all(dialog.is_abandoned for dialog in dialogs))
        starts = await path.application.listen("demo")
        path.push("StasisStart", "living")
        living = path.dialog("living")
        await until(lambda: starts)

    assert [body["dialog_id"] for body in path.application.bodies("demo")] == [living.dialog_id]
    assert {dialog.life for dialog in dialogs} == {LifePhase.FORGOTTEN}


async def test_dialog_that_was_given_up_and_lives_again_is_served(*, is_durable: bool) -> None:
    async with scene(is_durable=is_durable) as path:
        path.dialogs.register(ObjectRegistration(OWN, "channel", "first"), 0)
        path.push("StasisStart", "first")
        dialog = path.dialogs.dialogs[OWN]
        path.setup.give_up(dialog)
        path.push("ChannelDestroyed", "first")
        assert (dialog.delivery, dialog.life) == (DeliveryPhase.UNWANTED, LifePhase.ENDED)
        await path.application.listen(dialog.topic)

        path.dialogs.register(ObjectRegistration(OWN, "channel", "second"), 1)
        path.push("StasisStart", "second")
        await until(lambda: path.application.types(dialog.topic))

    assert path.application.types(dialog.topic) == ["StasisStart"]
    assert (dialog.delivery, dialog.life) == (DeliveryPhase.OPEN, LifePhase.LIVE)


async def test_reply_of_any_kind_ends_no_other_call() -> None:
    deep = b'{"taken":true,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    async with scene() as path:
        replied: list[str] = []

        def take(message: Message) -> None:
            path.application.bus.publish(message.reply, deep)
            replied.append(message.reply)

        await path.application.bus.subscribe("demo", take)
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: replied)
        await path.application.bus.flush(timeout_seconds=5)
        await path.application.listen(dialog.topic)
        await until(lambda: path.application.types(dialog.topic))

    assert dialog.delivery is DeliveryPhase.OPEN


async def test_phases_of_a_call_that_is_served() -> None:
    async with scene() as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        seen = [dialog.delivery]
        starts = await path.application.listen("demo")
        await until(lambda: dialog.delivery is not DeliveryPhase.OFFERED)
        seen.append(dialog.delivery)
        await path.application.listen(dialog.topic)
        await until(lambda: dialog.delivery not in phase.TO_SET_UP)
        seen.append(dialog.delivery)

    assert seen == [DeliveryPhase.OFFERED, DeliveryPhase.ACCEPTED, DeliveryPhase.OPEN]
    assert len(starts) == 1


def ended(path: Scene) -> None:
    """Tell all ends that are due in a while, and forget the dialogs."""
    path.sweeper.finish()


async def test_second_end_of_a_dialog_that_lived_again_in_vain_is_told(*, is_durable: bool) -> None:
    async with scene(is_durable=is_durable, no_listener="continue") as path:
        await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await path.application.listen(dialog.topic)
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        path.setup.give_up(dialog)
        path.push("StasisEnd", "c")
        for due in path.dialogs.ended(math.inf):
            path.ends.publish(due, due.end_reason)
        await until(
            lambda: path.application.types(dialog.topic).count(proxy_events.DIALOG_ENDED) == 1
        )
        path.dialogs.register(ObjectRegistration(dialog.dialog_id, "channel", "mine"), 0)
        path.dialogs.register(
            ObjectRegistration(dialog.dialog_id, "channel", "mine", release=True), 0
        )
        assert dialog.delivery is DeliveryPhase.ACCEPTED
        ended(path)
        await until(
            lambda: path.application.types(dialog.topic).count(proxy_events.DIALOG_ENDED) == 2
        )


async def test_end_of_a_dialog_whose_set_up_was_paused_has_it_set_up() -> None:
    async with scene() as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: path.asterisk.marks)
        path.permit.is_given = False
        assert await path.background.finish(5) == 0
        path.permit.is_given = True
        path.dialogs.end(dialog, 0, "channels_left")
        await path.application.listen("demo")
        await path.application.listen(dialog.topic)
        ended(path)
        await until(lambda: len(path.application.types(dialog.topic)) == 2)

    assert path.application.types(dialog.topic) == ["StasisStart", proxy_events.DIALOG_ENDED]


def begun(path: Scene, gate: SetupGate) -> Announcement:
    """Return the announcement of a dialog that has its first event."""
    dialog = path.dialogs.open(OWN, "demo", "c", announce=True, now=0)
    path.stream.publish(dialog, "StasisStart", "{}", "")
    return Announcement(SERVER, path.bus, dialog, gate, patience_seconds=9)


async def test_adopted_dialog_is_not_probed_once_its_set_up_is_paused() -> None:
    async with scene() as path:
        gate = SetupGate(SwitchedPermit())
        announcement = begun(path, gate)
        gate.pause()

        with pytest.raises(SetUpPausedError):
            await announcement.wait_heard()


async def test_new_dialog_has_no_queues_declared_once_its_set_up_is_paused() -> None:
    async with scene(is_durable=True) as path:
        gate = SetupGate(SwitchedPermit())
        announcement = begun(path, gate)
        gate.pause()
        assert path.bus.queues is not None

        with pytest.raises(SetUpPausedError):
            await announcement.declare(path.bus.queues, is_new=True)


async def test_application_of_an_adopted_call_gets_its_end_after_a_long_outage() -> None:
    async with scene(is_durable=True, listener_seconds=0.1) as path:
        await path.application.listen(f"events_{OWN}")
        path.broker.stop()
        await until(lambda: not path.bus.is_connected)
        dialog = path.dialogs.open(OWN, "demo", "", announce=True, now=0)
        path.dialogs.adopt(dialog, {"c": True})
        dialog.adopt(1000)
        path.stream.notify(dialog, proxy_events.GAP, "{}")
        path.setup.begin(dialog)
        path.push("StasisEnd", "c")
        ended(path)
        assert dialog.life is LifePhase.FORGOTTEN
        await asyncio.sleep(0.2)  # Longer than an application may take for a call that is over.
        path.broker.start()
        await until(lambda: len(path.application.types(dialog.topic)) == 3)

    assert path.application.types(dialog.topic) == [
        proxy_events.GAP,
        "StasisEnd",
        proxy_events.DIALOG_ENDED,
    ]


async def test_app_start_that_comes_again_after_a_hand_over_tells_when() -> None:
    async with scene() as old:
        await old.application.listen("demo")
        old.push("StasisStart", "c")
        dialog = old.dialog("c")
        await until(lambda: dialog.delivery is DeliveryPhase.ACCEPTED)
        told = list(records.records_of(old.dialogs))
    async with scene(taker_seconds=0.01) as new:
        starts = await new.application.listen("demo")
        for taken, held in records.load(new.dialogs, told, 0).items():
            new.setup.resume(taken, held)
        await until(lambda: starts)

    (start, *_) = new.application.bodies("demo")
    assert not start["timestamp"].startswith("1970")


@pytest.mark.parametrize("is_cut_short", [False, True])
async def test_app_start_that_may_be_taken_is_not_offered_by_a_successor(
    *, is_cut_short: bool
) -> None:
    """The connection was lost before its confirmation came, or there was no time for it."""
    async with scene(is_durable=True, taker_seconds=60) as old:
        unknown = OutcomeUnknownError("lost")
        hold = Hold("publish_to_listener", "demo", error=unknown)
        hold.on(old.bus)
        await old.application.listen("demo")
        old.push("StasisStart", "c")
        await hold.reached.wait()
        if not is_cut_short:
            hold.released.set()
            await until(lambda: old.dialog("c").may_be_taken)
            old.setup.pause()
        await old.background.finish(0 if is_cut_short else 5)
        await asyncio.sleep(0)
        told = list(records.records_of(old.dialogs))
    async with scene(is_durable=True, taker_seconds=60) as new:
        starts = await new.application.listen("demo")
        for taken, held in records.load(new.dialogs, told, 0).items():
            new.setup.resume(taken, held)
        topic = new.dialog("c").topic
        await new.application.listen(topic)
        await until(lambda: new.application.types(topic))

    assert new.application.types(topic) == ["StasisStart"]
    assert starts == []


async def test_app_start_that_may_be_taken_is_not_offered_again_once_the_call_is_over() -> None:
    async with scene(is_durable=True, taker_seconds=0.001) as path:
        hold = Hold("publish_to_listener", "demo", error=OutcomeUnknownError("lost"))
        hold.on(path.bus)
        starts = await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await hold.reached.wait()
        path.push("ChannelDestroyed", "c")
        hold.released.set()
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)

    assert len(starts) == 1


async def test_dialog_that_lives_again_while_the_policy_is_applied_is_served() -> None:
    # The second set-up has the same time, also on a busy machine.
    async with scene(no_listener="continue", listener_seconds=0.5) as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: path.asterisk.marks)
        held = path.asterisk.hold = asyncio.Event()
        await until(lambda: dialog.delivery is DeliveryPhase.UNWANTED)
        path.push("StasisEnd", "c")
        path.dialogs.register(ObjectRegistration(dialog.dialog_id, "channel", "mine"), 0)
        await path.application.listen("demo")
        await path.application.listen(dialog.topic)
        path.push("StasisStart", "mine")
        path.asterisk.hold = None
        held.set()
        await until(lambda: path.application.types(dialog.topic))

    assert path.application.types(dialog.topic) == ["StasisStart"]


async def test_dialog_is_given_up_once() -> None:
    async with scene(no_listener="hangup") as path:
        await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await path.application.listen(dialog.topic)
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        path.setup.give_up(dialog)
        path.setup.give_up(dialog)
        await path.background.finish(5)

    assert [request.method for request in path.asterisk.requests] == ["DELETE"]


async def test_app_start_tells_asterisks_version_once_that_is_known() -> None:
    async with scene() as path:
        starts = await path.application.listen("demo")
        path.push("StasisStart", "c")
        await until(lambda: len(starts) == 1)
        await path.recovery.run(path.recovery.known(), Gap("websocket_lost"))
        path.push("StasisStart", "d")
        await until(lambda: len(starts) == 2)

    told = [start.get("asterisk_version") for start in path.application.bodies("demo")]
    assert told == [None, "22.0.0"]
