"""What is done after a connect, with a scripted Asterisk: kept, ended, adopted, begun late."""

import asyncio
import json

from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.telemetry import metrics_table as table
from tests.support.event_path import SERVER
from tests.support.recovering import recovering
from tests.support.running import until
from tests.support.samples import samples

DIALOG = DialogId(f"{SERVER}.0123456789abcdef")


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
