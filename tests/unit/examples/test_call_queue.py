"""The queue: callers keep their order, and agents have one caller at a time."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ari_proxy import Call
from ari_proxy.testing import Phone, fake_call, hang_up_anywhere
from tests.support.python_examples import example
from tests.support.running import until

#: Takes each caller, half a second after the answer.
WILLING = "Local/dtmf-w1@agents"
#: Answers, and presses nothing.
ABSENT = "Local/answer@agents"
SILENT = "Local/ring@agents"
BUSY = "Local/busy@agents"


def queue_of(*agents: str) -> Any:
    """Return the example with these agents."""
    queue = example("call_queue")
    queue.line.free.clear()
    queue.line.free.extend(agents)
    return queue


async def until_connected(phone: Phone, agent: str = WILLING) -> None:
    """Wait until an agent has taken the caller."""
    await phone.expect_dialled(agent, timeout=60)
    await until_in_bridge(phone)


async def until_in_bridge(phone: Phone) -> None:
    await until(lambda: phone.is_bridged)


async def test_agent_who_presses_1_has_the_caller() -> None:
    queue = queue_of(WILLING)

    async with fake_call(queue.queue) as phone:
        await phone.expect_answered()
        await until_connected(phone)
        assert list(queue.line.free) == []
        phone.hang_up()
    await until(lambda: list(queue.line.free) == [WILLING])


@pytest.mark.parametrize("other", [ABSENT, SILENT, BUSY])
async def test_agent_who_takes_no_caller_is_left_alone_for_a_while(other: str) -> None:
    queue = queue_of(other, WILLING)

    async with fake_call(queue.queue) as first:
        await until_connected(first)
        first.hang_up()
    async with fake_call(queue.queue) as second:
        await until_connected(second)
        await until_free(queue, other)
        second.hang_up()

    assert first.dialled == [other, WILLING]
    assert second.dialled == [WILLING]


async def until_free(queue: Any, agent: str) -> None:
    async with asyncio.timeout(queue.REST_SECONDS):
        while agent not in queue.line.free:
            await asyncio.sleep(1)


async def test_caller_waits_on_until_an_agent_is_there_again() -> None:
    queue = queue_of(ABSENT)

    async with fake_call(queue.queue) as phone:
        for _ in range(3):
            await phone.expect_dialled(ABSENT, timeout=2 * queue.REST_SECONDS)
        assert phone.played.count("number:1") >= 2 * (queue.REST_SECONDS // queue.PLACE_SECONDS)
        phone.hang_up()
    assert not queue.line.waiting


async def test_callers_hear_their_places_which_go_on_when_others_leave() -> None:
    queue = queue_of(WILLING)

    async with AsyncExitStack() as calls:
        first, second, third = [
            await calls.enter_async_context(fake_call(queue.queue)) for _ in range(3)
        ]
        await second.expect_played("number:2")
        await third.expect_played("number:3")
        await until_connected(first)
        second.hang_up()
        await third.expect_played("number:1", timeout=2 * queue.PLACE_SECONDS)
        first.hang_up()
        await until_connected(third)
        third.hang_up()

    assert second.dialled == []


async def test_callers_are_taken_in_their_order_and_agents_are_called_for_one_at_a_time() -> None:
    agents = [WILLING, "Local/dtmf-ww1@agents"]
    queue = queue_of(*agents)
    called: Counter[str] = Counter()
    most: Counter[str] = Counter()
    served: list[str] = []
    connect = queue.connect

    async def counted(call: Call, agent: str) -> None:
        called[agent] += 1
        most[agent] = max(most[agent], called[agent])
        served.append(call.id)
        try:
            await connect(call, agent)
        finally:
            called[agent] -= 1

    queue.connect = counted
    arrived: list[str] = []

    async def serve(call: Call) -> None:
        arrived.append(call.id)
        await queue.queue(call)

    async with AsyncExitStack() as open_calls:
        phones = []
        for number in range(6):
            phones.append(await open_calls.enter_async_context(fake_call(serve)))
            await until(lambda number=number: len(arrived) > number)  # type: ignore[misc]
        for phone in phones:
            await until_in_bridge(phone)
            phone.hang_up()

    assert dict(most) == dict.fromkeys(agents, 1)
    assert served == arrived


async def test_caller_who_hangs_up_anywhere_leaves_nobody_in_the_queue() -> None:
    queue = queue_of(WILLING)

    async def serve(call: Call) -> None:
        await queue.queue(call)

    async def play(phone: Phone) -> None:
        await until_connected(phone)
        phone.hang_up()

    assert await hang_up_anywhere(serve, play) > 8
    await until(lambda: list(queue.line.free) == [WILLING])
    assert not queue.line.waiting
