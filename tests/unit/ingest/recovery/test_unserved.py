"""Channels without a dialog: theirs begin late, and once."""

import json

from ari_proxy.ingest.routing import proxy_events
from ari_proxy.telemetry import metrics_table as table
from tests.support.recovering import GAP, recovering
from tests.support.running import until
from tests.support.samples import samples


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
