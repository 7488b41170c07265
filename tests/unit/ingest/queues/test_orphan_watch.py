"""Dialogs of a crashed ingest: until when their queues stay, and who learns of their end."""

import asyncio

from tests.support.durable import queues_of
from tests.support.event_path import SERVER
from tests.support.kept_queues import DECLARED, DIALOG, NAMES, KeptQueues, kept
from tests.support.running import until


async def until_taken(made: KeptQueues) -> None:
    """Return when the orphaned dialog is known."""
    await until(lambda: len(made.orphans))


async def leave_behind(made: KeptQueues) -> None:
    """An ingest declares the queues of a dialog, and dies."""
    former = made.path.connection(registry=f"dialogs_{SERVER}")
    running = asyncio.create_task(former.run())
    await former.wait_connected()
    await queues_of(former).declare(NAMES, note=DECLARED.note)
    running.cancel()
    await until_taken(made)


async def test_end_of_a_dialog_that_nobody_knows_is_told_once_and_its_queues_go() -> None:
    async with kept() as made:
        await leave_behind(made)
        await until(lambda: made.gone)
        await made.observed()
        before = made.exist()
        made.now = 60
        await until(lambda: not any(made.exist()))

    assert made.gone == [(DIALOG, "demo")]
    assert before == [True] * 3
    assert len(made.orphans) == 0


async def test_dialog_left_behind_lives_as_long_as_asterisk_has_its_channel() -> None:
    async with kept() as made:
        made.channels = ("c",)
        await leave_behind(made)
        made.now = 1000
        await made.observed()
        assert made.gone == []
        made.channels = None  # Asterisk does not tell.
        await made.observed()
        assert made.gone == []
        made.channels = ()
        await until(lambda: made.gone)


async def test_end_of_an_adopted_dialog_is_not_told_again() -> None:
    async with kept() as made:
        dialog = made.path.dialogs.open(DIALOG, "demo", "c", announce=False, now=0)
        made.path.dialogs.end(dialog, 0, "channels_left")
        made.orphans.add(DECLARED)
        await until(lambda: not len(made.orphans))

    assert made.gone == []


async def test_end_of_an_adopted_dialog_that_is_forgotten_is_not_told_again() -> None:
    async with kept() as made:
        made.channels = None
        made.orphans.add(DECLARED)
        over = made.path.dialogs.open(DIALOG, "demo", "c", announce=False, now=0)
        made.path.dialogs.end(over, 0, "channels_left")
        for dialog in made.path.dialogs.ended(1000):
            made.retention.on_ended(dialog)

        assert len(made.orphans) == 0
        assert made.gone == []
