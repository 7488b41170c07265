"""The common part of all adapters: outbox, state of the connection, and their numbers."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from .base import DropReason, OnDropped, OnUnheard, Problem, TopicFilter
from .connection_state import ConnectionState
from .drop_log import DropLog
from .errors import BusTimeoutError, BusUnavailableError, MessageTooLargeError
from .faults import Faults
from .outbox import Outbox
from .refusals import ServerRefusals


class BufferedBus(ABC):
    """The part of a bus that is the same for every server."""

    def __init__(self, buffer_bytes: int) -> None:
        self._outbox = Outbox(buffer_bytes, self._note_drop)
        self._drop_log = DropLog()
        self._on_dropped: OnDropped | None = None
        self._on_unheard: OnUnheard | None = None
        self._something_to_send = asyncio.Event()
        self._state = ConnectionState()
        #: Set when a message was confirmed or lost; `flush` waits for it.
        self._confirmed = asyncio.Event()
        self._refusals = ServerRefusals()
        self._faults = Faults()

    @property
    def is_connected(self) -> bool:
        """True while messages are sent and received."""
        return self._state.is_connected

    @property
    def problem(self) -> Problem | None:
        """The reason why the bus does not work fully, or None."""
        if (problem := self._state.problem) is not None:
            return problem
        refusals = self._refusals.summary
        return Problem("deaf", refusals) if refusals else None

    @property
    def is_blocked(self) -> bool:
        """True while the server accepts no messages in spite of a connection."""
        return self._state.is_blocked

    @property
    def refused(self) -> int:
        """How many subscriptions and rights to publish the server refuses now."""
        return len(self._refusals)

    @property
    def refusals(self) -> int:
        """How many subscriptions and rights to publish the server has refused since the start."""
        return self._refusals.total

    @property
    def faults(self) -> Mapping[str, int]:
        """Faults on our side since the start, by kind."""
        return self._faults.counts

    @property
    def buffered_bytes(self) -> int:
        """Size of the messages that wait in the buffer, or were sent and are not confirmed."""
        return self._outbox.size_bytes

    @property
    def dropped(self) -> int:
        """Messages lost since the start."""
        return self._outbox.dropped

    @property
    def published(self) -> int:
        """Messages that the bus has confirmed since the start."""
        return self._outbox.confirmed

    @property
    def reconnects(self) -> int:
        """Connections since the start, not counting the first."""
        return self._state.reconnects

    @property
    @abstractmethod
    def max_message_bytes(self) -> int:
        """The largest payload that the bus accepts with all headers."""

    def _check_size(self, topic: str, payload: bytes, traceparent: str = "") -> None:  # noqa: ARG002  headers may count
        """Refuse a message that the bus would not accept.

        Raises:
            MessageTooLargeError: it is larger than `max_message_bytes`.
        """
        if len(payload) > self.max_message_bytes:
            raise MessageTooLargeError(topic, len(payload), self.max_message_bytes)

    async def wait_connected(self) -> None:
        """Return once there is a connection."""
        await self._state.wait_connected()

    async def wait_tried(self) -> str:
        """Wait until each server was tried; return why there is no connection, or ''."""
        return await self._state.wait_tried()

    def _note_failure(self, reason: str, *, is_refusal: bool, attempts: int = 1) -> None:
        """Note why there is no connection; `ConnectionState.fail` has the arguments."""
        if is_refusal:
            self._faults.counts["login_refused"] += 1
        self._state.fail(reason, is_refusal=is_refusal, attempts=attempts)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        reply: str = "",
        once: bool = False,
        traceparent: str = "",
    ) -> None:
        """Buffer a message, to be sent as soon as the bus accepts it; returns at once."""
        self._outbox.append(topic, payload, reply, once, traceparent)
        self._something_to_send.set()

    def discard(self, is_unwanted: TopicFilter) -> int:
        """Drop the buffered messages on unwanted topics; return how many."""
        return self._outbox.discard(is_unwanted)

    def set_drop_handler(self, handler: OnDropped | None) -> None:
        """Call `handler` for each message that the buffer loses."""
        self._on_dropped = handler

    def set_unheard_handler(self, handler: OnUnheard | None) -> None:
        """Call `handler` for each event of a dialog that no listener got, in their order."""
        self._on_unheard = handler

    def note_unheard(self, number: int) -> None:
        """Tell of a message that no listener got, by its number in the outbox."""
        message = self._outbox.sent(number)
        if message is not None and self._on_unheard is not None:
            self._on_unheard(message.topic, message.payload)

    def _note_drop(self, topic: str, payload: bytes, reason: DropReason) -> None:
        self._drop_log.note(reason)
        if self._on_dropped is not None:
            self._on_dropped(topic, payload, reason)

    async def flush(self, *, timeout_seconds: float) -> None:
        """Return once the bus has confirmed all messages published so far.

        Raises:
            BusUnavailableError: not within the time.
        """
        last = self._outbox.appended
        try:
            async with asyncio.timeout(timeout_seconds):
                while not self._outbox.is_settled(last):
                    await self._confirm_some()
        except (TimeoutError, BusUnavailableError) as error:
            left = self._outbox.count_left(last)
            raise BusUnavailableError(f"{left} messages are not confirmed by the bus") from error

    async def _confirm_some(self) -> None:
        """Return when more may be confirmed than before."""
        self._confirmed.clear()
        await self._confirmed.wait()

    @asynccontextmanager
    async def _deadline(self, topic: str, timeout_seconds: float) -> AsyncIterator[None]:
        """Bound a request; on timeout, tell an unavailable bus from a listener that does not reply.

        Raises:
            BusUnavailableError: the bus does not work.
            BusTimeoutError: it does, so the listener has not replied.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                yield
        except TimeoutError as error:
            problem = self.problem
            if problem is not None and problem.kind != "deaf":
                raise BusUnavailableError(problem.reason) from error
            raise BusTimeoutError(topic, timeout_seconds) from error

    def _set_connected(self) -> None:
        self._state.begin()
        self._something_to_send.set()
