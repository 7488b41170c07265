import asyncio

import pytest

from ari_proxy.bus.connection_state import ConnectionState


def test_problem_names_what_keeps_the_bus_from_working() -> None:
    state = ConnectionState()
    assert state.problem == ("away", "no connection to the bus")
    state.fail("no such user", is_refusal=True)
    assert state.problem == ("refused", "the bus refuses us: no such user")
    state.begin()
    assert state.problem is None
    assert not state.block("low on memory")
    assert state.problem == ("blocked", "blocked: low on memory")
    assert state.is_blocked
    state.end()
    assert state.problem == ("away", "no connection to the bus")
    assert not state.is_blocked
    assert state.block("")
    assert not state.block("")


@pytest.mark.parametrize(("others", "kind"), [(1, "refused"), (2, "away")])
def test_refusal_stays_the_reason_until_a_whole_round_passes_without_one(
    others: int, kind: str
) -> None:
    state = ConnectionState()
    state.fail("no such user", is_refusal=True, attempts=2)
    for _ in range(others):
        state.fail("nobody listens", is_refusal=False, attempts=2)

    assert state.problem is not None
    assert state.problem.kind == kind


def test_reconnects_leave_out_the_first_connection() -> None:
    state = ConnectionState()
    counts = [state.reconnects]
    for _ in range(3):
        state.begin()
        counts.append(state.reconnects)
        state.end()

    assert counts == [0, 0, 1, 2]


async def _is_waiting(waiter: "asyncio.Task[str]") -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not waiter.done()


async def test_tried_is_when_every_server_has_failed() -> None:
    state = ConnectionState()
    waiter = asyncio.create_task(state.wait_tried())
    state.fail("first", is_refusal=False, attempts=2)
    assert await _is_waiting(waiter)
    state.fail("second", is_refusal=False, attempts=2)

    assert await waiter == "second"


async def test_connection_that_is_lost_at_once_is_not_taken_for_a_result() -> None:
    state = ConnectionState()
    waiter = asyncio.create_task(state.wait_tried())
    assert await _is_waiting(waiter)
    state.begin()
    state.end()
    assert await _is_waiting(waiter)
    state.begin()

    assert await waiter == ""
