"""Calls of handlers on the test kit: what a test does is met by what a handler gets."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ari_proxy import Call
from ari_proxy.client import events
from ari_proxy.client.errors import (
    ClientError,
    Conflict,
    InvalidParameters,
    NotFound,
    NotSent,
    OutcomeUnknown,
)
from ari_proxy.client.events import ChannelDtmfReceived, PlaybackFinished, ProxyGap, StasisStart
from ari_proxy.testing import Phone, UnmetExpectationError, fake_call
from ari_proxy.testing.failures import Failure

AGENT = "PJSIP/200"
Expectation = Callable[[Phone], Awaitable[object]]


async def play(call: Call, media: str) -> None:
    """Play a medium to its end."""
    async with asyncio.TaskGroup() as tasks:
        finished = tasks.create_task(call.wait_for(PlaybackFinished))
        await asyncio.sleep(0)
        await call.ari.channels.play(call.channel_id, media=[media])
        await finished


async def pin(call: Call) -> None:
    """Answer, ask for four digits, and hang up."""
    await call.ari.channels.answer(call.channel_id)
    digits: list[str] = []

    def collect(event: object) -> None:
        if isinstance(event, ChannelDtmfReceived):
            digits.append(event.digit)

    with call.following(collect):
        await play(call, "sound:agent-pass")
        await call.wait_for(ChannelDtmfReceived, where=lambda event: event.digit == "#")
    is_right = "".join(digits) == "1234#"
    await play(call, "sound:right" if is_right else "sound:pbx-invalid")
    await call.ari.channels.hangup(call.channel_id, reason="rejected")


async def hang_up(call: Call) -> None:
    await call.ari.channels.hangup(call.channel_id)


async def wait(call: Call) -> None:
    """Do nothing until the caller hangs up."""
    async for _ in call.events():
        pass


async def ring_an_agent(call: Call) -> None:
    """Call an agent, who is given up when the call is over."""
    agent = await call.ari.channels.create(AGENT, app="tested")
    try:
        await call.ari.channels.dial(agent.id)
        await wait(call)
    finally:
        await call.ari.channels.hangup(agent.id)


async def test_handler_is_called_by_a_phone() -> None:
    async with fake_call(pin) as phone:
        await phone.expect_answered()
        await phone.expect_played("sound:agent-pass")
        phone.press("1234#")
        await phone.expect_played("sound:right")
        assert await phone.expect_hung_up(cause=21) == 21

    phone.assert_nothing_left()
    assert phone.played == ["sound:agent-pass", "sound:right"]


async def test_handler_learns_who_calls_whom() -> None:
    starts: list[StasisStart] = []

    async def note(call: Call) -> None:
        async for event in call.events():
            if isinstance(event, StasisStart):
                starts.append(event)
                await hang_up(call)

    async with fake_call(note, caller="200", extension="7") as phone:
        await phone.expect_hung_up()

    (start,) = starts
    assert (start.channel.caller.number, start.channel.dialplan.exten) == ("200", "7")


async def test_caller_hangs_up() -> None:
    async with fake_call(wait) as phone:
        phone.hang_up(17)
        phone.hang_up()
        await phone.expect_hung_up(cause=17)


async def test_agent_rings_until_the_caller_hangs_up() -> None:
    async with fake_call(ring_an_agent) as phone:
        phone.plan(AGENT, ring=60)
        await phone.expect_dialled(AGENT)
        phone.hang_up()

    phone.assert_nothing_left()
    assert phone.dialled == [AGENT]


@pytest.mark.parametrize(
    ("plan", "cause"),
    [
        pytest.param(lambda phone: phone.plan(AGENT, busy=True), 17, id="busy"),
        pytest.param(lambda phone: phone.plan(AGENT, cause=34), 34, id="refuses"),
        pytest.param(lambda phone: phone.plan(AGENT, ring=5), 19, id="gives up"),
        pytest.param(lambda phone: phone.plan(AGENT, answer=5), 16, id="answers"),
    ],
)
async def test_endpoint_does_as_planned(plan: Callable[[Phone], None], cause: int) -> None:
    causes: list[int] = []

    async def call_agent(call: Call) -> None:
        ended = asyncio.get_running_loop().create_future()

        def follow(event: object) -> None:
            match event:
                case events.ChannelDestroyed(cause=found) if event.channel.id != call.channel_id:
                    ended.set_result(found)
                case events.ChannelStateChange() if event.channel.state == "Up":
                    ended.set_result(16)

        with call.following(follow):
            agent = await call.ari.channels.originate(AGENT, app="tested")
            causes.append(await ended)
        if causes == [16]:
            await call.ari.channels.hangup(agent.id)
        await hang_up(call)

    async with fake_call(call_agent) as phone:
        plan(phone)
        await phone.expect_hung_up(timeout=60)

    assert causes == [cause]


async def test_caller_goes_back_to_the_dialplan() -> None:
    async def leave(call: Call) -> None:
        await call.ari.channels.continue_in_dialplan(call.channel_id)

    async with fake_call(leave) as phone:
        await phone.expect_left()

    phone.assert_nothing_left()


async def test_bridge_is_heard_by_the_caller_in_it() -> None:
    async def in_bridge(call: Call) -> None:
        bridge = await call.ari.bridges.create()
        await call.ari.bridges.add_channel(bridge.id, channel=[call.channel_id])
        await call.ari.bridges.play(bridge.id, media=["sound:hello"])
        await wait(call)
        await call.ari.bridges.destroy(bridge.id)

    async with fake_call(in_bridge) as phone:
        await phone.expect_played("sound:hello")
        phone.hang_up()


async def test_gap_is_reported() -> None:
    gaps: list[str] = []

    async def note(call: Call) -> None:
        gaps.append((await call.wait_for(ProxyGap)).reason)
        await hang_up(call)

    async with fake_call(note) as phone:
        await asyncio.sleep(1)
        phone.gap()
        await phone.expect_hung_up()

    assert gaps == ["websocket_lost"]


async def test_command_is_executed_when_the_bus_is_back() -> None:
    async def answer(call: Call) -> None:
        await asyncio.sleep(2)
        await call.ari.channels.answer(call.channel_id)
        await hang_up(call)

    async with fake_call(answer) as phone:
        await asyncio.sleep(1)
        with phone.bus_away():
            await asyncio.sleep(5)
            assert not phone.is_answered
        await phone.expect_answered()


async def test_command_is_not_sent_while_the_bus_is_away() -> None:
    refused: list[str] = []

    async def answer(call: Call) -> None:
        await asyncio.sleep(2)
        with pytest.raises(NotSent) as failure:
            await call.ari.channels.answer(call.channel_id)
        refused.append(str(failure.value))
        await hang_up(call)

    async with fake_call(answer) as phone:
        await asyncio.sleep(1)
        with phone.bus_away():
            await asyncio.sleep(20)
        await phone.expect_hung_up()

    assert "answer" in refused[0]
    assert not phone.is_answered


async def test_events_are_late_while_the_bus_is_away() -> None:
    pressed: list[tuple[str, float]] = []

    def note(event: object) -> None:
        if isinstance(event, ChannelDtmfReceived):
            pressed.append((event.digit, asyncio.get_running_loop().time()))

    async def listen(call: Call) -> None:
        with call.following(note):
            await wait(call)

    async with fake_call(listen) as phone:
        await asyncio.sleep(1)
        with phone.bus_away():
            phone.press("12")
            await asyncio.sleep(60)
            back = asyncio.get_running_loop().time()
        phone.press("3")
        await asyncio.sleep(1)
        phone.hang_up()

    assert [digit for digit, _ in pressed] == ["1", "2", "3"]
    assert min(at for _, at in pressed) >= back


@pytest.mark.parametrize(
    ("failure", "error", "state"),
    [
        (404, NotFound, "Ring"),
        (409, Conflict, "Ring"),
        (422, InvalidParameters, "Ring"),
        ("not_sent", NotSent, "Ring"),
        ("unknown", OutcomeUnknown, "Up"),
    ],
)
async def test_request_fails_once_as_planned(
    failure: Failure, error: type[ClientError], state: str
) -> None:
    states: list[str] = []

    async def answer_again(call: Call) -> None:
        with pytest.raises(error):
            await call.ari.channels.answer(call.channel_id)
        states.append((await call.ari.channels.get(call.channel_id)).state)
        await call.ari.channels.answer(call.channel_id)
        await hang_up(call)

    async with fake_call(answer_again) as phone:
        phone.fail("channels.answer", failure)
        await phone.expect_answered()
        await phone.expect_hung_up()

    assert states == [state]


@pytest.mark.parametrize(
    ("operation", "failure"),
    [
        ("channels.answers", 404),
        ("nothing.at_all", 404),
        ("", 404),
        ("channels.answer", 200),
        ("channels.answer", "lost"),
    ],
)
async def test_failure_that_can_not_be_planned_is_refused(operation: str, failure: Failure) -> None:
    async with fake_call(hang_up) as phone:
        with pytest.raises(ValueError, match=r"is no failure|is no status|has no operation"):
            phone.fail(operation, failure)


async def test_missing_object_is_not_found() -> None:
    async def look(call: Call) -> None:
        with pytest.raises(NotFound, match="Bridge not found"):
            await call.ari.bridges.get("none")
        await hang_up(call)

    async with fake_call(look) as phone:
        await phone.expect_hung_up()


# What goes wrong


@pytest.mark.parametrize(
    "expectation",
    [
        pytest.param(lambda phone: phone.expect_answered(), id="answered"),
        pytest.param(lambda phone: phone.expect_played("sound:x"), id="played"),
        pytest.param(lambda phone: phone.expect_dialled("PJSIP/9"), id="dialled"),
        pytest.param(lambda phone: phone.expect_hung_up(), id="hung up"),
        pytest.param(lambda phone: phone.expect_left(), id="left"),
    ],
)
async def test_expectation_fails_at_its_deadline_with_the_ladder(expectation: Expectation) -> None:
    async with fake_call(wait) as phone:
        with pytest.raises(UnmetExpectationError, match="not within 5 s") as failure:
            await expectation(phone)
        phone.hang_up()

    assert "StasisStart" in str(failure.value)


async def test_expectation_has_a_deadline_of_its_own() -> None:
    async with fake_call(wait) as phone:
        with pytest.raises(UnmetExpectationError, match="not within 90 s"):
            await phone.expect_answered(timeout=90)
        phone.hang_up()


async def test_expectation_fails_at_once_when_the_call_is_over() -> None:
    async with fake_call(hang_up) as phone:
        await phone.expect_hung_up()
        began = asyncio.get_running_loop().time()
        with pytest.raises(UnmetExpectationError, match="the call is over"):
            await phone.expect_played("sound:x")

    assert asyncio.get_running_loop().time() - began < 1


async def test_expectation_finds_each_playback_once() -> None:
    async with fake_call(pin) as phone:
        await phone.expect_played("sound:agent-pass")
        with pytest.raises(UnmetExpectationError, match="played: sound:agent-pass"):
            await phone.expect_played("sound:agent-pass")
        phone.press("#")
        await phone.expect_hung_up()


async def test_other_cause_is_not_expected() -> None:
    async with fake_call(hang_up) as phone:
        with pytest.raises(UnmetExpectationError, match="cause 17; the cause was 16"):
            await phone.expect_hung_up(cause=17)


async def test_phone_does_nothing_when_the_call_is_over() -> None:
    async with fake_call(hang_up) as phone:
        await phone.expect_hung_up()
        with pytest.raises(UnmetExpectationError, match="could not be pressed"):
            phone.press("1")


async def leave_a_bridge(call: Call) -> None:
    await call.ari.bridges.create(name="hall")
    await hang_up(call)


async def return_early(call: Call) -> None:
    await call.ari.channels.answer(call.channel_id)


async def leave_a_recording(call: Call) -> None:
    bridge = await call.ari.bridges.create(name="hall")
    await call.ari.bridges.record(bridge.id, name="minutes", format="wav")
    await hang_up(call)


@pytest.mark.parametrize(
    ("handler", "left"),
    [
        (leave_a_bridge, "bridge hall"),
        (leave_a_recording, "recording minutes"),
        (return_early, "channel PJSIP/100"),
        (wait, "the handler is running"),
    ],
)
async def test_what_is_left_is_named(handler: Callable[[Call], Awaitable[None]], left: str) -> None:
    with pytest.raises(UnmetExpectationError, match=left) as failure:
        async with fake_call(handler):
            pass

    assert "StasisStart" in str(failure.value)


async def test_leg_that_nothing_ends_is_hung_up_with_its_call() -> None:
    async def handler(call: Call) -> None:
        await call.dial("PJSIP/200")
        await asyncio.Event().wait()

    async with fake_call(handler) as phone:
        await phone.expect_dialled("PJSIP/200")
        phone.hang_up()


async def test_error_of_the_handler_is_raised_with_the_ladder() -> None:
    async def fail(_: Call) -> None:
        raise LookupError("no such customer")

    with pytest.raises(LookupError, match="no such customer") as failure:
        async with fake_call(fail):
            pass

    assert "StasisStart" in "".join(failure.value.__notes__)


async def test_expectation_of_a_handler_that_has_failed_names_its_error() -> None:
    async def fail(_: Call) -> None:
        raise LookupError("no such customer")

    with pytest.raises(UnmetExpectationError) as failure:
        async with fake_call(fail) as phone:
            await phone.expect_played("sound:x")

    assert isinstance(failure.value.__cause__, LookupError)


async def test_request_that_crosses_a_hang_up_is_no_error() -> None:
    async def answer_late(call: Call) -> None:
        await call.ari.channels.answer(call.channel_id)

    async def hang_up_first(phone: Phone, _: str) -> None:
        await phone.hung_up()

    async with fake_call(answer_late, interruption=hang_up_first) as phone:
        await phone.expect_hung_up()


async def test_error_of_the_block_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with fake_call(wait):
            raise ZeroDivisionError


async def test_cancelled_block_ends_everything() -> None:
    ended = asyncio.Event()

    async def wait_in_vain(call: Call) -> None:
        try:
            await wait(call)
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1), fake_call(wait_in_vain):
            await asyncio.Event().wait()

    assert ended.is_set()


async def test_environment_of_the_tests_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARI_PROXY_SERVER_ID", "not.a.name")
    monkeypatch.setenv("ARI_PROXY_COMMAND__ALLOW", '["GET /nothing"]')

    async with fake_call(hang_up) as phone:
        await phone.expect_hung_up(cause=16)
