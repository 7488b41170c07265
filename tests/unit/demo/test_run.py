"""The demo's record of its calls, and what it refuses before it starts anything."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ari_proxy.demo.run import DemoFailedError, Record, run_demo
from ari_proxy.tap.records import TapRecord
from tests.support.tap_records import CALL, DIALOG, copy_of

OTHER = "s.fedcba9876543210"


async def stream(*records: TapRecord) -> AsyncIterator[TapRecord]:
    for record in records:
        yield record


async def test_record_waits_for_the_end_of_each_call() -> None:
    record = Record()
    waiting = asyncio.create_task(record.until_ended(2))
    await record.keep(stream(*CALL, copy_of("event", type="StasisEnd")))
    await asyncio.sleep(0)
    assert not waiting.done()
    await record.keep(stream(copy_of("event", dialog=OTHER, type="StasisEnd")))
    await waiting

    first, second = record.ladders()
    assert first.startswith(f"dialog {DIALOG}\n")
    assert "AppStart demo 1.2" in first
    assert second.startswith(f"dialog {OTHER}\n")


@pytest.mark.parametrize(
    ("asterisk", "bus", "option"),
    [
        ("asterisk:8088", "nats://127.0.0.1:4222", "--asterisk"),
        ("http://127.0.0.1:8088", "nats://127.0.0.1:port", "--bus"),
    ],
)
async def test_unusable_option_is_named(asterisk: str, bus: str, option: str) -> None:
    stop = asyncio.Event()
    with pytest.raises(ExceptionGroup) as raised:
        await run_demo(stop, asterisk=asterisk, endpoint="Local/a@b", calls=1, bus=bus)

    assert raised.group_contains(DemoFailedError, match=f"^{option} ")
    assert stop.is_set()
