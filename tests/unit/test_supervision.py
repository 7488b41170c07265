"""Services side by side: one that fails is started again, and the others go on."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from ari_proxy.aio import first_leaf, run_until_first
from ari_proxy.backoff import Backoff
from ari_proxy.supervision import Service, Supervisor
from tests.support.running import until

AT_ONCE = Backoff(first_seconds=0.001, last_seconds=0.001)


class Part:
    """A service that fails as often as a test says, and counts its starts."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = [*failures]
        self.starts = 0
        self.is_serving = False
        self.fail: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, stop: asyncio.Event, serves: Callable[[], object]) -> None:
        self.starts += 1
        if self._failures:
            raise self._failures.pop(0)
        self.is_serving = True
        serves()
        try:
            await run_until_first(stop.wait(), self._failure())
        finally:
            self.is_serving = False

    async def _failure(self) -> None:
        self.fail = asyncio.get_running_loop().create_future()
        await self.fail


def supervisor(**given: Any) -> Supervisor:
    return Supervisor(restart=AT_ONCE, **given)


class Running:
    """A supervisor at work."""

    def __init__(self, tasks: asyncio.TaskGroup, supervising: Supervisor, **parts: Part) -> None:
        self.stop = asyncio.Event()
        services: dict[str, Service] = {name: part.run for name, part in parts.items()}
        self.task = tasks.create_task(supervising.run(services, self.stop))


async def test_all_end_when_they_shall() -> None:
    first, second = Part(), Part()
    async with asyncio.TaskGroup() as tasks:
        running = Running(tasks, supervisor(), a=first, b=second)
        await until(lambda: first.is_serving and second.is_serving)
        running.stop.set()

    assert (first.starts, second.starts) == (1, 1)


async def test_one_that_cannot_start_is_tried_again_and_the_other_serves() -> None:
    failed: list[str] = []
    first, second = Part(), Part(LookupError("no file"), LookupError("no file"))
    supervising = supervisor(count_failure=failed.append)
    async with asyncio.TaskGroup() as tasks:
        running = Running(tasks, supervising, a=first, b=second)
        await until(lambda: second.is_serving)
        running.stop.set()

    assert (first.starts, second.starts) == (1, 3)
    assert failed == ["b", "b"]
    assert supervising.failure_of("b") == ""


async def test_one_that_fails_at_work_is_started_again() -> None:
    first, second = Part(), Part()
    async with asyncio.TaskGroup() as tasks:
        running = Running(tasks, supervisor(), a=first, b=second)
        await until(lambda: first.is_serving and second.is_serving)
        second.fail.set_exception(ValueError("a fault"))
        await until(lambda: second.starts == 2 and second.is_serving)
        assert first.starts == 1
        running.stop.set()


async def test_why_one_does_not_run_is_known_until_it_does() -> None:
    never = Backoff(first_seconds=1000, last_seconds=1000)
    first, second = Part(), Part(LookupError("no file"))
    supervising = Supervisor(restart=never)
    async with asyncio.TaskGroup() as tasks:
        running = Running(tasks, supervising, a=first, b=second)
        await until(lambda: supervising.failure_of("b"))
        assert supervising.failure_of("b") == "no file"
        assert supervising.failure_of("a") == ""
        running.stop.set()  # Nor does it wait for the next start.


async def test_the_only_ones_error_is_the_process_s() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        await supervisor().run({"a": Part(LookupError("no file")).run}, asyncio.Event())

    assert isinstance(first_leaf(raised.value), LookupError)


async def test_the_error_of_the_last_one_that_runs_ends_all() -> None:
    never = Backoff(first_seconds=1000, last_seconds=1000)
    first, second = Part(), Part(LookupError("no file"))
    supervising = Supervisor(restart=never)
    services: dict[str, Service] = {"a": first.run, "b": second.run}
    running = asyncio.ensure_future(supervising.run(services, asyncio.Event()))
    await until(lambda: supervising.failure_of("b") and first.is_serving)
    first.fail.set_exception(ValueError("a fault"))

    with pytest.raises(ExceptionGroup) as raised:
        await running

    assert isinstance(first_leaf(raised.value), ValueError)


@pytest.mark.parametrize(("expected", "has_traceback"), [(LookupError, False), ((), True)])
async def test_a_failure_is_logged_with_its_traceback_unless_its_message_says_all(
    expected: Any, has_traceback: bool
) -> None:
    first, second = Part(), Part(LookupError("no file"))
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as tasks:
            running = Running(tasks, supervisor(expected=expected), a=first, b=second)
            await until(lambda: second.is_serving)
            running.stop.set()

    (line,) = logs
    assert (line["event"], line["server_id"], line["error"]) == ("server.failed", "b", "no file")
    assert (line["exc_info"] is not None) == has_traceback


async def test_cancelling_ends_all() -> None:
    first, second = Part(), Part()
    running: asyncio.Task[None] | None = None
    async with asyncio.TaskGroup() as tasks:
        running = Running(tasks, supervisor(), a=first, b=second).task
        await until(lambda: first.is_serving and second.is_serving)
        running.cancel()

    assert not first.is_serving
    assert not second.is_serving
