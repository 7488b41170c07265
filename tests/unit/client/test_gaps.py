"""Handlers of gaps: when they are called, in which order, and what becomes of one that fails."""

import asyncio

import pytest
import structlog

from ari_proxy.client.events import ProxyGap
from ari_proxy.client.gaps import MAX_WAITING_GAPS
from ari_proxy.client.state_keeping import state_kept
from tests.support.application import until
from tests.support.client_events import channel, event
from tests.support.scripted_call import ScriptedCall


def gap(count: int = 1) -> ProxyGap:
    found = event("ProxyGap", reason="websocket_lost", count=count)
    assert isinstance(found, ProxyGap)
    return found


@pytest.fixture
async def scripted() -> ScriptedCall:
    scripted = ScriptedCall()
    scripted.send(event("StasisStart", args=[], channel=channel("c", "Ring")))
    scripted.answer("GET /channels/c", 200, channel("c", "Up"))
    return scripted


async def test_handlers_run_in_order_once_the_state_was_read(scripted: ScriptedCall) -> None:
    call, seen = scripted.call, list[str]()

    @call.on_gap
    async def wait(found: ProxyGap) -> None:
        seen.append(f"{found.reason} {found.count} {call.state}")
        await asyncio.sleep(0)
        seen.append("waited")

    @call.on_gap
    def note(found: ProxyGap) -> None:
        seen.append(f"noted {found.count}")

    async with state_kept(call, call.gap_handlers):
        scripted.send(gap(1))
        await until(lambda: len(seen) == 3)
        scripted.send(gap(2))
        await until(lambda: len(seen) == 6)

    first = ["websocket_lost 1 Up", "waited", "noted 1"]
    assert seen == [*first, "websocket_lost 2 Up", "waited", "noted 2"]


async def test_gap_waits_for_the_handlers_of_the_one_before(scripted: ScriptedCall) -> None:
    call, seen, go_on = scripted.call, list[int | None](), asyncio.Event()

    @call.on_gap
    async def wait(found: ProxyGap) -> None:
        seen.append(found.count)
        await go_on.wait()

    async with state_kept(call, call.gap_handlers):
        scripted.send(gap(1))
        await until(lambda: seen)
        scripted.send(gap(2))
        await until(lambda: len(scripted.names) == 2)  # The state was read again.
        assert seen == [1]
        go_on.set()
        await until(lambda: seen == [1, 2])


async def test_handler_that_raises_is_logged_and_harms_no_other(scripted: ScriptedCall) -> None:
    call, seen = scripted.call, list[ProxyGap]()

    @call.on_gap
    def fail(_: ProxyGap) -> None:
        raise RuntimeError("no database")

    call.on_gap(seen.append)
    with structlog.testing.capture_logs() as logs:
        async with state_kept(call, call.gap_handlers):
            scripted.send(gap())
            await until(lambda: seen)

    assert [line["event"] for line in logs] == ["gap_handler.failed"]


async def test_handlers_are_cancelled_with_the_block(scripted: ScriptedCall) -> None:
    call, seen = scripted.call, list[str]()

    @call.on_gap
    async def wait(_: ProxyGap) -> None:
        seen.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    async with state_kept(call, call.gap_handlers):
        scripted.send(gap())
        await until(lambda: seen)

    assert seen == ["begun", "cancelled"]


async def test_gaps_that_wait_are_bounded(scripted: ScriptedCall) -> None:
    call, seen = scripted.call, list[int | None]()
    call.on_gap(lambda found: seen.append(found.count))

    for count in range(MAX_WAITING_GAPS + 10):
        scripted.send(gap(count))
    async with state_kept(call, call.gap_handlers):
        scripted.send(gap(-1))
        await until(lambda: seen and seen[-1] == -1)

    assert len(seen) == MAX_WAITING_GAPS
