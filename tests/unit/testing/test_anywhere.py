"""Handlers whose caller hangs up at each of their requests."""

from contextlib import suppress

import pytest

from ari_proxy import Call
from ari_proxy.client.errors import NotFound
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
    await call.ari.channels.answer(call.channel_id)
    bridge = await call.ari.bridges.create(name="hall")
    await call.ari.channels.answer(call.channel_id)
    await call.ari.bridges.destroy(bridge.id)
    await call.ari.channels.hangup(call.channel_id)


async def listen(phone: Phone) -> None:
    await phone.expect_answered()
    await phone.expect_hung_up(cause=16)


async def test_careful_handler_stands_each_hang_up() -> None:
    assert await hang_up_anywhere(careful, listen) == 6


async def test_careless_handler_is_found_out() -> None:
    with pytest.raises(UnmetExpectationError, match="bridge hall") as failure:
        await hang_up_anywhere(careless, listen)

    assert failure.value.__notes__ == ["The caller has hung up before request 2 of the handler."]


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

    with pytest.raises(RuntimeError, match="has sent 3 requests"):
        await hang_up_anywhere(endless, listen, max_runs=3)
