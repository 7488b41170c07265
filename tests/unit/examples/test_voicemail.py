"""The voicemail: what the owner of a mailbox may do beside hearing messages."""

from typing import Any

import pytest

from ari_proxy import Call
from ari_proxy.testing import Phone, fake_call, hang_up_anywhere
from tests.support.python_examples import example
from tests.support.running import until

CALLED = "PJSIP/4711@trunk"


async def visit(phone: Phone) -> None:
    """Log in, and choose to call somebody."""
    await phone.expect_played("sound:vm-login")
    phone.press("100#")
    await phone.expect_played("sound:vm-password")
    phone.press("1234#")
    await phone.expect_played("sound:vm-opts")
    phone.press("3")
    await phone.expect_played("sound:vm-tomakecall")


async def dial(phone: Phone, digits: str) -> None:
    """Log in, and enter a number to call."""
    await visit(phone)
    phone.press("4")
    await phone.expect_played("sound:vm-enter-num-to-call")
    phone.press(digits)


async def test_owner_of_a_mailbox_calls_a_number() -> None:
    async with fake_call(example("voicemail").voicemail) as phone:
        await dial(phone, "4711#")
        await phone.expect_dialled(CALLED)
        await until(lambda: phone.is_bridged)
        phone.hang_up()


async def test_owner_is_back_in_the_menu_when_nobody_answers() -> None:
    async with fake_call(example("voicemail").voicemail) as phone:
        phone.plan(CALLED, busy=True)
        await dial(phone, "4711#")
        await phone.expect_played("sound:vm-nobodyavail")
        await phone.expect_played("sound:vm-opts")
        phone.press("#")
        await phone.expect_hung_up()


@pytest.mark.parametrize("cancelled", ["47*#", "#"])
async def test_number_that_is_cancelled_is_not_called(cancelled: str) -> None:
    async with fake_call(example("voicemail").voicemail) as phone:
        await dial(phone, cancelled)
        await phone.expect_played("sound:vm-opts")
        phone.press("#")
        await phone.expect_hung_up()

    assert phone.dialled == []


async def test_messages_that_one_caller_leaves_for_one_mailbox_are_all_kept() -> None:
    voicemail = example("voicemail")
    voicemail.MAX_SECONDS = 1
    kept: list[str] = []

    async def serve(call: Call) -> None:
        for _ in range(2):
            await voicemail.choose_call(call)
        kept.extend(await voicemail.messages(call, "101", "new"))
        await call.hang_up()

    async with fake_call(serve) as phone:
        for _ in range(2):
            await phone.expect_played("sound:vm-tomakecall")
            phone.press("5")
            await phone.expect_played("sound:vm-extension")
            phone.press("101#")
            await phone.expect_played("sound:vm-intro")
            await phone.expect_played("sound:vm-review")
            phone.press("1")
            await phone.expect_played("sound:vm-msgsaved")
        await phone.expect_hung_up()

    assert len(kept) == 2


async def test_caller_who_hangs_up_anywhere_leaves_no_leg() -> None:
    voicemail: Any = example("voicemail")

    async def play(phone: Phone) -> None:
        await dial(phone, "4711#")
        await phone.expect_dialled(CALLED)
        await until(lambda: phone.is_bridged)
        phone.hang_up()

    assert await hang_up_anywhere(voicemail.voicemail, play) > 10
