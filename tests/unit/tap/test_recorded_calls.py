"""Recorders of several processes are asked for the same calls."""

import pytest

from ari_proxy.bus.base import Bus, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.masking import Masking
from ari_proxy.tap.recorded_calls import RecordedCalls
from ari_proxy.tap.recorder import Recorder
from ari_proxy.tap.tap import Tap
from ari_proxy.tap.watcher import NobodyServesError
from tests.support.tap_records import CALL, DIALOG

SERVER = ServerId("s")
OF_COMMAND = {"command", "request", "response"}


async def recording(bus: Bus, name: str) -> Tap:
    recorder = Recorder(SERVER, name, max_calls=10, max_bytes=10**6, masking=Masking())
    tap = Tap(SERVER, bus, recorder=recorder)
    await tap.listen()
    return tap


async def test_call_is_put_together_from_all_processes() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        taps = {name: await recording(bus, name) for name in ("ingest", "command", "idle")}
        await Tap(SERVER, bus).listen()  # Without a recorder.
        for record in CALL:
            tap = taps["command" if record.kind in OF_COMMAND else "ingest"]
            tap.copy(record.kind, record.dialog_id, bytes(record.message))

        recorded = RecordedCalls(bus, SERVER, name_seconds=0.05)
        found = await recorded.records(DIALOG)
        (facts,) = await recorded.calls()

    assert [(record.kind, bytes(record.message)) for record in found] == [
        (record.kind, bytes(record.message)) for record in CALL
    ]
    assert (facts.application, facts.dialog_id) == ("demo", DIALOG)
    assert facts.ended_at


async def test_nobody_has_a_recorder() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await Tap(SERVER, bus).listen()
        assert await RecordedCalls(bus, SERVER, name_seconds=0.05).calls() == []


async def test_nobody_serves() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        with pytest.raises(NobodyServesError, match="neither an ingest nor a command of s"):
            await RecordedCalls(bus, SERVER).calls()
