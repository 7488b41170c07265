"""Messages on NATS whose outcome is awaited: offers, requests, and probes for listeners."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog
from nats.aio.client import Client

from ari_proxy.bus.base import Receipt
from ari_proxy.bus.errors import BusRefusedError, NoRespondersError
from ari_proxy.bus.faults import Faults

from .errors import port_errors
from .replies import Replies, is_no_responders
from .streams import Trace, can_trace, has_streams, trace_headers
from .subscription import headers_of

_log = structlog.get_logger()

#: For the servers to tell who would get a message.
TRACE_SECONDS: Final = 2.0
_ROUND_TRIP: Final = b"ari-proxy round trip"


class Asking:
    """Asks on a bus's current connection."""

    def __init__(self, replies: Replies, faults: Faults) -> None:
        self._replies = replies
        replies.on_recorded = self._note_stream
        self._faults = faults
        self._streams: set[str] = set()
        self.client = Client()

    async def _send(
        self, topic: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        with port_errors():
            await self.client.publish(topic, payload, reply, headers)

    async def round_trip(self, topic: str = "") -> None:
        """Return when the server has handled all that was sent before.

        Raises:
            BusUnavailableError: the connection was lost.
            BusRefusedError: it does not let us send on the topic, on which something was sent.
        """
        with self._replies.awaiting(topic) as reply:
            await self._send(reply.inbox, _ROUND_TRIP)
            await reply.message

    async def offer(self, topic: str, payload: bytes, traceparent: str) -> Receipt:
        """Send a message; the outcome is false if nobody listened."""
        was_recorded = self._may_be_recorded
        if was_recorded and not await self._is_heard(topic):
            return Receipt(has_listener=False)
        inbox, offered = self._replies.offer()
        with self._replies.awaiting(topic) as reply:
            await self._send(topic, payload, inbox, headers_of(traceparent))
            await self._send(reply.inbox, _ROUND_TRIP)
            await reply.message
        if self._streams and not was_recorded and offered:
            offered.has_listener = await self._is_heard(topic)
        return offered

    async def request(self, topic: str, payload: bytes) -> bytes:
        """Send a message and return the first reply to it.

        Raises:
            NoRespondersError: nobody listens.
        """
        if self._may_be_recorded and not await self._is_heard(topic):
            raise NoRespondersError(topic)
        with self._replies.awaiting(topic) as reply:
            await self._send(topic, payload, reply.inbox)
            message = await reply.message
        if is_no_responders(message):
            raise NoRespondersError(topic)
        return message.data

    async def probe(self, messages: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Send messages in one go; return of each whether somebody got it."""
        topics = [topic for topic, _ in messages]
        was_recorded = self._may_be_recorded
        wanted = await self._are_heard(topics) if was_recorded else [True] * len(messages)
        heard = await self._send_wanted(messages, wanted)
        if self._streams and not was_recorded:
            traced = await self._are_heard(topics)
            return [one and other for one, other in zip(heard, traced, strict=True)]
        return heard

    async def _send_wanted(
        self, messages: Sequence[tuple[str, bytes]], wanted: Sequence[bool]
    ) -> list[bool]:
        offers = [self._replies.offer() for _ in messages]
        for message, (inbox, offered), is_wanted in zip(messages, offers, wanted, strict=True):
            offered.has_listener = is_wanted
            if is_wanted:
                await self._send(*message, inbox)
        await self.round_trip()
        return [offered.has_listener for _, offered in offers]

    # What the account may do; nobody gets anything

    async def may_publish(self, topic: str) -> bool | None:
        """Return whether the server lets us publish on a topic; None if it can't tell."""
        if not can_trace(self.client):
            return None
        with self._replies.tracing() as (inbox, _):
            await self._send(topic, b"", "", trace_headers(inbox))
            return await self._was_taken(topic)

    async def may_answer(self, topic: str) -> bool:
        """Return whether the server lets us publish on a topic to which nobody listens.

        To an account with `allow_responses` it is the reply subject of a message that it has got.
        """
        with self._replies.awaiting() as sent_to_ourselves:
            await self._send(sent_to_ourselves.inbox, b"", topic)
            await self._send(topic, b"")
            return await self._was_taken(topic)

    async def _was_taken(self, topic: str) -> bool:
        try:
            await self.round_trip(topic)
        except BusRefusedError:
            return False
        return True

    @property
    def _may_be_recorded(self) -> bool:
        return bool(self._streams) or has_streams(self.client)

    async def _is_heard(self, topic: str) -> bool:
        return (await self._are_heard([topic]))[0]

    async def _are_heard(self, topics: Sequence[str]) -> list[bool]:
        """Return of each topic whether a client listens, streams aside; nobody gets anything.

        What the servers don't tell counts as heard: AppStart is not to reach two instances.
        """
        if not can_trace(self.client):
            return [True] * len(topics)
        traces: list[Trace] = []
        with contextlib.ExitStack() as traced, contextlib.suppress(TimeoutError):
            for topic in topics:
                inbox, trace = traced.enter_context(self._replies.tracing())
                await self._send(topic, b"", "", trace_headers(inbox))
                traces.append(trace)
            async with asyncio.timeout(TRACE_SECONDS):
                for trace in traces:
                    await trace.wait()
        for stream in set[str]().union(*(trace.streams for trace in traces)):
            self._note_stream(stream)
        return [trace.is_heard or not trace.is_known for trace in traces]

    def _note_stream(self, stream: str) -> None:
        self._faults.counts["recorded"] += 1
        if stream in self._streams:
            return
        self._streams.add(stream)
        _log.error(
            "bus.topics_recorded",
            bus="NATS",
            stream=stream,
            can_tell_listeners=can_trace(self.client),
            remedy="record copies of our subjects instead: docs/reference/wire.md#jetstream",
        )
