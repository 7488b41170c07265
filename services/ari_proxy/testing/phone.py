"""The caller's phone: what a test does, and what it expects."""

import asyncio
from functools import partial

from ari_proxy.ari import causes
from ari_proxy.client.errors import RequestFailed

from .endpoints import CallParts, Endpoints
from .handler_run import HandlerRun


class Phone(Endpoints):
    """The caller of one call, in the hands of a test.

    Each `expect_…` waits until what it names has happened, after what the former one of its kind
    has found. It fails with the ladder of the call: after `timeout` seconds, or as soon as the call
    is over.
    """

    def __init__(self, parts: CallParts, *, tasks: asyncio.TaskGroup, handler: HandlerRun) -> None:
        """Initialise a phone that has not called yet.

        Args:
            parts: of its call.
            tasks: run what the caller does.
            handler: of the call.
        """
        super().__init__(parts)
        self._tasks = tasks
        self._handler = handler
        self._has_hung_up = False

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

    def gap(self) -> None:
        """Tell the handler that events may be missing (ProxyGap).

        Raises:
            UnmetExpectationError: the call is over.
        """
        try:
            self._line.report_gap()
        except KeyError:
            raise self._failure("there is no gap in a call that is over") from None

    # What a test expects

    async def expect_answered(self, *, timeout: float | None = None) -> None:
        """Wait until the handler has answered."""
        await self._expect("answered", lambda: self.is_answered or None, timeout)

    async def expect_played(self, media: str, *, timeout: float | None = None) -> None:
        """Wait until the caller hears a medium; others before it are passed over."""
        what = f"played {media}"
        await self._expect(what, partial(self._next, "played", self.played, media), timeout)

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

    async def finish(self) -> None:
        """Wait until nothing is left; raise what the handler has raised.

        A caller who was sent back into the dialplan is not counted. A handler may have sent a
        request that crosses the caller's hang-up: if that is refused, and the handler raises it,
        its call has ended.

        Raises:
            UnmetExpectationError: something is left.
            Exception: the handler's own.
        """
        await super().finish()
        error = self._handler.error
        if error is not None and not (self._has_hung_up and isinstance(error, RequestFailed)):
            error.add_note(self.ladder())
            raise error

    async def _until_over(self) -> None:
        await self._changes.until(lambda: self._handler.is_done or None)

    def _left(self) -> list[str]:
        return ([] if self._handler.is_done else ["the handler is running"]) + super()._left()

    def _check(self, what: str) -> None:
        if self._handler.is_done and self._caller.is_over:
            raise self._failure(f"expected: {what}; the call is over") from self._handler.error
