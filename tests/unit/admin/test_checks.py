"""Readiness checks run side by side, and none of them for long."""

import asyncio

from ari_proxy.admin.checks import problems


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
