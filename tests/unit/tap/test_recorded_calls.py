"""Recorders of several processes are asked for the same calls."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from structlog.testing import capture_logs

from ari_proxy.bus.base import Bus, Message, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.recorded_calls import (
    MAX_ASKED,
    MAX_PAGES,
    MAX_RECORDERS,
    RecordedCalls,
    calls_of_servers,
)
from ari_proxy.tap.records import OpenDialogs, RecordedAnswer, RecordedQuery, TapRequest, request_of
from ari_proxy.tap.tap import Tap
from ari_proxy.tap.watcher import NobodyServesError
from tests.support.recording import keep_all, recording
from tests.support.tap_records import CALL, DIALOG

SERVER = ServerId("s")
OF_COMMAND = {"command", "request", "response"}


async def answering(bus: Bus, answer: Callable[[RecordedQuery], RecordedAnswer | None]) -> None:
    """Answer queries in place of a recorder."""

    def handle(message: Message) -> None:
        query = request_of(message.payload)
        assert isinstance(query, RecordedQuery)
        if (answered := answer(query)) is not None:
            bus.publish(message.reply, msgspec.json.encode(answered))

    await bus.subscribe(topics.tap_requests(SERVER), handle)


async def test_call_is_put_together_from_all_processes() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        taps = {name: await recording(bus, name) for name in ("ingest", "command", "idle")}
        await Tap(SERVER, bus).listen()  # Without a recorder.
        for record in CALL:
            keep_all(taps["command" if record.kind in OF_COMMAND else "ingest"], record)

        found = await RecordedCalls(bus, SERVER).records(DIALOG)
        (facts,) = await RecordedCalls(bus, SERVER).calls()

    assert [(record.kind, bytes(record.message)) for record in found] == [
        (record.kind, bytes(record.message)) for record in CALL
    ]
    assert (facts.application, facts.dialog_id) == ("demo", DIALOG)
    assert facts.ended_at


async def test_nobody_has_a_recorder() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await Tap(SERVER, bus).listen()
        assert await RecordedCalls(bus, SERVER).calls() == []


async def test_nobody_serves() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        with pytest.raises(NobodyServesError, match="neither an ingest nor a command of s"):
            await RecordedCalls(bus, SERVER).calls()


async def test_version_without_a_recorder_does_not_answer() -> None:
    """It would take a request for a watch, and tell its open dialogs."""
    async with opened(MemoryBus(MemoryBroker())) as bus:

        def of_before(message: Message) -> None:
            try:
                msgspec.json.decode(message.payload, type=TapRequest)
            except msgspec.ValidationError:
                return
            bus.publish(message.reply, msgspec.json.encode(OpenDialogs({DIALOG: "demo"})))

        await bus.subscribe(topics.tap_requests(SERVER), of_before)
        keep_all(await recording(bus, "command"), *CALL)
        assert [facts.dialog_id for facts in await RecordedCalls(bus, SERVER).calls()] == [DIALOG]


@pytest.mark.parametrize("payload", [b"", b"\xff", b'{"dialogs":{"s.1":"demo"}}'])
async def test_answer_of_another_shape_is_left_out(payload: bytes) -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await bus.subscribe(
            topics.tap_requests(SERVER), lambda message: bus.publish(message.reply, payload)
        )
        with capture_logs() as logged:
            assert await RecordedCalls(bus, SERVER).calls() == []
            assert await RecordedCalls(bus, SERVER).records(DIALOG) == []
    assert {entry["event"] for entry in logged} == {"recorder.malformed"}


async def test_recorder_that_gives_its_name_only_hides_no_other() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        keep_all(await recording(bus, "here"), *CALL)

        def busy(query: RecordedQuery) -> RecordedAnswer | None:
            return None if query.source or "busy" in query.known else RecordedAnswer("busy")

        await answering(bus, busy)
        with capture_logs() as logged:
            (facts,) = await RecordedCalls(bus, SERVER).calls()
    assert facts.dialog_id == DIALOG
    assert [(entry["event"], entry["recorder"]) for entry in logged] == [
        ("recorder.unanswered", "busy")
    ]


async def test_recorders_are_bounded() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await answering(bus, lambda query: RecordedAnswer(query.source or f"{len(query.known)}"))
        with capture_logs() as logged:
            assert await RecordedCalls(bus, SERVER).calls() == []
    assert [(entry["event"], entry["recorders"]) for entry in logged] == [
        ("recorder.too_many", MAX_RECORDERS)
    ]


async def test_pages_are_bounded() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:

        def endless(query: RecordedQuery) -> RecordedAnswer | None:
            if query.source:
                return RecordedAnswer("endless", records=[CALL[0]], position=1)
            return None if query.known else RecordedAnswer("endless")

        await answering(bus, endless)
        with capture_logs() as logged:
            assert len(await RecordedCalls(bus, SERVER).records(DIALOG)) == MAX_PAGES
    assert [(entry["event"], entry["recorder"]) for entry in logged] == [
        ("recorder.endless", "endless")
    ]


async def test_servers_are_asked_together_and_one_that_is_away_hides_none() -> None:
    servers = [f"s{number}" for number in range(MAX_ASKED + 1)]
    async with opened(MemoryBus(MemoryBroker())) as bus:
        for server in servers:
            tap = await recording(bus, "here", server)
            tap.copy("event", f"{server}.1")
        begun_at = asyncio.get_running_loop().time()
        with capture_logs() as logged:
            found = await calls_of_servers(bus, [*servers, "away", *servers])

        seconds = asyncio.get_running_loop().time() - begun_at

    assert seconds < len(servers) / 2  # Of a clock that does not wait.
    assert sorted(facts.dialog_id for facts in found) == sorted(f"{name}.1" for name in servers)
    assert [(entry["event"], entry["server_id"]) for entry in logged] == [("calls.absent", "away")]


async def test_none_of_the_servers_is_served() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        with pytest.raises(NobodyServesError, match="of one is on this bus"):
            await calls_of_servers(bus, ["one", "two"])
