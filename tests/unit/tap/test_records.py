"""Who wants copies, until when, and how many there may be."""

import msgspec
import pytest

from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap import records
from ari_proxy.tap.records import RecordedQuery, RecordedRequest, TapRecord, TapRequest, Watchers
from ari_proxy.tap.tap import Tap
from tests.support.recording import recording

SERVER = ServerId("s")


def watch(watcher: str = "w", seconds: float = 10, dialog_id: str = "") -> TapRequest:
    return TapRequest(watcher, seconds, dialog_id)


def test_nobody_watches_until_asked_and_after_the_time_is_over() -> None:
    watchers = Watchers()
    assert not watchers.is_any(0)

    watchers.add(watch(seconds=10), now=0)
    watchers.add(watch("other", seconds=5), now=0)
    assert watchers.is_any(9.9)
    assert not watchers.is_any(10)


def test_watch_is_renewed() -> None:
    watchers = Watchers()
    watchers.add(watch(seconds=10), now=0)
    watchers.add(watch(seconds=10), now=5)
    assert watchers.is_any(14.9)


def test_only_the_dialogs_that_somebody_wants_are_copied() -> None:
    watchers = Watchers()
    watchers.add(watch("a", dialog_id="s.1"), now=0)
    watchers.add(watch("b", seconds=5, dialog_id="s.2"), now=0)
    assert (watchers.wants("s.1"), watchers.wants("s.2"), watchers.wants("s.3")) == (1, 1, 0)

    assert watchers.is_any(6)
    assert not watchers.wants("s.2")

    watchers.add(watch("c"), now=6)
    assert watchers.wants("s.3")


def test_there_is_room_for_a_number_of_watchers() -> None:
    watchers = Watchers()
    for number in range(records.MAX_WATCHERS):
        watchers.add(watch(str(number), dialog_id="s.1"), now=0)
    watchers.add(watch("one too many"), now=0)
    assert not watchers.wants("s.2")

    watchers.add(watch("0"), now=0)
    assert watchers.wants("s.2")


def test_copies_above_the_rate_are_skipped_and_counted() -> None:
    watchers = Watchers()
    admitted = [watchers.admit(0.5) for _ in range(records.MAX_RATE + 3)]
    assert admitted == [0] * records.MAX_RATE + [None] * 3
    assert [watchers.admit(1.0), watchers.admit(1.0)] == [3, 0]


@pytest.mark.parametrize("name", ['s."x', 's.","kind":"end', "s.ü\\", "s.\n"])
def test_whatever_a_client_takes_for_a_dialog_stays_one(name: str) -> None:
    encoded = records.encode("command", 1.5, "s", name, b'{"url":"/x"}')
    copy = msgspec.json.decode(encoded, type=TapRecord)
    assert (copy.kind, copy.dialog_id, bytes(copy.message)) == ("command", name, b'{"url":"/x"}')


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"\xff",
        b'{"watcher":"","seconds":1}',
        b'{"watcher":"w","seconds":0}',
        b'{"watcher":"w","seconds":61}',
        b'{"watcher":"w","seconds":1,"dialog_id":3}',
    ],
)
async def test_malformed_wish_turns_nothing_on(payload: bytes) -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        tap = Tap(SERVER, bus)
        await tap.listen()
        bus.publish(topics.tap_requests(SERVER), payload)
        await bus.flush(timeout_seconds=5)
    assert not tap.is_on


async def test_copies_are_made_while_somebody_watches_and_carry_the_message_as_it_was() -> None:
    now = 0.0
    got: list[TapRecord] = []
    async with opened(MemoryBus(MemoryBroker())) as bus:
        tap = Tap(SERVER, bus, clock=lambda: now)
        await tap.listen()
        await bus.subscribe(
            topics.tap_records(SERVER),
            lambda m: got.append(msgspec.json.decode(m.payload, type=TapRecord)),
        )
        tap.copy("event", "s.1", b'{"type":"before"}')
        bus.publish(topics.tap_requests(SERVER), msgspec.json.encode(watch(seconds=10)))
        await bus.flush(timeout_seconds=5)
        tap.copy("event", "s.1", b'{"type":"StasisStart"}')
        now = 10.0
        tap.copy("event", "s.1", b'{"type":"after"}')
        await bus.flush(timeout_seconds=5)

    assert [(c.kind, c.server_id, c.dialog_id, bytes(c.message)) for c in got] == [
        ("event", "s", "s.1", b'{"type":"StasisStart"}')
    ]
    assert not tap.is_on


@pytest.mark.parametrize("reply", ["demo", "events_s.0123456789abcdef", "commands_s", ""])
@pytest.mark.parametrize(
    "request_", [watch(), RecordedRequest(RecordedQuery())], ids=["watch", "recorded"]
)
async def test_answer_goes_to_no_topic_of_calls(
    reply: str, request_: TapRequest | RecordedRequest
) -> None:
    """Who may ask chooses the reply's topic, but not what is published with an ingest's rights."""
    heard: list[Message] = []
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await recording(bus, "here", dialogs={})
        for topic in ("demo", "events_s.*", "commands_s", "_INBOX.*"):
            await bus.subscribe(topic, heard.append)
        for to in (reply, "_INBOX.own"):
            bus.publish(topics.tap_requests(SERVER), msgspec.json.encode(request_), reply=to)
        await bus.flush(timeout_seconds=5)
    assert [message.topic for message in heard] == ["_INBOX.own"]
