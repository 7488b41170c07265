"""The client library on the bus in memory: what becomes of a call when its handler does not."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import structlog

from ari_proxy.bus.base import Handler, SubscriptionHandle
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.bus.memory.bus import MemoryBus
from ari_proxy.client.call import Call, CallEvent
from ari_proxy.client.call_events import CallEvents
from ari_proxy.protocol.messages import MAX_COMMANDS
from tests.support.application import DIALOG, PLACED, serving, until
from tests.support.malformed import DEEPLY_NESTED

GIVEN_BACK = [
    ("POST", "/channels/c/variable?variable=ARI_PROXY_STATUS&value=FAILED"),
    ("POST", "/channels/c/continue"),
]


async def within(events: CallEvents) -> CallEvent:
    async with asyncio.timeout(0.01):
        return await anext(events)


WAITS: dict[str, Callable[[CallEvents], Awaitable[CallEvent]]] = {
    "timeout": within,
    "wait_for": lambda events: asyncio.wait_for(anext(events), 0.01),
}


@pytest.mark.parametrize("wait", WAITS)
async def test_events_go_on_after_a_wait_that_ended(wait: str) -> None:
    seen: list[str] = []
    is_late = asyncio.Event()

    async def serve(call: Call) -> None:
        events = call.events()
        seen.append((await anext(events)).type)
        with pytest.raises(TimeoutError):
            await WAITS[wait](events)
        is_late.set()
        seen.extend([event.type async for event in events])

    async with serving(serve) as proxy:
        await proxy.begin()
        await is_late.wait()
        proxy.send("ChannelVarset", channel={"id": "c"})
        proxy.send("StasisEnd", channel={"id": "c"})
        await proxy.until_unheard(f"events_{DIALOG}")

    assert seen == ["StasisStart", "ChannelVarset", "StasisEnd"]


async def test_wait_that_is_cancelled_at_any_moment_loses_no_event() -> None:
    seen: list[int] = []

    async def serve(call: Call) -> None:
        events = call.events()
        while len(seen) < 500:
            try:
                async with asyncio.timeout(0):
                    event = await anext(events)
            except TimeoutError:
                waiting = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                waiting.cancel()
                try:
                    event = await waiting
                except asyncio.CancelledError:
                    continue
            seen.append(event.sequence)

    async with serving(serve) as proxy:
        await proxy.begin()
        for _ in range(499):
            proxy.send("ChannelVarset", channel={"id": "c"})
            await asyncio.sleep(0)
        await proxy.until_unheard(f"events_{DIALOG}")

    assert seen == list(range(1, 501))


async def test_events_that_are_over_stay_over() -> None:
    types: list[list[str]] = []

    async def serve(call: Call) -> None:
        types.append([event.type async for event in call.events()])
        types.append([event.type async for event in call.events()])

    async with serving(serve) as proxy:
        await proxy.begin()
        proxy.send("StasisEnd", channel={"id": "c"})
        await proxy.until_unheard(f"events_{DIALOG}")

    assert types == [["StasisStart", "StasisEnd"], []]


async def test_handler_that_raises_gives_its_caller_back_at_once() -> None:
    async def serve(call: Call) -> None:
        await anext(call.events())
        raise RuntimeError("no database")

    with structlog.testing.capture_logs() as logs:
        async with serving(serve) as proxy:
            await proxy.begin()
            await proxy.until_unheard(f"events_{DIALOG}")

    assert proxy.done == GIVEN_BACK
    (failed,) = [line for line in logs if line["event"] == "dialog.failed"]
    assert failed["log_level"] == "error"
    assert failed["dialog_id"] == DIALOG
    assert failed["exc_info"]


async def test_call_that_the_application_placed_is_hung_up_with_all_its_legs() -> None:
    async def serve(call: Call) -> None:
        async for event in call.events():
            if event.type == "ChannelVarset":
                raise RuntimeError

    async with serving(serve) as proxy:
        await proxy.begin(channel=PLACED)
        for channel in ("agent/1", "gone", "left"):
            proxy.send("ChannelCreated", channel={"id": channel})
        proxy.send("StasisStart", channel={"id": "agent/1"})
        proxy.send("ChannelDestroyed", channel={"id": "gone"})
        proxy.send("StasisEnd", channel={"id": "left"})
        proxy.send("ChannelEnteredBridge", channel={"id": "of another dialog"})
        proxy.send("ChannelVarset", channel={"id": PLACED})
        await proxy.until_unheard(f"events_{DIALOG}")

    assert proxy.done == [("DELETE", f"/channels/{PLACED}"), ("DELETE", "/channels/agent%2F1")]


async def test_call_with_very_many_legs_is_given_back_in_several_messages() -> None:
    async def serve(call: Call) -> None:
        async for event in call.events():
            if event.type == "ChannelVarset":
                raise RuntimeError

    legs = [f"{PLACED}-{number}" for number in range(MAX_COMMANDS)]
    async with serving(serve) as proxy:
        await proxy.begin()
        for leg in legs:
            proxy.send("ChannelCreated", channel={"id": leg})
        proxy.send("ChannelVarset", channel={"id": "c"})
        await proxy.until_unheard(f"events_{DIALOG}")

    assert proxy.done == [*GIVEN_BACK, *(("DELETE", f"/channels/{leg}") for leg in legs)]
    assert proxy.counts == [MAX_COMMANDS, len(GIVEN_BACK)]


async def test_call_that_has_ended_is_not_given_back() -> None:
    async def serve(call: Call) -> None:
        async for _ in call.events():
            pass
        raise RuntimeError

    async with serving(serve) as proxy:
        await proxy.begin()
        proxy.send("StasisEnd", channel={"id": "c"})
        await proxy.until_unheard(f"events_{DIALOG}")

    assert proxy.commands == []


@pytest.mark.parametrize("is_answering", [True, False])
async def test_application_that_is_cancelled_gives_its_calls_back(*, is_answering: bool) -> None:

    async def serve(_: Call) -> None:
        await asyncio.Event().wait()

    async with serving(serve, give_back_seconds=10 if is_answering else 0.01) as proxy:
        proxy.is_answering = is_answering
        await proxy.begin()

    assert proxy.done == GIVEN_BACK
    assert proxy._topics() == {f"commands_{DIALOG}"}


async def test_proxy_that_does_not_answer_holds_nobody_up() -> None:
    async def serve(_: Call) -> None:
        raise RuntimeError

    with structlog.testing.capture_logs() as logs:
        async with serving(serve, give_back_seconds=0.01) as proxy:
            proxy.is_answering = False
            await proxy.begin()
            await proxy.until_unheard(f"events_{DIALOG}")

    (line,) = [line for line in logs if line["event"] == "dialog.not_given_back"]
    assert "no response" in line["error"]


@pytest.mark.parametrize(("status", "is_told"), [(404, False), (409, False), (403, True)])
async def test_refusal_to_take_a_call_back_is_told_unless_it_is_gone(
    status: int, *, is_told: bool
) -> None:
    async def serve(_: Call) -> None:
        raise RuntimeError

    with structlog.testing.capture_logs() as logs:
        async with serving(serve) as proxy:
            proxy.statuses["POST"] = status
            await proxy.begin()
            await proxy.until_unheard(f"events_{DIALOG}")

    assert [line["event"] for line in logs].count("dialog.not_given_back") == is_told


async def test_handler_that_returns_early_leaves_the_call_as_it_is() -> None:
    async def serve(call: Call) -> None:
        await call.command("POST", f"/channels/{call.channel_id}/continue")

    async with serving(serve) as proxy:
        await proxy.begin()
        await proxy.until_unheard(f"events_{DIALOG}")

    assert proxy.done == [("POST", "/channels/c/continue")]


async def test_command_without_response_says_which() -> None:
    found: list[str] = []
    answered: list[int] = []

    async def serve(call: Call) -> None:
        with pytest.raises(TimeoutError) as raised:
            await call.command("POST", "/channels/c/answer")
        found.append(str(raised.value))
        proxy.is_answering = True
        answered.append((await call.command("DELETE", "/channels/c")).status_code)

    # The second one is answered within it, on a busy machine too.
    async with serving(serve, response_seconds=0.5) as proxy:
        proxy.is_answering = False
        await proxy.begin()
        await proxy.until_unheard(f"events_{DIALOG}")

    assert found == ["no response to POST /channels/c/answer within 0.5 s"]
    assert answered == [204]


@pytest.mark.parametrize(
    ("event_type", "body"),
    [
        ("StasisEnd", "{"),
        ("StasisEnd", "[]"),
        ("StasisEnd", '"x"'),
        ("StasisEnd", "{}"),
        ("StasisEnd", '{"channel":null}'),
        ("StasisEnd", '{"channel":"c"}'),
        ("StasisStart", '{"channel":{"id":7}}'),
        ("ChannelVarset", "\\"),
        ("ChannelVarset", DEEPLY_NESTED.decode()),
    ],
)
async def test_malformed_event_ends_nothing(event_type: str, body: str) -> None:
    seen: list[str] = []

    async def serve(call: Call) -> None:
        seen.extend([event.type async for event in call.events()])

    async with serving(serve) as proxy:
        await proxy.begin()
        proxy.send_body(event_type, body)
        proxy.send("StasisEnd", channel={"id": "c"})
        await proxy.until_unheard(f"events_{DIALOG}")

    assert (seen[0], seen[-1]) == ("StasisStart", "StasisEnd")


async def test_dialog_that_is_announced_again_is_served_once() -> None:
    served: list[str] = []

    async def serve(call: Call) -> None:
        served.append(call.dialog_id)
        async for _ in call.events():
            pass

    async with serving(serve) as proxy:
        await proxy.begin()
        proxy.announce()
        proxy.send("StasisEnd", channel={"id": "c"})
        await proxy.until_unheard(f"events_{DIALOG}")
        proxy.announce()  # Around a lost connection it may come as late as that.
        await proxy.begin("server-1.zzzzzzzzzzzzzzzz")

    assert served == [DIALOG, "server-1.zzzzzzzzzzzzzzzz"]


class Refusing:
    """A bus that loses its connection while some topics are subscribed, or their end is told."""

    def __init__(self, bus: MemoryBus, topic: str, *, at_end: bool) -> None:
        self._bus = bus
        self._topic = topic
        self._at_end = at_end

    def publish(self, topic: str, payload: bytes, *, reply: str = "", once: bool = False) -> None:
        self._bus.publish(topic, payload, reply=reply, once=once)

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = "", manual_ack: bool = False
    ) -> SubscriptionHandle:
        refuses = topic.startswith(self._topic)
        if refuses and not self._at_end:
            self._topic = "-"
            raise BusUnavailableError("the connection was lost")
        subscription = await self._bus.subscribe(topic, handler, group=group, manual_ack=manual_ack)
        return _Unending(subscription) if refuses else subscription

    async def request(self, topic: str, payload: bytes, *, timeout_seconds: float) -> bytes:
        return await self._bus.request(topic, payload, timeout_seconds=timeout_seconds)


class _Unending:
    def __init__(self, subscription: SubscriptionHandle) -> None:
        self._subscription = subscription

    async def unsubscribe(self) -> None:
        await self._subscription.unsubscribe()
        raise BusUnavailableError("the connection was lost")


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("topic", ["events_server-1.", "responses_server-1.", "events_server-1"])
async def test_bus_that_fails_in_one_call_does_not_end_the_others(
    topic: str, *, at_end: bool
) -> None:
    served: list[str] = []

    async def serve(call: Call) -> None:
        served.append(call.dialog_id)
        if call.dialog_id == second:
            await anext(call.events())

    second = "server-1.zzzzzzzzzzzzzzzz"
    with structlog.testing.capture_logs() as logs:
        async with serving(serve, bus=lambda bus: Refusing(bus, topic, at_end=at_end)) as proxy:
            proxy.announce()
            await until(lambda: served or logs)
            await proxy.begin(second)
            await until(lambda: second in served)

    assert [line for line in logs if line.get("dialog_id") == DIALOG or at_end]
    assert proxy._topics() == {f"commands_{second}"}


async def test_application_that_stops_takes_no_new_call_and_finishes_those_it_has() -> None:
    served: list[str] = []
    stop = asyncio.Event()

    async def serve(call: Call) -> None:
        async for _ in call.events():
            pass
        served.append(call.dialog_id)

    async with serving(serve, stop=stop) as proxy:
        await proxy.begin()
        stop.set()
        await proxy.until_unheard("demo")
        assert served == []
        proxy.send("StasisEnd", channel={"id": "c"})

    assert served == [DIALOG]
    assert proxy.commands == []
