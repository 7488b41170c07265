"""The stream of a ladder, as ASGI has it, on a bus in memory."""

import asyncio
from typing import Any

from ari_proxy.admin.console.stream import EventStream
from ari_proxy.bus.base import opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.tap import Tap
from tests.support.running import until

SERVER = ServerId("s")


async def test_silent_stream_shows_that_it_lives_and_ends_with_its_dialog() -> None:
    sent: list[dict[str, Any]] = []
    open_: list[int] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def receive() -> Any:
        await asyncio.Event().wait()

    def bodies() -> list[bytes]:
        return [message["body"] for message in sent if "body" in message]

    async with opened(MemoryBus(MemoryBroker())) as bus:
        tap = Tap(SERVER, bus)
        tap.set_dialogs(dict)
        await tap.listen()
        stream = EventStream(
            bus,
            SERVER,
            "s.0123456789abcdef",
            encode=lambda copy: copy.kind.encode(),
            closing=asyncio.Event(),
            count=open_.append,
            headers={},
            heartbeat_seconds=0.01,
        )
        answering = asyncio.create_task(stream({}, receive, send))
        await until(lambda: b":\n\n" in bodies())
        tap.copy("end", "s.0123456789abcdef")
        await answering

    assert bodies()[0] == b": watching\n\n"
    assert bodies()[-2:] == [b"data: end\n\n", b""]
    assert open_ == [1, -1]
