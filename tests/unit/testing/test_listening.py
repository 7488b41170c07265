"""Handlers that listen in, under test."""

from ari_proxy import Call
from ari_proxy.testing import hang_up_anywhere
from ari_proxy.testing.phone import Phone


async def listen(call: Call) -> None:
    await call.answer()
    async with (
        call.snoop(spy="both") as ear,
        ear.external_media("websocket", connection="agents") as media,
    ):
        await ear.play("sound:beep")
        await call.ari.channels.hangup(media.channel_id)
        await media.wait_ended()
    await call.hang_up()


async def test_nothing_is_left_of_a_listener_wherever_the_caller_hangs_up() -> None:
    async def play(phone: Phone) -> None:
        await phone.expect_hung_up()

    assert await hang_up_anywhere(listen, play) > 8
