"""A suite of an application's author, which holds on the simulated Asterisk and on a real one.

`tests/integration/test_kit_on_asterisk.py` runs it on both.
"""

import asyncio

import pytest

from ari_proxy import App, Call
from ari_proxy.client.errors import (
    Busy,
    CallEnded,
    Conflict,
    NoAnswer,
    NotSent,
    OutcomeUnknown,
    Rejected,
)
from ari_proxy.client.events import ChannelDtmfReceived, StasisStart
from ari_proxy.testing import (
    Phone,
    UnmetExpectationError,
    fake_call,
    fake_endpoints,
    hang_up_anywhere,
)
from ari_proxy.testing.failures import Failure

#: Only a plan makes anybody of it.
PHONE = "PJSIP/200"
BUSY, AGENT = "Local/busy@default/n", "Local/answer@default/n"


async def menu(call: Call) -> None:
    await call.answer()
    digits = await call.prompt("sound:beep", digits=3, first_digit=20, inter_digit=20)
    await call.play("sound:beeperr" if digits is None else "sound:confbridge-join")
    await call.hang_up("rejected")


async def wait(call: Call) -> None:
    async for _ in call.events():
        pass


async def test_caller_answers_a_prompt() -> None:
    async with fake_call(menu) as phone:
        await phone.expect_answered()
        await phone.expect_played("sound:beep")
        phone.press("1")
        phone.press("23")
        await phone.expect_played("sound:confbridge-join")
        await phone.expect_hung_up(cause=21)

    assert phone.played == ["sound:beep", "sound:confbridge-join"]


async def test_digits_come_in_order() -> None:
    pressed: list[str] = []

    async def collect(call: Call) -> None:
        await call.answer()
        async for event in call.events():
            if isinstance(event, ChannelDtmfReceived):
                pressed.append(event.digit)
                if event.digit == "#":
                    await call.hang_up()

    async with fake_call(collect) as phone:
        await phone.expect_answered()
        phone.press("1*2#")
        await phone.expect_hung_up(cause=16)

    assert pressed == ["1", "*", "2", "#"]


async def test_handler_learns_who_calls_whom() -> None:
    starts: list[StasisStart] = []

    async def note(call: Call) -> None:
        async for event in call.events():
            if isinstance(event, StasisStart):
                starts.append(event)
                await call.hang_up()

    async with fake_call(note, caller="200", extension="7") as phone:
        await phone.expect_hung_up()

    (start,) = starts
    assert start.channel.id == phone.channel_id
    assert (start.channel.caller.number, start.channel.dialplan.exten) == ("200", "7")


async def test_caller_hangs_up() -> None:
    ends: list[CallEnded] = []

    async def listen(call: Call) -> None:
        try:
            await wait(call)
        finally:
            ends.append(call.end_error())

    async with fake_call(listen) as phone:
        phone.hang_up(17)
        await phone.expect_hung_up(cause=17)

    assert [(end.who, end.cause) for end in ends] == [("peer", 17)]


async def test_caller_goes_back_to_the_dialplan() -> None:
    async def leave(call: Call) -> None:
        await call.leave()

    async with fake_call(leave) as phone:
        await phone.expect_left()
        assert phone.is_connected


async def test_bridge_is_heard_by_the_caller_in_it() -> None:
    async def in_bridge(call: Call) -> None:
        async with call.bridge() as bridge:
            await bridge.add(call)
            await call.ari.bridges.play(bridge.id, media=["sound:beep"])
            await wait(call)

    async with fake_call(in_bridge) as phone:
        await phone.expect_played("sound:beep")
        phone.hang_up()


async def test_agent_is_busy_and_another_one_answers() -> None:
    async def connect(call: Call) -> None:
        with pytest.raises(Busy):
            await call.dial(BUSY)
        agent = await call.dial(AGENT)
        await agent.hang_up()
        await call.hang_up()

    async with fake_call(connect) as phone:
        await phone.expect_dialled(BUSY)
        await phone.expect_dialled(AGENT)
        await phone.expect_hung_up()


