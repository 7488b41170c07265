"""What a watcher is told at the beginning."""

import pytest

from ari_proxy.bus.base import opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.watcher import Watcher
from tests.support.malformed import DEEPLY_NESTED
from tests.support.recording import recording

SERVER = ServerId("s")


@pytest.mark.parametrize(
    ("dialog_id", "told"),
    [("", {"s.1": "demo", "s.2": "ivr"}), ("s.2", {"s.2": "ivr"}), ("s.3", {})],
)
async def test_open_dialogs_are_told_or_the_watched_one(
    dialog_id: str, told: dict[str, str]
) -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await recording(bus, "ingest", dialogs={"s.1": "demo", "s.2": "ivr"})
        watcher = Watcher(bus, SERVER, dialog_id)
        async with watcher.watching():
            assert watcher.dialogs == told


@pytest.mark.parametrize("payload", [b"", b"\xff", b'{"source":"x"}', DEEPLY_NESTED])
async def test_answer_of_another_shape_tells_no_dialogs(payload: bytes) -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await bus.subscribe(
            topics.tap_requests(SERVER), lambda message: bus.publish(message.reply, payload)
        )
        watcher = Watcher(bus, SERVER)
        async with watcher.watching():
            assert watcher.dialogs is None
