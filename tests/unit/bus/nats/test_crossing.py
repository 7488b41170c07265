"""Messages from one connection to another show that their servers are in step."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from structlog.testing import capture_logs

from ari_proxy.bus.nats import crossing
from ari_proxy.bus.nats.crossing import Crossing


class Former(Client):
    """Publishes to what has subscribed, once its server knows of it."""

    def __init__(self) -> None:
        super().__init__()
        self.ways: list[Callable[[Msg], Awaitable[None]]] = []
        self.published: list[bytes] = []
        self.too_early = 0

    async def publish(self, subject: str, payload: bytes = b"", *_: Any, **__: Any) -> None:
        self.published.append(payload)
        if self.too_early:
            self.too_early -= 1
            return
        for way in self.ways:
            await way(Msg(self, subject, data=payload))


class Successor(Client):
    """Subscribes."""

    def __init__(self, former: Former) -> None:
        super().__init__()
        self._former = former

    async def subscribe(self, *_: Any, **options: Any) -> Any:
        self._former.ways.append(options["cb"])


async def opened() -> tuple[Former, Crossing]:
    former = Former()
    way = Crossing(former, [Successor(former)], "crossing")
    await way.open()
    return former, way


async def test_message_that_came_too_early_is_sent_again_until_one_has_crossed() -> None:
    former, way = await opened()
    former.too_early = 2

    await way.cross()
    await way.cross()

    assert former.published == [b"1", b"2", b"3", b"4"]


async def test_earlier_message_that_crosses_late_shows_nothing() -> None:
    former, way = await opened()
    await way.cross()
    former.too_early = 1000
    crossing_again = asyncio.create_task(way.cross())
    while len(former.published) < 2:
        await asyncio.sleep(0)
    await former.ways[0](Msg(Client(), "crossing", data=b"1"))
    former.too_early = 0
    await crossing_again

    assert former.published[:3] == [b"1", b"2", b"3"]


async def test_servers_that_have_lost_each_other_are_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crossing, "CROSSING_SECONDS", 0.01)
    former, way = await opened()
    former.too_early = 1000
    with capture_logs() as logs:
        await way.cross()
        sent = len(former.published)
        await way.cross()

    assert [line["event"] for line in logs] == ["bus.servers_apart"]
    assert len(former.published) == sent
