import asyncio

import pytest

from ari_proxy.first_of import first_of


async def test_tells_which_has_ended_and_cancels_the_others() -> None:
    ended: list[str] = []

    async def wait(name: str, event: asyncio.Event) -> None:
        try:
            await event.wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    one, two = asyncio.Event(), asyncio.Event()
    two.set()
    assert await first_of(wait("one", one), wait("two", two)) == 1
    assert sorted(ended) == ["one", "two"]


async def test_tells_the_lowest_of_several() -> None:
    assert await first_of(asyncio.sleep(0), asyncio.sleep(0)) == 0


async def test_passes_an_error_on_and_cancels_the_others() -> None:
    async def fail() -> None:
        raise LookupError

    never = asyncio.Event()
    with pytest.raises(ExceptionGroup) as raised:
        await first_of(never.wait(), fail())
    assert raised.group_contains(LookupError)


async def test_cancels_all_when_it_is_cancelled() -> None:
    ended = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(first_of(wait()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
