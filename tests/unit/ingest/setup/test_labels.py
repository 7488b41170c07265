"""The labels of channels, by which a successor finds their dialogs."""

from ari_proxy.ingest.setup.labels import ChannelLabels
from tests.support.event_path import Scene, scene
from tests.support.running import until


def labelled(path: Scene) -> list[str]:
    """Return the channels that Asterisk has labelled."""
    return [mark.target.split("/")[3] for mark in path.asterisk.marks]


async def retry(labels: ChannelLabels) -> None:
    for work in labels.retries():
        await work


async def test_channel_that_asterisk_could_not_label_is_labelled_again() -> None:
    async with scene() as path:
        path.asterisk.broken_marks = 1
        dialog = path.router.begin("demo", "c", 0)
        await path.labels.label(dialog, "c")  # Returns: the caller does not wait.
        await retry(path.labels)

        assert labelled(path) == ["c"]
        assert path.labels.retries() == []


async def test_channel_is_labelled_again_until_it_is_done() -> None:
    async with scene() as path:
        path.asterisk.broken_marks = 3
        dialog = path.router.begin("demo", "c", 0)
        await path.labels.label(dialog, "c")
        for _ in range(3):
            await retry(path.labels)

        assert labelled(path) == ["c"]


async def test_channel_that_has_left_is_not_labelled_again() -> None:
    async with scene() as path:
        path.asterisk.broken_marks = 1
        dialog = path.router.begin("demo", "c", 0)
        await path.labels.label(dialog, "c")
        path.push("StasisEnd", "c")

        assert path.labels.retries() == []


async def test_application_does_not_wait_for_a_channel_that_could_not_be_labelled() -> None:
    async with scene() as path:
        path.asterisk.broken_marks = 1
        starts = await path.application.listen("demo")
        path.push("StasisStart", "c")
        await until(lambda: starts)
        assert labelled(path) == []
        await retry(path.labels)

    assert labelled(path) == ["c"]
