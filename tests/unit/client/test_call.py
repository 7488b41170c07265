"""A call on the bus in memory: its typed operations, its events, and waiting for them."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
import structlog

from ari_proxy.client.call import Call
from ari_proxy.client.errors import CallEnded, NotFound, OutcomeUnknown, Unsupported
from ari_proxy.client.events import (
    ChannelDtmfReceived,
    Event,
    ProxyDialogEnded,
    RawEvent,
    StasisEnd,
)
from tests.support.application import DIALOG, Proxy, asterisks, digit, serving

#: Serves a call that waits for the other side's next step.
Step = Callable[[Proxy], Awaitable[None]]


async def served(
    handler: Callable[[Call], Awaitable[None]], step: Step, *, response_seconds: float = 10
) -> Proxy:
    """Serve one call to its end; `step` is what happens once its handler listens."""
    failures: list[BaseException] = []
    is_ready, is_done = asyncio.Event(), asyncio.Event()

    async def serve(call: Call) -> None:
        assert (await anext(call.events())).type == "StasisStart"
        is_ready.set()
        try:
            await handler(call)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            is_done.set()

    async with serving(serve, response_seconds=response_seconds) as proxy:
        await proxy.begin()
        await is_ready.wait()
        await asyncio.sleep(0)  # The handler has begun what it waits for.
        await step(proxy)
        async with asyncio.timeout(10):
            await is_done.wait()
    if failures:
        raise failures[0]
    return proxy


async def nothing(_: Proxy) -> None:
    """Nothing happens."""


async def test_typed_operations_are_commands_of_the_call() -> None:
    async def handler(call: Call) -> None:
        await call.ari.channels.answer(call.channel_id)
        await call.ari.channels.set_variable(call.channel_id, "LANG", value="de at")

    proxy = await served(handler, nothing)

    assert proxy.done == [
        ("POST", "/channels/c/answer"),
        ("POST", "/channels/c/variable?variable=LANG&value=de%20at"),
    ]


async def test_answers_of_typed_operations_are_models() -> None:
    async def handler(call: Call) -> None:
        found.append((await call.ari.channels.get("c")).name)

    found: list[str] = []

    async def serve(call: Call) -> None:
        await handler(call)

    async with serving(serve) as proxy:
        proxy.bodies["/channels/c"] = json.dumps(asterisks("", "c")["channel"])
        await proxy.begin()
        await proxy.until_unheard(f"events_{DIALOG}")

    assert found == ["PJSIP/c"]


async def test_refused_operation_is_an_error_by_its_meaning() -> None:
    async def serve(call: Call) -> None:
        with pytest.raises(NotFound, match=r"channels\.hangup"):
            await call.ari.channels.hangup("gone")
        found.append(call.id)

    found: list[str] = []
    async with serving(serve) as proxy:
        proxy.statuses["DELETE"] = 404
        await proxy.begin()
        await proxy.until_unheard(f"events_{DIALOG}")

    assert found == [DIALOG]


async def test_operation_without_a_response_may_have_been_executed_and_tells_no_secret() -> None:
    async def serve(call: Call) -> None:
        with pytest.raises(OutcomeUnknown) as raised:
            await call.ari.channels.set_variable(call.channel_id, "PIN", value="1234")
        found.append(str(raised.value))

    found: list[str] = []
    async with serving(serve, response_seconds=0.01) as proxy:
        proxy.is_answering = False
        await proxy.begin()
        await proxy.until_unheard(f"events_{DIALOG}")

    assert found == ["POST /channels/c/variable: no response within 0.01 s"]


async def test_events_are_typed_and_have_what_they_had_before() -> None:
    seen: list[Event] = []

    async def handler(call: Call) -> None:
        seen.extend([event async for event in call.events()])

    async def step(proxy: Proxy) -> None:
        proxy.send_all_of(digit("5") | {"new_field": [1]})
        proxy.send("Invented", channel={"id": "x"})
        proxy.send_all_of(asterisks("StasisEnd"))

    await served(handler, step)

    pressed, invented, end = seen
    assert isinstance(pressed, ChannelDtmfReceived)
    assert (pressed.digit, pressed.type, pressed.sequence) == ("5", "ChannelDtmfReceived", 2)
    assert (pressed.body["new_field"], pressed.channel_id) == ([1], "c")
    assert isinstance(invented, RawEvent)
    assert (invented.type, invented.sequence, invented.channel_id) == ("Invented", 3, "x")
    assert isinstance(end, StasisEnd)


async def test_listeners_get_each_event_in_order_as_it_arrives() -> None:
    first: list[str] = []
    second: list[tuple[str, bool]] = []

    async def handler(call: Call) -> None:
        with call.following(lambda event: first.append(event.type)):
            with call.following(lambda event: second.append((event.type, call.is_over))):
                assert not call.is_over
                await call.wait_for(StasisEnd)
            assert call.is_over
            with call.following(lambda event: second.append((event.type, True))):
                pass

    async def step(proxy: Proxy) -> None:
        proxy.send("ProxyProbe")
        proxy.send_body("ProxyProbe", "")
        proxy.send_all_of(digit("1"))
        proxy.send_all_of(asterisks("StasisEnd", "another"))
        proxy.send_all_of(asterisks("StasisEnd"))

    await served(handler, step)

    assert first == ["ChannelDtmfReceived", "StasisEnd", "StasisEnd"]
    assert second == [("ChannelDtmfReceived", False), ("StasisEnd", False), ("StasisEnd", True)]


async def test_listener_that_raises_is_logged_and_costs_no_other_its_event() -> None:
    seen: list[str] = []

    def fail(event: Event) -> None:
        raise ZeroDivisionError(event.type)

    async def handler(call: Call) -> None:
        with call.following(fail), call.following(lambda event: seen.append(event.type)):
            await call.wait_for(ChannelDtmfReceived)

    async def step(proxy: Proxy) -> None:
        proxy.send_all_of(digit("1"))

    with structlog.testing.capture_logs() as logs:
        await served(handler, step)

    assert seen == ["ChannelDtmfReceived"]
    (failed,) = [line for line in logs if line["event"] == "listener.failed"]
    assert (failed["dialog_id"], failed["type"]) == (DIALOG, "ChannelDtmfReceived")


async def test_listener_that_an_earlier_one_has_ended_gets_no_more() -> None:
    seen: list[str] = []

    async def handler(call: Call) -> None:
        later = call.following(lambda event: seen.append(event.type))

        def end_later(_: Event) -> None:
            later.__exit__(None, None, None)

        with call.following(end_later):
            later.__enter__()
            await call.wait_for(ChannelDtmfReceived)

    async def step(proxy: Proxy) -> None:
        proxy.send_all_of(digit("1"))

    await served(handler, step)

    assert seen == []


async def test_wait_returns_the_next_event_that_is_the_one() -> None:
    found: list[ChannelDtmfReceived] = []

    async def handler(call: Call) -> None:
        found.append(
            await call.wait_for(ChannelDtmfReceived, where=lambda event: event.digit > "1")
        )

    async def step(proxy: Proxy) -> None:
        for pressed in "123":
            proxy.send_all_of(digit(pressed))

    await served(handler, step)

    assert [event.digit for event in found] == ["2"]


async def test_wait_for_nothing_ends_at_its_deadline() -> None:
    async def handler(call: Call) -> None:
        await call.wait_for(ChannelDtmfReceived, timeout=0.01)

    with pytest.raises(TimeoutError, match=rf"^no ChannelDtmfReceived of call {DIALOG} within"):
        await served(handler, nothing)


@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError])
async def test_error_of_a_condition_is_that_of_the_wait(error: type[Exception]) -> None:
    def fail(_: Event) -> bool:
        raise error("of the condition")

    async def handler(call: Call) -> None:
        await call.wait_for(ChannelDtmfReceived, where=fail, timeout=10)

    async def step(proxy: Proxy) -> None:
        proxy.send_all_of(digit("1"))
        proxy.send_all_of(digit("2"))

    with pytest.raises(error, match="of the condition"):
        await served(handler, step)


async def test_error_of_a_condition_is_lost_with_a_wait_that_is_cancelled() -> None:
    def cancel(event: ChannelDtmfReceived) -> bool:
        waiting[0].cancel()
        raise ZeroDivisionError(event.digit)

    waiting: list[asyncio.Task[ChannelDtmfReceived]] = []

    async def handler(call: Call) -> None:
        waiting.append(asyncio.ensure_future(call.wait_for(ChannelDtmfReceived, where=cancel)))
        await asyncio.wait(waiting)
        assert waiting[0].cancelled()

    async def step(proxy: Proxy) -> None:
        proxy.send_all_of(digit("1"))

    await served(handler, step)


async def test_end_of_the_call_ends_a_wait() -> None:
    async def handler(call: Call) -> None:
        await call.wait_for(ChannelDtmfReceived)

    async def step(proxy: Proxy) -> None:
        proxy.send_all_of(asterisks("ChannelHangupRequest", cause=16, tech_cause=200))
        proxy.send_all_of(asterisks("StasisEnd"))

    with pytest.raises(CallEnded, match=f"call {DIALOG} has ended: the other end") as raised:
        await served(handler, step)

    assert (raised.value.who, raised.value.cause, raised.value.tech_cause) == ("peer", 16, 200)


async def test_wait_of_a_call_that_is_over_ends_at_once() -> None:
    async def handler(call: Call) -> None:
        end = await call.wait_for(ProxyDialogEnded)
        assert end.reason == "no_listener"
        await call.wait_for(ProxyDialogEnded)

    async def step(proxy: Proxy) -> None:
        ended = {"type": "ProxyDialogEnded", "application": "demo", "reason": "no_listener"}
        proxy.send_all_of(ended | {"timestamp": "2026-11-23T09:34:44.510Z", "channels": ["c"]})

    with pytest.raises(CallEnded) as raised:
        await served(handler, step)

    assert raised.value.who == "proxy"


async def test_dialog_that_was_not_recovered_ends_typed() -> None:
    found: list[Event] = []

    async def handler(call: Call) -> None:
        call.end()
        found.extend([event async for event in call.events()])
        assert call.is_over

    await served(handler, nothing)

    (end,) = found
    assert isinstance(end, ProxyDialogEnded)
    assert (end.reason, end.body["reason"]) == ("not_recovered", "not_recovered")


async def test_events_that_nobody_reads_cost_a_bounded_memory_and_no_log() -> None:
    last: list[int] = []

    async def serve(call: Call) -> None:
        ended = await call.wait_for(StasisEnd)
        first = await anext(call.events())
        last.extend([first.sequence, ended.sequence])

    with structlog.testing.capture_logs() as logs:
        async with serving(serve) as proxy:
            await proxy.begin()
            for _ in range(10_100):
                proxy.send("ChannelVarset")
            proxy.send_all_of(asterisks("StasisEnd"))
            await proxy.until_unheard(f"events_{DIALOG}")

    assert last == [103, 10_102]
    assert [line for line in logs if line["event"] == "event.lost"] == []


@pytest.mark.parametrize(
    ("version", "is_told"), [("16.28.0", True), ("22.10.1", False), ("", False)]
)
async def test_operation_that_is_newer_than_asterisk_is_not_sent(
    version: str, *, is_told: bool
) -> None:
    failures: list[str] = []

    async def serve(call: Call) -> None:
        await anext(call.events())
        try:
            await call.ari.channels.progress(call.channel_id)
        except Unsupported as error:
            failures.append(str(error))

    async with serving(serve) as proxy:
        proxy.asterisk_version = version
        await proxy.begin()
        await proxy.until_unheard(f"events_{DIALOG}")

    needed = "20.16, 21.11, 22.6 or newer; this server has 16.28.0"
    assert failures == ([f"channels.progress needs Asterisk {needed}"] if is_told else [])
    assert proxy.done == ([] if is_told else [("POST", "/channels/c/progress")])
