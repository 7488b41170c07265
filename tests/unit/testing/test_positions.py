"""Where a coroutine waits, by the author's own lines."""

import asyncio
from collections.abc import AsyncIterator

from ari_proxy.aio import run_until_first
from ari_proxy.testing.positions import position_of, positions


async def ask() -> None:
    await asyncio.sleep(1)


async def menu() -> None:
    await ask()


async def within_a_library() -> None:
    await run_until_first(ask())


async def digits() -> AsyncIterator[str]:
    await asyncio.sleep(1)
    yield "1"


async def read() -> None:
    async for _ in digits():
        pass


def line(function: object, distance: int = 1) -> str:
    code = function.__code__  # type: ignore[attr-defined]  # of a function
    return f"{__file__}:{code.co_firstlineno + distance}, in {code.co_name}"


async def test_innermost_line_of_the_author_is_told() -> None:
    waiting = menu()
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)

    assert str(position_of(waiting)) == line(ask)
    assert line(ask) in map(str, positions())
    await task
    assert position_of(waiting) is None


async def test_lines_of_libraries_are_passed_over() -> None:
    waiting = within_a_library()
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)

    assert str(position_of(waiting)) == line(within_a_library)
    await task


async def test_line_that_reads_a_generator_is_told() -> None:
    waiting = read()
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)

    assert str(position_of(waiting)) == line(read)
    await task


async def test_what_is_no_coroutine_waits_nowhere() -> None:
    waiting = asyncio.get_running_loop().create_future()

    assert position_of(waiting) is None
