"""The attended transfer: who takes the caller, and what becomes of the caller otherwise."""

from ari_proxy.testing import Phone, fake_call, hang_up_anywhere
from tests.support.python_examples import example
from tests.support.running import until

#: Accepts half a second after the answer.
WILLING = "Local/dtmf-w1@colleagues"
BUSY = "Local/busy@colleagues"


async def test_caller_comes_to_the_first_colleague_who_accepts() -> None:
    transfer = example("attended_transfer")
    transfer.COLLEAGUES = [BUSY, WILLING, "PJSIP/200"]

    async with fake_call(transfer.put_through) as phone:
        await phone.expect_dialled(WILLING)
        await until(lambda: phone.is_bridged)
        phone.hang_up()

    assert phone.dialled == [BUSY, WILLING]


async def test_caller_is_told_that_nobody_is_there() -> None:
    transfer = example("attended_transfer")
    transfer.COLLEAGUES = [BUSY]

    async with fake_call(transfer.put_through) as phone:
        await phone.expect_played("sound:vm-nobodyavail")
        await phone.expect_hung_up()


async def test_caller_who_hangs_up_anywhere_leaves_nothing() -> None:
    transfer = example("attended_transfer")
    transfer.COLLEAGUES = [WILLING]

    async def play(phone: Phone) -> None:
        await phone.expect_dialled(WILLING)
        await until(lambda: phone.is_bridged)
        phone.hang_up()

    assert await hang_up_anywhere(transfer.put_through, play) > 5
