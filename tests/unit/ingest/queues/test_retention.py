"""When the queues of dialogs are deleted."""

import asyncio

from tests.support.durable import queues_of
from tests.support.kept_queues import kept
from tests.support.running import until


async def test_queues_go_when_the_grace_period_is_over() -> None:
    async with kept() as made:
        made.end(await made.open())
        made.now = 59.9
        await asyncio.sleep(0.02)
        before = made.exist()
        made.now = 60
        await until(lambda: not any(made.exist()))

    assert before == [True] * 3


async def test_queues_of_a_dialog_that_a_client_has_begun_again_stay() -> None:
    async with kept() as made:
        dialog = await made.open()
        made.end(dialog)
        made.path.dialogs.revive(dialog, 1)
        made.now = 60
        await asyncio.sleep(0.02)

    assert made.exist() == [True] * 3


async def test_queues_stay_for_the_grace_period_after_an_outage() -> None:
    """The last events may have come there just now, and their application not yet."""
    async with kept() as made:
        made.end(await made.open())
        made.path.broker.stop()
        await until(lambda: not made.path.bus.is_connected)
        made.path.broker.start()
        await made.path.bus.wait_connected()
        made.now = 60
        await asyncio.sleep(0.02)
        before = made.exist()
        made.now = 120
        await until(lambda: not any(made.exist()))

    assert before == [True] * 3


async def test_queues_without_a_grace_period_wait_for_the_bus_and_nobody_for_them() -> None:
    """The bus is away: the event loop goes on."""
    async with kept(grace_seconds=0) as made:
        dialog = await made.open()
        made.path.broker.stop()
        await until(lambda: not made.path.bus.is_connected)
        made.end(dialog)
        await asyncio.sleep(0.02)
        assert made.exist() == [True] * 3
        made.path.broker.start()
        await until(lambda: not any(made.exist()))


async def test_queues_of_applications_are_created() -> None:
    async with kept() as made:
        await made.retention.declare(["demo", "other"])
        made.path.bus.publish("other", b"1")
        await made.path.bus.flush(timeout_seconds=5)

        assert await queues_of(made.path.bus).backlog("other") == 1