async def test_endpoint_does_as_planned() -> None:
    async def connect(call: Call) -> None:
        with pytest.raises(Busy):
            await call.dial(AGENT)
        await call.hang_up()

    async with fake_call(connect) as phone:
        phone.plan(AGENT, busy=True)
        await phone.expect_hung_up()


async def test_planned_endpoint_rings_answers_and_presses_digits() -> None:
    chosen: list[str | None] = []

    async def connect(call: Call) -> None:
        agent = await call.dial(PHONE)
        chosen.append(await agent.prompt("sound:beep", digits=1, first_digit=20))
        await agent.hang_up()
        await call.hang_up()

    async with fake_call(connect) as phone:
        phone.plan(PHONE, answer=0.5, presses="wwww7")
        await phone.expect_dialled(PHONE)
        await phone.expect_hung_up()

    assert chosen == ["7"]


async def test_app_places_calls_to_planned_endpoints() -> None:
    app = App("outgoing", "nats://127.0.0.1:1")
    async with fake_endpoints(app) as endpoints:
        endpoints.plan("PJSIP/1", answer=0.2, presses="wwww7")
        endpoints.plan("PJSIP/2", busy=True)
        endpoints.plan("PJSIP/3", ring=60)
        endpoints.plan("PJSIP/4", cause=21)
        async with app:
            async with app.originate("PJSIP/1", variables={"A": "b"}) as call:
                assert await call.prompt("sound:beep", digits=1, first_digit=20) == "7"
                variable = await call.ari.channels.get_variable(call.channel_id, "A")
            with pytest.raises(Busy):
                await app.originate("PJSIP/2")
            with pytest.raises(NoAnswer):
                await app.originate("PJSIP/3", timeout=2)
            with pytest.raises(Rejected) as refusal:
                await app.originate("PJSIP/4")

    assert variable.value == "b"
    assert refusal.value.cause == 21
    assert endpoints.dialled == [f"PJSIP/{number}" for number in range(1, 5)]


async def test_requests_fail_as_planned() -> None:
    async def answer(call: Call) -> None:
        for error in (Conflict, NotSent, OutcomeUnknown):
            with pytest.raises(error):
                await call.ari.channels.answer(call.channel_id)
        await call.hang_up()

    async with fake_call(answer) as phone:
        failures: tuple[Failure, ...] = (409, "not_sent", "unknown")
        for failure in failures:
            phone.fail("channels.answer", failure)
        await phone.expect_hung_up(timeout=30)


async def test_command_waits_for_the_bus() -> None:
    begun = asyncio.Event()

    async def answer(call: Call) -> None:
        await begun.wait()
        await call.answer()
        await wait(call)

    async with fake_call(answer) as phone:
        with phone.bus_away():
            begun.set()
            await asyncio.sleep(1)
            assert not phone.is_answered
        await phone.expect_answered()
        phone.hang_up()


async def test_what_a_handler_leaves_is_told() -> None:
    async def leave_a_bridge(call: Call) -> None:
        await call.ari.bridges.create(name="hall")
        await call.hang_up()

    with pytest.raises(UnmetExpectationError, match="bridge hall"):
        async with fake_call(leave_a_bridge, deadline_seconds=1) as phone:
            await phone.expect_hung_up(timeout=20)


async def test_failure_has_the_ladder() -> None:
    async with fake_call(wait) as phone:
        with pytest.raises(UnmetExpectationError, match=r"not within 0\.5 s") as failure:
            await phone.expect_answered(timeout=0.5)
        phone.hang_up()

    assert "StasisStart" in str(failure.value)


async def test_caller_hangs_up_anywhere() -> None:
    async def press(phone: Phone) -> None:
        await phone.expect_played("sound:beep")
        phone.press("123")
        await phone.expect_hung_up()

    await hang_up_anywhere(menu, press)
