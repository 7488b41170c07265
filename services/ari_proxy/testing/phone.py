"""The caller's phone: what a test does, and what it expects."""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from ari_proxy.bus.memory.bus import MemoryBroker
from ari_proxy.client.errors import RequestFailed
from ari_proxy.simulator import causes
from ari_proxy.simulator.plans import EndpointPlan

from .caller import Caller
from .changes import Changes
from .errors import UnmetExpectationError
from .failures import Failure, PlannedFailures
from .handler_run import HandlerRun
from .line import Line
from .record import CallRecord

T = TypeVar("T")
#: Seconds of the event loop's clock for an expectation.
DEADLINE_SECONDS: Final = 5.0


class Phone:
    """The caller of one call, in the hands of a test.

    Each `expect_…` waits until what it names has happened, after what the former one of its kind
    has found. It fails with the ladder of the call: after `timeout` seconds, or as soon as the call
    is over.
    """

    def __init__(  # noqa: PLR0913  all that a call consists of
        self,
        line: Line,
        caller: Caller,
        changes: Changes,
        *,
        tasks: asyncio.TaskGroup,
        broker: MemoryBroker,
        failures: PlannedFailures,
        record: CallRecord,
        handler: HandlerRun,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Initialise a phone that has not called yet."""
        self._line = line
        self._caller = caller
        self._changes = changes
        self._tasks = tasks
        self._broker = broker
        self._failures = failures
        self._record = record
        self._handler = handler
        self._deadline_seconds = deadline_seconds
        self._has_hung_up = False
        #: How far the expectations have come in each list.
        self._read = {"played": 0, "dialled": 0}

    @property
    def channel_id(self) -> str:
        """The id of the caller's channel, also once it is gone."""
        return self._caller.channel_id

    @property
    def is_connected(self) -> bool:
        """True until the caller's channel is destroyed."""
        return self._caller.is_connected

    @property
    def is_answered(self) -> bool:
        """True once the handler has answered."""
        return self._caller.has_answered

    @property
    def is_bridged(self) -> bool:
        """True while the caller is in a bridge."""
        return self._caller.is_bridged

    @property
    def played(self) -> list[str]:
        """Media that the caller has heard, in order, like `sound:hello`."""
        return self._caller.played

    @property
    def dialled(self) -> list[str]:
        """Endpoints that the handler has called, in order, like `PJSIP/200`."""
        return self._caller.dialled

    def ladder(self) -> str:
        """Return the call so far as a ladder."""
        return self._record.ladder()

    # What a caller does

    def press(self, digits: str) -> None:
        """Press digits, one after another.

        Raises:
            UnmetExpectationError: the call is over.
        """
        if not self.is_connected:
            raise self._failure(f"{digits} could not be pressed: the caller's channel is gone")
        self._line.press(digits)

    def hang_up(self, cause: int = causes.NORMAL) -> None:
        """Hang up, with a cause of Q.850; nothing happens if the channel is gone already."""
        self._tasks.create_task(self.hung_up(cause))

    async def hung_up(self, cause: int = causes.NORMAL) -> None:
        """Hang up, and return once Asterisk has told it."""
        if self.is_connected:
            self._has_hung_up = True
            await self._line.hang_up(cause)

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
        """Let the handler's next request of an operation fail; each call plans one more failure.

        Args:
            operation: like `channels.answer`.
            failure: an error status of Asterisk like 404; `not_sent`, if Asterisk shall not get the
                request; or `unknown`, if it shall execute the request and its answer be lost.

        Raises:
            ValueError: there is no such operation, or no such failure.
        """
        self._failures.plan(operation, failure)

    def gap(self) -> None:
        """Tell the handler that events may be missing (ProxyGap).

        Raises:
            UnmetExpectationError: the call is over.
        """
        try:
            self._line.report_gap()
        except KeyError:
            raise self._failure("there is no gap in a call that is over") from None

    @contextmanager
    def bus_away(self) -> Iterator[None]:
        """Take the bus away from the handler and from ari-proxy during a block.

        Commands wait for it; one that waits longer than `response_seconds` raises `NotSent`, and is
        never executed. Events wait, too, and come in order once the bus is back.
        """
        self._broker.stop()
        try:
            yield
        finally:
            self._broker.start()

    # What a test expects

    async def expect_answered(self, *, timeout: float | None = None) -> None:
        """Wait until the handler has answered."""
        await self._expect("answered", lambda: self.is_answered or None, timeout)

    async def expect_played(self, media: str, *, timeout: float | None = None) -> None:
        """Wait until the caller hears a medium; others before it are passed over."""
        what = f"played {media}"
        await self._expect(what, partial(self._next, "played", self.played, media), timeout)

    async def expect_dialled(self, endpoint: str, *, timeout: float | None = None) -> None:
        """Wait until the handler calls an endpoint; others before it are passed over."""
        what = f"dialled {endpoint}"
        await self._expect(what, partial(self._next, "dialled", self.dialled, endpoint), timeout)

    async def expect_hung_up(
        self,
        *,
        cause: int | None = None,
        timeout: float | None = None,
    ) -> int:
        """Wait until the caller's channel is gone, and return the cause (Q.850).

        Raises:
            UnmetExpectationError: it was another cause than `cause`, too.
        """
        found = await self._expect("hung up", lambda: self._caller.cause, timeout)
        if cause is not None and found != cause:
            raise self._failure(f"expected: hung up with cause {cause}; the cause was {found}")
        return found

    async def expect_left(self, *, timeout: float | None = None) -> None:
        """Wait until the handler has sent the caller back into the dialplan."""
        await self._expect("left to the dialplan", lambda: self._caller.has_left or None, timeout)

    def assert_nothing_left(self) -> None:
        """Check that no channel, bridge or recording is left, and that the handler has ended.

        A caller who was sent back into the dialplan is not counted.

        Raises:
            UnmetExpectationError: names all that is left.
        """
        if left := self._left():
            raise self._failure(f"left when the call was over: {'; '.join(left)}")

    async def finish(self) -> None:
        """Wait until nothing is left; raise what the handler has raised.

        A handler may have sent a request that crosses the caller's hang-up: if that is refused, and
        the handler raises it, its call has ended.

        Raises:
            UnmetExpectationError: something is left.
            Exception: the handler's own.
        """
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._changes.until(lambda: self._handler.is_done or None)
                await self._line.until_nothing_is_left()
        except TimeoutError:
            self.assert_nothing_left()
        error = self._handler.error
        if error is not None and not (self._has_hung_up and isinstance(error, RequestFailed)):
            error.add_note(self.ladder())
            raise error

    def _left(self) -> list[str]:
        return ([] if self._handler.is_done else ["the handler is running"]) + self._line.left()

    async def _expect(
        self, what: str, look: Callable[[], T | None], timeout_seconds: float | None
    ) -> T:
        def found() -> T | None:
            result = look()
            if result is None and self._is_over:
                raise self._failure(f"expected: {what}; the call is over") from self._handler.error
            return result

        seconds = self._deadline_seconds if timeout_seconds is None else timeout_seconds
        try:
            return await self._changes.until(found, timeout_seconds=seconds)
        except TimeoutError:
            raise self._failure(f"expected: {what}; not within {seconds:g} s") from None

    @property
    def _is_over(self) -> bool:
        """True if nothing more can come."""
        return self._handler.is_done and self._caller.is_over

    def _next(self, kind: str, seen: list[str], wanted: str) -> bool | None:
        """Look for one that was not found before; None if there is none."""
        for position in range(self._read[kind], len(seen)):
            if seen[position] == wanted:
                self._read[kind] = position + 1
                return True
        return None

    def _failure(self, what: str) -> UnmetExpectationError:
        seen = [f"played: {', '.join(self.played)}"] if self.played else []
        seen += [f"dialled: {', '.join(self.dialled)}"] if self.dialled else []
        return UnmetExpectationError("\n".join([what, *seen]), self.ladder())
