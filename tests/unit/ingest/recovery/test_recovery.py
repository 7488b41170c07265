"""What is done after a connect, with a scripted Asterisk: kept, ended, adopted, begun late."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.ingest.recovery.unserved import Unserved
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.proxy_events import Gap
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.telemetry import metrics_table as table
from tests.support.event_path import SERVER, Scene, scene
from tests.support.running import until
from tests.support.samples import samples

GAP = Gap("websocket_lost", 1.0)
DIALOG = DialogId(f"{SERVER}.0123456789abcdef")


class Recovering:
    """The event path, with what recovers its dialogs."""

    def __init__(self, path: Scene) -> None:
        self.path = path
        self.recovery = path.recovery

    async def open(self, channel: str) -> Dialog:
        """A call whose application has had its first event."""
        self.path.push("StasisStart", channel)
        dialog = self.path.dialog(channel)
        await self.path.application.listen(dialog.topic)
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        return dialog

    def told(self, topic: str) -> dict[str, Any]:
        """The last event on a topic."""
        body: dict[str, Any] = json.loads(self.path.application.bodies(topic)[-1]["ari_body"])
        return body

    async def run(self) -> Unserved:
        """Reconcile; return the channels that are unserved."""
        return await self.recovery.run(self.recovery.known(), GAP)


@asynccontextmanager
async def recovering(**options: Any) -> AsyncIterator[Recovering]:
    async with scene(unserved_seconds=0, **options) as path:
        await path.application.listen("demo")
        yield Recovering(path)


async def test_open_dialog_is_told_of_the_gap_and_goes_on() -> None:
    async with recovering() as it:
        dialog = await it.open("c")
        it.path.asterisk.add_channel("c")
        assert await it.run() == {}
        it.path.push("ChannelHold", "c")
        await until(lambda: len(it.path.application.types(dialog.topic)) == 3)

    types = it.path.application.types(dialog.topic)
    assert types == ["StasisStart", proxy_events.GAP, "ChannelHold"]
    assert samples(it.path.metrics, table.RECONCILED_DIALOGS)[("kept",)] == 1
    assert samples(it.path.metrics, table.RECONCILIATIONS) == {("same_asterisk",): 1}


async def test_dialog_whose_channels_are_gone_is_told_its_end() -> None:
    async with recovering() as it:
        dialog = await it.open("c")
        await it.run()
        await until(lambda: len(it.path.application.types(dialog.topic)) == 2)

    end = it.told(dialog.topic)
    assert (end["type"], end["reason"]) == (proxy_events.DIALOG_ENDED, "channels_gone")
    assert end["channels"] == ["c"]
    assert dialog.is_ended


async def test_asterisk_that_has_restarted_has_nothing_of_the_old_dialogs() -> None:
    async with recovering() as it:
        it.path.asterisk.add_channel("c")
        dialog = await it.open("c")
        await it.run()
        it.path.asterisk.started_at = "2026-02-02T00:00:00.000+0000"
        await it.run()
        await until(lambda: len(it.path.application.types(dialog.topic)) == 3)

    assert it.told(dialog.topic)["reason"] == "asterisk_restarted"
    assert dialog.end_reason == "asterisk_restarted"
    assert samples(it.path.metrics, table.RECONCILIATIONS)[("restarted_asterisk",)] == 1


async def test_dialog_that_a_channel_tells_by_its_variable_is_adopted() -> None:
    async with recovering(resume_seconds=0.01) as it:
        it.path.asterisk.add_channel("c", channelvars={DIALOG_VARIABLE: DIALOG})
        await it.path.application.listen(topics.events(DIALOG))
        await it.run()
        await until(lambda: it.path.application.types(topics.events(DIALOG)))
        it.path.push("ChannelHold", "c")
        await until(lambda: len(it.path.application.types(topics.events(DIALOG))) == 2)

    first, second = it.path.application.bodies(topics.events(DIALOG))
    assert (first["type"], second["type"]) == (proxy_events.GAP, "ChannelHold")
    assert second["sequence"] == first["sequence"] + 1
    assert it.path.application.bodies("demo") == []
    assert it.path.dialog("c").dialog_id == DIALOG


async def test_dialog_of_a_channel_is_asked_for_where_the_list_does_not_tell_it() -> None:
    """Before Asterisk 22.10 a variable rides in no list."""
    async with recovering() as it:
        it.path.asterisk.add_channel("c")
        it.path.asterisk.answer("GET", "/channels/c/variable", 200, json.dumps({"value": DIALOG}))
        await it.path.application.listen(topics.events(DIALOG))
        assert await it.run() == {}
        await until(lambda: it.path.application.types(topics.events(DIALOG)))

    (asked,) = it.path.asterisk.requests
    assert asked.target == f"/ari/channels/c/variable?variable={DIALOG_VARIABLE}"


async def test_channel_of_a_known_dialog_that_nobody_has_seen_come_is_taken_in() -> None:
    async with recovering() as it:
        dialog = await it.open("c")
        second = ids.new_object_id(dialog.token)
        for name in ("c", second):
            it.path.asterisk.add_channel(name)
        await it.run()

    assert set(dialog.channels) == {"c", second}
    assert len(it.path.dialogs) == 1


async def test_lists_that_do_not_come_are_asked_for_again() -> None:
    async with recovering() as it:
        dialog = await it.open("c")
        it.path.asterisk.add_channel("c")
        it.path.asterisk.unlisted = 1
        await it.run()

    assert not dialog.is_ended


async def test_recovery_that_waits_for_asterisk_can_be_cancelled() -> None:
    async with recovering() as it:
        it.path.asterisk.unlisted = 10**6
        running = asyncio.create_task(it.run())
        await until(lambda: it.path.asterisk.unlisted < 10**6)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=10)

    assert done
    assert running.cancelled()


async def test_call_whose_start_nobody_has_seen_begins_late() -> None:
    async with recovering() as it:
        it.path.asterisk.add_channel("c", "demo,a,b")
        unserved = await it.run()
        assert unserved == {"c": None}
        await it.path.unserved.serve(unserved, GAP)
        dialog = it.path.dialog("c")
        await it.path.application.listen(dialog.topic)
        await until(lambda: len(it.path.application.types(dialog.topic)) == 2)

    start = json.loads(it.path.application.bodies(dialog.topic)[0]["ari_body"])
    assert it.path.application.types(dialog.topic) == ["StasisStart", proxy_events.GAP]
    assert (start["args"], start["reconstructed"]) == (["a", "b"], True)
    assert [body["channel_id"] for body in it.path.application.bodies("demo")] == ["c"]
    assert samples(it.path.metrics, table.RECONCILED_DIALOGS)[("begun_late",)] == 1


async def test_call_whose_start_comes_after_the_list_begins_once() -> None:
    async with recovering() as it:
        for name in ("c", "unseen"):
            it.path.asterisk.add_channel(name)
        unserved = await it.run()
        dialog = await it.open("c")
        await it.path.unserved.serve(unserved, GAP)

    assert it.path.dialog("c") is dialog
    assert it.path.dialog("unseen") is not dialog
    assert it.path.application.types(dialog.topic) == ["StasisStart"]


async def test_call_that_is_over_before_it_is_looked_for_again_is_not_served_twice() -> None:
    async with recovering() as it:
        it.path.asterisk.add_channel("c")  # Asterisk goes on listing it for a while.
        unserved = await it.run()
        dialog = await it.open("c")
        it.path.push("StasisEnd", "c")
        await it.path.unserved.serve(unserved, GAP)

    assert tuple(it.path.dialogs) == (dialog,)


async def test_unserved_call_that_has_left_meanwhile_begins_no_dialog() -> None:
    async with recovering() as it:
        for name in ("gone", "elsewhere"):
            it.path.asterisk.add_channel(name)
        unserved = await it.run()
        it.path.asterisk.channels.clear()
        it.path.asterisk.add_channel("elsewhere", "other")
        await it.path.unserved.serve(unserved, GAP)

    assert len(unserved) == 2
    assert len(it.path.dialogs) == 0


async def test_all_open_dialogs_are_told_to_whoever_listens() -> None:
    async with recovering() as it:
        await it.path.application.listen(topics.events(SERVER))
        dialog, over = await it.open("c"), await it.open("over")
        it.path.push("StasisEnd", "over")
        await it.recovery.publish_recovered(it.path.bus, "ingest_restarted")
        await until(lambda: it.path.application.types(topics.events(SERVER)))

    told = it.told(topics.events(SERVER))
    assert (told["type"], told["reason"]) == (proxy_events.RECOVERED, "ingest_restarted")
    assert told["dialogs"] == [dialog.dialog_id]
    assert over.is_ended


async def test_version_with_known_advisories_is_counted() -> None:
    async with recovering() as it:
        await it.run()

    assert samples(it.path.metrics, table.ADVISORIES)[()] > 0  # Of 22.0.0.
