"""What a handler under test knows of its call without asking."""

from ari_proxy import Call
from ari_proxy.client.events import ChannelDtmfReceived
from ari_proxy.testing import fake_call


async def test_call_is_known_when_its_handler_begins() -> None:
    async def handler(call: Call) -> None:
        known.extend([call.state, call.caller.number, call.dialplan.exten])
        await call.answer()
        await call.wait_for(ChannelDtmfReceived)
        known.append(call.state)
        await call.hang_up()

    known: list[str] = []
    async with fake_call(handler, caller="100", extension="7") as phone:
        await phone.expect_answered()
        phone.press("1")

    assert known == ["Ring", "100", "7", "Up"]


async def test_variables_are_read_again_after_a_gap() -> None:
    async def handler(call: Call) -> None:
        await call.ari.channels.set_variable(call.channel_id, "PIN", value="12")
        await call.answer()
        await call.wait_for(ChannelDtmfReceived)
        known.append(call.variables["PIN"])
        await call.hang_up()

    known: list[str] = []
    async with fake_call(handler) as phone:
        await phone.expect_answered()
        phone.gap()
        phone.press("1")

    assert known == ["12"]
