"""Transfers of handlers under test: nothing is left, wherever the caller hangs up."""

import asyncio

from ari_proxy import Call
from ari_proxy.client.errors import DialFailed
from ari_proxy.testing import Phone, fake_call, hang_up_anywhere

AGENT = "PJSIP/200"


async def to_agent(call: Call) -> None:
    """Put the caller through, for ten seconds at most."""
    try:
        async with asyncio.timeout(10):
            await call.transfer(AGENT, attended=True, accept="1")
    except (DialFailed, TimeoutError):
        await call.play("sound:vm-nobodyavail")
    await call.hang_up()


async def test_agent_accepts() -> None:
    async def accepted(phone: Phone) -> None:
        phone.plan(AGENT, answer=1, presses="w1")
        await phone.expect_hung_up(timeout=30)

    assert await hang_up_anywhere(to_agent, accepted) > 10


async def test_agent_declines() -> None:
    async def declined(phone: Phone) -> None:
        phone.plan(AGENT, answer=1, presses="w2")
        await phone.expect_played("sound:vm-nobodyavail", timeout=30)
        await phone.expect_hung_up()

    await hang_up_anywhere(to_agent, declined)


async def test_phone_is_redirected() -> None:
    async def away(call: Call) -> None:
        await call.transfer(AGENT)

    async with fake_call(away) as phone:
        assert await phone.expect_hung_up() == 23
