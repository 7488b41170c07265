"""Who is active while the API server fails, refuses, or has lost the Lease; time does not wait."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ari_proxy.ingest.lease.kubernetes import KubernetesLease
from ari_proxy.testing.virtual_time import VirtualTimeLoop
from tests.support.lease_store import StoredLease, View

DURATION = 3
#: Longer than any lease lasts.
LONG = 20 * DURATION


class Candidate:
    """An ingest of the server: active while it has the lease, and standing by otherwise."""

    def __init__(self, stored: StoredLease, name: str) -> None:
        clock = asyncio.get_running_loop().time
        self.view = View(stored)
        self.lease = KubernetesLease(
            self.view, "lease", name, duration_seconds=DURATION, clock=clock
        )
        self.is_active = False
        #: How often it has become active.
        self.turns = 0

    async def run(self) -> None:
        while True:
            await self.lease.acquire()
            self.turns += 1
            self.is_active = True
            await self.lease.keep()
            self.is_active = False

    def refuse(self, *methods: str, status: int = 403) -> None:
        """Have the API server refuse some methods, as it does without a right."""
        refused = methods or ("GET", "POST", "PUT")
        self.view.refusal = lambda method: f"answers {status}" if method in refused else ""

    def accept(self) -> None:
        self.view.refusal = lambda _: ""


class Scene:
    """Two ingests of one server."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.stored = StoredLease()
        self.first = Candidate(self.stored, "first")
        self.second = Candidate(self.stored, "second")
        self._tasks = tasks
        self._running: list[asyncio.Task[None]] = []

    def start(self, candidate: Candidate) -> None:
        self._running.append(self._tasks.create_task(candidate.run()))

    async def lead(self) -> None:
        """Have the first one active and the second one stand by."""
        self.start(self.first)
        await asyncio.sleep(1)
        self.start(self.second)
        await asyncio.sleep(1)
        assert self.active == ["first"]

    def kill(self, candidate: Candidate) -> None:
        """End its process: its name stays."""
        place = 0 if candidate is self.first else 1
        self._running[place].cancel()
        candidate.is_active = False

    def end(self) -> None:
        for task in self._running:
            task.cancel()

    @property
    def active(self) -> list[str]:
        both = {"first": self.first, "second": self.second}
        return [name for name, candidate in both.items() if candidate.is_active]


def play(act: Callable[[Scene], Awaitable[None]]) -> None:
    """Play a scene in time that does not wait."""

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            scene = Scene(tasks)
            await act(scene)
            scene.end()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


@pytest.mark.parametrize("status", [400, 401, 403, 409, 410, 422, 429, 500, 503])
@pytest.mark.parametrize("methods", [("GET", "PUT"), ("PUT",), ("GET",)])
def test_holder_goes_on_whatever_the_api_server_refuses_to_all(
    status: int, methods: tuple[str, ...]
) -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        for candidate in (scene.first, scene.second):
            candidate.refuse(*methods, status=status)
        await asyncio.sleep(LONG)
        assert (scene.active, scene.first.turns, scene.second.turns) == (["first"], 1, 0)

        for candidate in (scene.first, scene.second):
            candidate.accept()
        await asyncio.sleep(LONG)
        assert (scene.active, scene.stored.holder) == (["first"], "first")
        assert (scene.first.turns, scene.second.turns) == (1, 0)

    play(act)


def test_holder_goes_on_while_the_api_server_answers_nothing_and_after_that() -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        scene.first.view.is_silent = scene.second.view.is_silent = True
        await asyncio.sleep(LONG)
        scene.first.view.is_silent = scene.second.view.is_silent = False
        await asyncio.sleep(LONG)
        assert (scene.active, scene.first.turns, scene.second.turns) == (["first"], 1, 0)

    play(act)


