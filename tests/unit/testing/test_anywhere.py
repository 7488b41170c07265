"""Handlers whose caller hangs up wherever they wait."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ari_proxy import Call
from ari_proxy.client.errors import NotFound
from ari_proxy.client.events import ChannelDtmfReceived
from ari_proxy.testing import Phone, UnmetExpectationError, hang_up_anywhere


async def careful(call: Call) -> None:
    """Serve a call in a bridge, which it destroys whatever happens."""
    await call.ari.channels.answer(call.channel_id)
    try:
        await call.ari.bridges.create(bridge_id="hall")
        await call.ari.bridges.add_channel("hall", channel=[call.channel_id])
        await call.ari.channels.hangup(call.channel_id)
    finally:
        with suppress(NotFound):
            await call.ari.bridges.destroy("hall")


async def careless(call: Call) -> None:
    """Serve a call in a bridge, which stays when the caller hangs up too early."""
    bridge = await call.ari.bridges.create(name="hall")
    await call.ari.channels.answer(call.channel_id)
    await call.ari.bridges.destroy(bridge.id)
    await call.ari.channels.hangup(call.channel_id)


async def listen(phone: Phone) -> None:
    await phone.expect_answered()
    await phone.expect_hung_up(cause=16)


async def listen_for_long(phone: Phone) -> None:
    await phone.expect_hung_up(timeout=2_000)


async def press(phone: Phone) -> None:
    phone.press("1")
    await phone.expect_hung_up(cause=16)


@contextmanager
def interrupted() -> Iterator[None]:
    """Tell that the handler was cancelled in a block."""
    try:
        yield
    except asyncio.CancelledError:
        raise InterruptedError from None


async def wait_for_a_digit(call: Call) -> None:
    with interrupted():
        await call.wait_for(ChannelDtmfReceived)  # here
    await call.ari.channels.hangup(call.channel_id)


async def let_time_pass(call: Call) -> None:
    with interrupted():
        await asyncio.sleep(3)  # here
    await call.ari.channels.hangup(call.channel_id)


async def wait_in_a_task(call: Call) -> None:
    with interrupted():
        async with asyncio.TaskGroup() as tasks:  # here
            tasks.create_task(asyncio.sleep(3))
    await call.ari.channels.hangup(call.channel_id)


def line_of(function: Callable[[Call], Awaitable[None]], text: str) -> int:
    """Return the number of the first line of a function that has a text."""
    first = function.__code__.co_firstlineno
    lines = Path(__file__).read_text().splitlines()[first - 1 :]
    return first + next(number for number, line in enumerate(lines) if text in line)


async def test_careful_handler_stands_each_hang_up() -> None:
    """Three requests, each twice; one that ends the call; and the run that nobody disturbs."""
    assert await hang_up_anywhere(careful, listen) == 8


async def test_careless_handler_is_found_out() -> None:
    with pytest.raises(UnmetExpectationError, match="bridge hall") as failure:
        await hang_up_anywhere(careless, listen)

    where = f"{__file__}:{line_of(careless, 'bridges.create')}, in careless"
    assert failure.value.__notes__ == [
        f"The caller hung up before Asterisk got POST /bridges at {where}."
    ]


async def test_hang_up_between_a_request_and_its_answer() -> None:
    answered: list[bool] = []

    async def answer(call: Call) -> None:
        try:
            await call.ari.channels.answer(call.channel_id)
        finally:
            answered.append(phones[-1].is_answered)
        await call.ari.channels.hangup(call.channel_id)

    phones: list[Phone] = []

    async def note(phone: Phone) -> None:
        phones.append(phone)
        await phone.expect_hung_up()

    assert await hang_up_anywhere(answer, note) == 4
    assert answered == [False, True, True, True]


@pytest.mark.parametrize("wait", [wait_for_a_digit, let_time_pass, wait_in_a_task])
async def test_hang_up_while_the_handler_waits(wait: Callable[[Call], Awaitable[None]]) -> None:
    """Also where it is no request that it waits for."""
    with pytest.raises(InterruptedError) as failure:
        await hang_up_anywhere(wait, press)

    *_, note = failure.value.__notes__
    assert note.startswith("The caller hung up while the handler waited at ")
    assert f":{line_of(wait, '# here')}, in " in note


async def test_handler_that_goes_on_waiting_is_interrupted_once() -> None:
    async def watch_the_clock(call: Call) -> None:
        for _ in range(1_000):
            await asyncio.sleep(1)
        await call.ari.channels.hangup(call.channel_id)

    assert await hang_up_anywhere(watch_the_clock, listen_for_long) == 3


async def test_unmet_expectation_of_the_undisturbed_run_is_raised() -> None:
    async def expect_more(phone: Phone) -> None:
        await listen(phone)
        await phone.expect_played("sound:never")

    with pytest.raises(UnmetExpectationError, match="sound:never"):
        await hang_up_anywhere(careful, expect_more)


async def test_handler_without_end_is_found_out() -> None:
    async def endless(call: Call) -> None:
        while True:
            await call.ari.channels.get(call.channel_id)

    with pytest.raises(RuntimeError, match="has waited 3 times"):
        await hang_up_anywhere(endless, listen, max_runs=3)


def test_usual_event_loop_is_refused() -> None:
    """It does not tell when all wait."""
    with pytest.raises(RuntimeError, match="needs a VirtualTimeLoop"):
        asyncio.run(hang_up_anywhere(careful, listen))
