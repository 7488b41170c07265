"""The endpoints that an application calls: what a test plans of them, and what it expects."""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from ari_proxy.ari import causes
from ari_proxy.bus.memory.bus import MemoryBroker
from ari_proxy.simulator.plans import EndpointPlan

from .caller import Caller
from .changes import Changes
from .errors import UnmetExpectationError
from .failures import Failure, PlannedFailures
from .line import Line
from .record import CallRecord

T = TypeVar("T")
#: Seconds of the event loop's clock for an expectation.
DEADLINE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParts:
    """What calls under test consist of, whoever places them."""

    line: Line
    caller: Caller
    changes: Changes
    broker: MemoryBroker
    failures: PlannedFailures
    record: CallRecord
    #: For an expectation.
    deadline_seconds: float = DEADLINE_SECONDS


class Endpoints:
    """All whom an application may call, in the hands of a test.

    Each `expect_…` waits until what it names has happened, after what the former one of its kind
    has found. It fails with the ladder of the calls after `timeout` seconds.
    """

    def __init__(self, parts: CallParts) -> None:
        """Initialise before any call."""
        self._line = parts.line
        self._caller = parts.caller
        self._changes = parts.changes
        self._broker = parts.broker
        self._failures = parts.failures
        self._record = parts.record
        self._deadline_seconds = parts.deadline_seconds
        #: How far the expectations have come in each list.
        self._read = {"played": 0, "dialled": 0}

    @property
    def dialled(self) -> list[str]:
        """Endpoints that were called, in order, like `PJSIP/200`."""
        return self._caller.dialled

    def ladder(self) -> str:
        """Return all that has happened so far as a ladder."""
        return self._record.ladder()

    # What a test plans

    def plan(
        self,
        endpoint: str,
        *,
        answer: float | None = None,
        ring: float = math.inf,
        busy: bool = False,
        cause: int | None = None,
        presses: str = "",
    ) -> None:
        """Say what an endpoint does when it is called; without a plan it answers at once.

        Args:
            endpoint: like `PJSIP/200`.
            answer: seconds of ringing until it answers; None if it does not.
            ring: seconds of ringing after which it gives up, with cause 19; that of the handler may
                be shorter.
            busy: whether it refuses with cause 17.
            cause: of Q.850, with which it refuses.
            presses: digits once it has answered; a `w` is a pause of half a second.
        """
        seconds = ring if answer is None else answer
        plan = EndpointPlan(
            ring_seconds=seconds,
            answers=answer is not None,
            refusal=causes.BUSY if busy else cause,
            digits=presses,
        )
        self._line.plan(endpoint, plan)

    def fail(self, operation: str, failure: Failure) -> None:
        """Let the next request of an operation fail; each call plans one more failure.

        Args:
            operation: like `channels.answer`.
            failure: an error status of Asterisk like 404; `not_sent`, if Asterisk shall not get the
                request; or `unknown`, if it shall execute the request and its answer be lost.

        Raises:
            ValueError: there is no such operation, or no such failure.
        """
        self._failures.plan(operation, failure)

    @contextmanager
    def bus_away(self) -> Iterator[None]:
        """Take the bus away from the application and from ari-proxy during a block.

        Commands wait for it; one that waits longer than `response_seconds` raises `NotSent`, and is
        never executed. Events wait, too, and come in order once the bus is back.
        """
        self._broker.stop()
        try:
            yield
        finally:
            self._broker.start()

    # What a test expects

    async def expect_dialled(self, endpoint: str, *, timeout: float | None = None) -> None:
        """Wait until an endpoint is called; others before it are passed over."""
        what = f"dialled {endpoint}"
        await self._expect(what, partial(self._next, "dialled", self.dialled, endpoint), timeout)

    def assert_nothing_left(self) -> None:
        """Check that no channel, bridge or recording is left.

        Raises:
            UnmetExpectationError: names all that is left.
        """
        if left := self._left():
            raise self._failure(f"left when the call was over: {'; '.join(left)}")

    async def finish(self) -> None:
        """Wait until nothing is left.

        Raises:
            UnmetExpectationError: something is left.
        """
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._until_over()
                await self._line.until_nothing_is_left()
        except TimeoutError:
            self.assert_nothing_left()

    async def _until_over(self) -> None:
        """Return once nothing is done any more."""

    def _left(self) -> list[str]:
        return self._line.left()

    async def _expect(
        self, what: str, look: Callable[[], T | None], timeout_seconds: float | None
    ) -> T:
        def found() -> T | None:
            result = look()
            if result is None:
                self._check(what)
            return result

        seconds = self._deadline_seconds if timeout_seconds is None else timeout_seconds
        try:
            return await self._changes.until(found, timeout_seconds=seconds)
        except TimeoutError:
            raise self._failure(f"expected: {what}; not within {seconds:g} s") from None

    def _check(self, what: str) -> None:
        """Raise if what is expected can't come any more."""

    def _next(self, kind: str, seen: list[str], wanted: str) -> bool | None:
        """Look for one that was not found before; None if there is none."""
        for position in range(self._read[kind], len(seen)):
            if seen[position] == wanted:
                self._read[kind] = position + 1
                return True
        return None

    def _failure(self, what: str) -> UnmetExpectationError:
        played = self._caller.played
        seen = [f"played: {', '.join(played)}"] if played else []
        seen += [f"dialled: {', '.join(self.dialled)}"] if self.dialled else []
        return UnmetExpectationError("\n".join([what, *seen]), self.ladder())
