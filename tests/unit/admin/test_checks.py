"""Readiness checks run side by side, and none of them for long."""

import asyncio

from ari_proxy.admin.checks import FAILED_SECONDS, FINE_SECONDS, RememberedCheck, problems
from tests.support.clock import Clock


async def _good() -> str:
    return ""


async def _bad() -> str:
    return "no connection to the bus"


async def _endless() -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def test_failed_checks_are_returned_with_their_problems() -> None:
    assert await problems({"asterisk": _good, "bus": _bad}) == {"bus": "no connection to the bus"}


async def test_check_that_does_not_answer_fails_and_holds_up_no_other() -> None:
    found = await problems({"slow": _endless, "bus": _bad}, check_seconds=0.01)

    assert found == {"slow": "no answer within 0.01 s", "bus": "no connection to the bus"}


async def test_checks_run_side_by_side() -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def meet(own: asyncio.Event, other: asyncio.Event) -> str:
        own.set()
        await other.wait()
        return ""

    found = await problems({"one": lambda: meet(first, second), "two": lambda: meet(second, first)})

    assert found == {}


class Asked:
    """Others that are asked; they answer once they may."""

    def __init__(self) -> None:
        self.times = 0
        self.problem = ""
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self) -> str:
        self.times += 1
        await self.may_answer.wait()
        return self.problem


async def test_others_are_asked_now_and_then_however_often_they_are_asked_about() -> None:
    asked, clock = Asked(), Clock()
    check = RememberedCheck(asked, clock=clock)

    assert {await check() for _ in range(1000)} == {""}
    assert asked.times == 1
    asked.problem = "away"
    clock.now += FINE_SECONDS
    assert {await check() for _ in range(1000)} == {"away"}
    assert asked.times == 2
    asked.problem = ""
    clock.now += FAILED_SECONDS
    assert await check() == ""


async def test_those_who_ask_at_once_share_an_answer() -> None:
    asked = Asked()
    asked.may_answer.clear()
    check = RememberedCheck(asked, clock=Clock())
    asking = [asyncio.ensure_future(check()) for _ in range(100)]
    await asyncio.sleep(0)
    asked.may_answer.set()

    assert await asyncio.gather(*asking) == [""] * 100
    assert asked.times == 1


async def test_answer_about_something_else_is_not_remembered() -> None:
    asked, subject = Asked(), [1]
    check = RememberedCheck(asked, subject=lambda: subject[0], clock=Clock())
    await check()
    subject[0] = 2
    asked.problem = "away"

    assert await check() == "away"


async def test_silence_is_remembered_and_one_who_gives_up_asking_spoils_nothing() -> None:
    asked, clock = Asked(), Clock()
    asked.may_answer.clear()
    check = RememberedCheck(asked, clock=clock, answer_seconds=0.05)
    given_up = asyncio.ensure_future(check())
    await asyncio.sleep(0)
    given_up.cancel()
    assert await check() == "no answer within 0.05 s"
    assert await check() == "no answer within 0.05 s"
    assert asked.times == 2

    asked.may_answer.set()
    clock.now += FAILED_SECONDS
    assert await check() == ""
