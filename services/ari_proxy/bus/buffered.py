"""What the adapters share: an outbox, whether there is a connection, and the numbers of both."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager

from .base import DropReason, Handler, Message, OnDropped, Problem
from .drop_log import DropLog
from .errors import BusTimeoutError, BusUnavailableError, MessageTooLargeError
from .faults import Faults
from .outbox import Outbox


class BufferedBus(ABC):
    """The part of a bus that does not depend on which one it is."""

    def __init__(self, buffer_bytes: int) -> None:
        self._outbox = Outbox(buffer_bytes)
        self._outbox.on_dropped = self._note_drop
        self._drop_log = DropLog()
        #: Told of each message that the buffer loses.
        self.on_dropped: OnDropped = lambda *_: None
        self._something_to_send = asyncio.Event()
        self._connected = asyncio.Event()
        self._connections = 0
        #: Set when something was confirmed or lost; `flush` waits for it.
        self._confirmed = asyncio.Event()
        #: Why a server does not take us, or ''; attempts since then that failed otherwise.
        self._login_refusal = ""
        self._not_refused = 0
        #: Attempts since there was a connection, and why the last one failed.
        self._failures = 0
        self._failure = ""
        #: Set when each server was tried, or there is a connection.
        self._tried = asyncio.Event()
        #: Why it takes no messages now, or ''.
        self._blocked_by = ""
        #: What it refuses of us now → why.
        self._refused: dict[Hashable, str] = {}
        self._refusals = 0
        self._faults = Faults()

    @property
    def is_connected(self) -> bool:
        """True while messages go out and come in."""
        return self._connected.is_set()

    @property
    def problem(self) -> Problem | None:
        """What keeps it from serving now."""
        if not self.is_connected:
            if self._login_refusal:
                return Problem("refused", f"the bus refuses us: {self._login_refusal}")
            return Problem("away", "no connection to the bus")
        if self._blocked_by:
            return Problem("blocked", f"blocked: {self._blocked_by}")
        if self._refused:
            first, *others = self._refused.values()
            more = f" (and {len(others)} more)" if others else ""
            return Problem("deaf", f"{first}{more}")
        return None

    @property
    def is_blocked(self) -> bool:
        """True while the server takes no messages although there is a connection."""
        return self.is_connected and bool(self._blocked_by)

    @property
    def refused(self) -> int:
        """How much the server refuses now."""
        return len(self._refused)

    @property
    def refusals(self) -> int:
        """What the server has refused since the start."""
        return self._refusals

    def note_refusal(self, what: Hashable, reason: str) -> bool:
        """Take that the server refuses something; return False if that is known already."""
        is_new = what not in self._refused
        self._refused[what] = reason
        self._refusals += is_new
        return is_new

    def note_granted(self, what: Hashable) -> bool:
        """Take that the server does not refuse it any more; return False if it did not."""
        return self._refused.pop(what, None) is not None

    @property
    def faults(self) -> Mapping[str, int]:
        """What has gone wrong on our side since the start, by kind."""
        return self._faults.counts

    def handle(self, message: Message, handler: Handler) -> None:
        """Call a handler with a message; its exceptions are counted and logged."""
        self._faults.run(handler, message)

    @property
    def buffered_bytes(self) -> int:
        """What waits, or was sent and is not confirmed."""
        return self._outbox.size_bytes

    @property
    def dropped(self) -> int:
        """Messages lost since the start."""
        return self._outbox.dropped

    @property
    def published(self) -> int:
        """Messages since the start that the bus has confirmed."""
        return self._outbox.confirmed

    @property
    def reconnects(self) -> int:
        """Connections since the start but the first."""
        return max(0, self._connections - 1)

    @property
    @abstractmethod
    def max_message_bytes(self) -> int:
        """The largest payload that the bus takes with all headers."""

    def _check_size(self, topic: str, payload: bytes, traceparent: str = "") -> None:  # noqa: ARG002  headers may count
        """Refuse what the bus would not take.

        Raises:
            MessageTooLargeError: it is larger than that.
        """
        if len(payload) > self.max_message_bytes:
            raise MessageTooLargeError(topic, len(payload), self.max_message_bytes)

    async def wait_connected(self) -> None:
        """Return once there is a connection."""
        await self._connected.wait()

    async def wait_tried(self) -> str:
        """Return once each server was tried: why there is no connection, or ''."""
        while not self.is_connected:
            await self._tried.wait()
            if self._failure:
                return self._failure
            if not self.is_connected:  # It was lost since.
                self._tried.clear()
        return ""

    def _note_failure(self, reason: str, *, is_refusal: bool, attempts: int = 1) -> None:
        """Take why there is no connection.

        A refusal stays the reason until no server has refused us in a whole round: it is what has
        to be mended, whatever comes of other servers.

        Args:
            reason: of the last attempt.
            is_refusal: whether a server was there and did not take us, or we did not trust it.
            attempts: how many there are to be before each server was tried.
        """
        self._failures += 1
        self._failure = reason
        self._not_refused = 0 if is_refusal else self._not_refused + 1
        if is_refusal:
            self._login_refusal = reason
        elif self._not_refused >= attempts:
            self._login_refusal = ""
        if self._failures >= attempts:
            self._tried.set()
        else:
            self._tried.clear()

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        reply: str = "",
        once: bool = False,
        traceparent: str = "",
    ) -> None:
        """Send a message as soon as the server takes it; returns at once."""
        self._outbox.append(topic, payload, reply, once, traceparent)
        self._something_to_send.set()

    def discard(self, is_unwanted: Callable[[str], bool]) -> int:
        """Forget what waits to be sent on some topics."""
        return self._outbox.discard(is_unwanted)

    def _note_drop(self, topic: str, payload: bytes, reason: DropReason) -> None:
        self._drop_log.note(reason)
        self.on_dropped(topic, payload, reason)

    async def flush(self, *, timeout_seconds: float) -> None:
        """Return once the server has confirmed all that was published before."""
        batches = self._outbox.seal()
        try:
            async with asyncio.timeout(timeout_seconds):
                while any(batch.left for batch in batches):
                    await self._confirm_some()
        except (TimeoutError, BusUnavailableError) as error:
            left = sum(batch.left for batch in batches)
            raise BusUnavailableError(f"{left} messages are not confirmed by the bus") from error

    async def _confirm_some(self) -> None:
        """Return when more may be confirmed than before."""
        self._confirmed.clear()
        await self._confirmed.wait()

    @asynccontextmanager
    async def _deadline(self, topic: str, timeout_seconds: float) -> AsyncIterator[None]:
        """Bound a request; tell a bus that is away from a listener that does not answer."""
        try:
            async with asyncio.timeout(timeout_seconds):
                yield
        except TimeoutError as error:
            problem = self.problem
            if problem is not None and problem.kind != "deaf":
                raise BusUnavailableError(problem.reason) from error
            raise BusTimeoutError(topic, timeout_seconds) from error

    def _set_connected(self) -> None:
        self._connections += 1
        self._login_refusal = self._failure = ""
        self._failures = 0
        self._tried.set()
        self._connected.set()
        self._something_to_send.set()
