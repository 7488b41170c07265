"""Handlers with external media under test."""

import pytest

from ari_proxy import Call
from ari_proxy.client.errors import NotConnected
from ari_proxy.testing import fake_call, hang_up_anywhere
from ari_proxy.testing.phone import Phone


async def agent(call: Call) -> None:
    async with call.external_media("websocket", connection="agents", timeout=3) as media:
        await call.ari.channels.hangup(media.channel_id)
        await media.wait_ended()
    await call.hang_up()


async def test_other_end_is_there() -> None:
    async with fake_call(agent) as phone:
        await phone.expect_dialled("WebSocket/agents")
        await phone.expect_hung_up()


async def test_other_end_is_away() -> None:
    with pytest.raises(NotConnected, match="away, cause 3"):
        async with fake_call(agent) as phone:
            phone.plan("WebSocket/agents", cause=3)


async def test_other_end_is_late() -> None:
    with pytest.raises(NotConnected, match="within 3 s"):
        async with fake_call(agent) as phone:
            phone.plan("WebSocket/agents", answer=5)


async def test_nothing_is_left_wherever_the_caller_hangs_up() -> None:
    async def play(phone: Phone) -> None:
        await phone.expect_hung_up()

    assert await hang_up_anywhere(agent, play) > 4