@pytest.mark.parametrize("may_create", [True, False])
def test_holder_goes_on_without_a_lease_and_takes_the_one_that_is_made_anew(
    *, may_create: bool
) -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        if not may_create:
            scene.first.refuse("POST")
            scene.second.refuse("POST")
        scene.stored.object = None
        await asyncio.sleep(LONG)
        assert scene.active == ["first"]
        assert scene.stored.holder == ("first" if may_create else "")

        scene.stored.make_anew()
        await asyncio.sleep(LONG)
        assert (scene.active, scene.stored.holder) == (["first"], "first")
        assert (scene.first.turns, scene.second.turns) == (1, 0)

    play(act)


def test_holder_that_alone_is_refused_sees_its_successor_as_soon_as_it_may_read() -> None:
    """Until then the successor takes over its dialogs: that is not the lease's business."""

    async def act(scene: Scene) -> None:
        await scene.lead()
        scene.first.refuse()
        await asyncio.sleep(LONG)
        assert scene.active == ["first", "second"]

        scene.first.accept()
        await asyncio.sleep(DURATION)
        assert (scene.active, scene.stored.holder) == (["second"], "second")

    play(act)


@pytest.mark.parametrize("made_anew", [True, False])
def test_standby_takes_over_from_a_dead_holder(*, made_anew: bool) -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        scene.kill(scene.first)
        if made_anew:
            scene.stored.make_anew()
        await asyncio.sleep(2 * DURATION)
        assert (scene.active, scene.stored.holder) == (["second"], "second")

    play(act)


def test_released_lease_is_taken_at_the_next_look() -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        scene.kill(scene.first)
        await scene.first.lease.release()
        assert scene.first.lease.is_valid()
        await asyncio.sleep(1)
        assert scene.active == ["second"]

    play(act)


def test_lease_that_is_not_held_is_not_released() -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        await scene.second.lease.release()
        assert scene.stored.holder == "first"
        assert not scene.second.lease.is_valid()

    play(act)


def test_process_that_was_suspended_beyond_its_lease_knows_that_it_is_over() -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        scene.kill(scene.first)
        await asyncio.sleep(2 * DURATION)
        assert not scene.first.lease.is_valid()
        await scene.first.lease.keep()  # Returns.
        await scene.first.lease.release()
        assert scene.stored.holder == "second"

    play(act)


def test_renewing_is_one_request() -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        scene.first.view.requests.clear()
        await asyncio.sleep(LONG)
        assert set(scene.first.view.requests) == {"PUT"}
        assert set(scene.second.view.requests) == {"GET"}

    play(act)


def test_lease_that_somebody_has_labelled_is_renewed_at_once() -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        found = scene.stored.object or {}
        scene.stored.store({**found, "metadata": {**found["metadata"], "labels": {"x": "y"}}})
        await asyncio.sleep(LONG)
        assert (scene.active, scene.first.turns) == (["first"], 1)
        assert (scene.stored.object or {})["metadata"]["labels"] == {"x": "y"}

    play(act)


def test_standby_is_ready_while_somebody_is_seen_to_be_active() -> None:
    async def act(scene: Scene) -> None:
        assert "has not been read yet" in scene.second.lease.problem
        await scene.lead()
        await asyncio.sleep(LONG)
        assert (scene.first.lease.problem, scene.second.lease.problem) == ("", "")

        scene.kill(scene.first)
        scene.second.refuse("PUT")
        await asyncio.sleep(LONG)
        assert "no ingest is known to be active" in scene.second.lease.problem
        assert "answers 403" in scene.second.lease.problem

        scene.second.accept()
        await asyncio.sleep(DURATION)
        assert (scene.active, scene.second.lease.problem) == (["second"], "")

    play(act)


def test_standby_says_that_there_is_no_lease() -> None:
    async def act(scene: Scene) -> None:
        await scene.lead()
        scene.stored.object = None
        scene.first.refuse("POST")
        scene.second.refuse("POST")
        await asyncio.sleep(LONG)
        assert scene.first.lease.problem == ""
        assert "there is no Lease lease, and answers 403" in scene.second.lease.problem

    play(act)


def test_closing_closes_the_connection() -> None:
    async def act(scene: Scene) -> None:
        await scene.first.lease.close()
        assert scene.first.view.is_closed

    play(act)
