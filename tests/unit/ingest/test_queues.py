"""Whose queues are looked after by whom."""

import asyncio

import pytest

from ari_proxy.bus.base import Declared
from ari_proxy.bus.rabbitmq import RabbitMqBus
from ari_proxy.bus.rabbitmq_options import RabbitMqOptions
from ari_proxy.ingest import queues
from ari_proxy.ingest.left_behind import note
from ari_proxy.ingest.queues import DialogQueues
from ari_proxy.ingest.router import Router
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId, ServerId

SERVER = ServerId("server")
DIALOG = DialogId("server.0123456789abcdef")
DECLARED = Declared(topics.of_dialog(DIALOG), note("demo", "c"))


@pytest.fixture
def router() -> Router:
    return Router(SERVER, grace_seconds=10)


@pytest.fixture
def dialog_queues(router: Router) -> DialogQueues:
    bus = RabbitMqBus(RabbitMqOptions(urls=("amqp://127.0.0.1",), name="test", buffer_bytes=1000))
    return DialogQueues(bus, router, deadline_seconds=None, grace_seconds=60)


async def looked_after(dialog_queues: DialogQueues, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Look for left-behind dialogs, of which Asterisk has no channel; return whose end was told."""
    monkeypatch.setattr(queues, "LOOK_SECONDS", 0)
    told: list[str] = []

    async def no_channels() -> set[str]:
        return set()

    looking = asyncio.create_task(
        dialog_queues.look_after(no_channels, lambda dialog_id, _: told.append(dialog_id))
    )
    for _ in range(10):
        await asyncio.sleep(0)
    looking.cancel()
    await asyncio.wait([looking])
    return told


async def test_end_of_a_dialog_that_nobody_knows_is_told_once(
    dialog_queues: DialogQueues, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog_queues.left_behind.add(DECLARED)

    assert await looked_after(dialog_queues, monkeypatch) == [DIALOG]


async def test_end_of_an_adopted_dialog_is_not_told_again(
    dialog_queues: DialogQueues, router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog_queues.left_behind.add(DECLARED)
    dialog = router.table.open(DIALOG, "demo", "c", announce=False, now=0)
    router.table.end(dialog, 0, "channels_left")

    assert await looked_after(dialog_queues, monkeypatch) == []


async def test_end_of_an_adopted_dialog_that_is_forgotten_is_not_told_again(
    dialog_queues: DialogQueues, router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog_queues.left_behind.add(DECLARED)
    over = router.table.open(DIALOG, "demo", "c", announce=False, now=0)
    router.table.end(over, 0, "channels_left")
    for dialog in router.ended(1000):
        dialog_queues.on_ended(dialog)

    assert await looked_after(dialog_queues, monkeypatch) == []


async def test_queues_without_a_grace_period_wait_for_the_bus_and_nobody_for_them(
    router: Router, dialog_queues: DialogQueues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus is away: the event loop goes on."""
    monkeypatch.setattr(queues, "TIDY_SECONDS", 0)
    monkeypatch.setattr(dialog_queues, "_grace", 0.0)
    dialog_queues.on_ended(router.table.open(DIALOG, "demo", "c", announce=False, now=0))
    tidying = asyncio.create_task(dialog_queues.tidy(lambda _: None))
    for _ in range(10):
        await asyncio.sleep(0)
    tidying.cancel()
    await asyncio.wait([tidying])

    assert tidying.cancelled()
