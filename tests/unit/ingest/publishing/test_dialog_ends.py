"""The ends of dialogs, to applications that may not be there."""

import pytest

from ari_proxy.ingest.routing import proxy_events
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId
from tests.support.calls import body_of
from tests.support.event_path import SERVER, scene
from tests.support.running import until

OTHER_DIALOG = DialogId(f"{SERVER}.0123456789abcdef")


@pytest.fixture(params=[False, True], ids=["fleeting", "durable"])
def is_durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("is_heard", [True, False])
async def test_end_of_a_dialog_without_an_event_waits_for_nobody(*, is_heard: bool) -> None:
    async with scene() as path:
        dialog = path.dialogs.open(OTHER_DIALOG, "demo", "", announce=False, now=0)
        if is_heard:
            await path.application.listen(dialog.topic)
        path.dialogs.end(dialog, 0, "not_created")
        path.sweeper.finish()
        assert await path.background.finish(5) == 0
        await path.bus.flush(timeout_seconds=5)

    assert path.application.types(dialog.topic) == [proxy_events.DIALOG_ENDED] * is_heard


async def test_end_of_a_dialog_that_only_the_bus_knows_is_told_on_its_topic(
    *, is_durable: bool
) -> None:
    async with scene(is_durable=is_durable) as path:
        topic = topics.events(OTHER_DIALOG)
        await path.application.listen(topic)
        path.ends.publish_orphaned(OTHER_DIALOG, "demo")
        await until(lambda: path.application.messages[topic])

    (end,) = path.application.bodies(topic)
    assert (end["type"], body_of(end)["application"]) == (proxy_events.DIALOG_ENDED, "demo")
