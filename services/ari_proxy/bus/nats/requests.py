"""Messages on NATS that wait for an outcome: to a listener, requests, probes, round trips."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from ari_proxy.bus.errors import BusRefusedError, NoRespondersError
from ari_proxy.bus.faults import Faults
from ari_proxy.bus.receipt import Receipt

from .errors import port_errors
from .headers import headers_of
from .permissions import NatsPermissions
from .replies import Replies, is_no_responders
from .streams import Trace, can_trace, has_streams, trace_headers

_log = structlog.get_logger()

#: A connection on which no round trip returns within this time is dead.
ROUND_TRIP_SECONDS: Final = 5.0
#: Deadline for the servers' message traces.
TRACE_SECONDS: Final = 2.0
_ROUND_TRIP: Final = b"ari-proxy round trip"


class NatsRequests:
    """Sends on a bus's current connection, and awaits what becomes of it."""

    def __init__(self, replies: Replies, permissions: NatsPermissions, faults: Faults) -> None:
        self._replies = replies
        self._permissions = permissions
        self._faults = faults
        self._streams: set[str] = set()
        self._client = Client()

    def attach(self, client: Client) -> None:
        """Use a new connection from now on."""
        self._client = client

    async def receive(self, client: Client, message: Msg) -> None:
        """Handle a message to the inbox that has come on a connection."""
        if stream := self._replies.receive(client, message):
            self._note_stream(stream)

    async def round_trip(self, topic: str = "", *, client: Client | None = None) -> None:
        """Return when the server has handled everything that was sent before.

        Args:
            topic: a topic on which something was sent, or ''.
            client: the connection; by default the current one.

        Raises:
            BusUnavailableError: the connection was lost.
            BusRefusedError: our account may not publish on the topic.
        """
        client = client or self._client
        with self._replies.awaiting(client, topic) as reply:
            await _send(client, reply.inbox, _ROUND_TRIP)
            await reply.message
        if topic:
            self._permissions.note_accepted(topic)

    async def round_trip_in_time(self, client: Client) -> None:
        """Return when the server has handled everything that was sent before on a connection.

        Raises:
            BusUnavailableError: the connection was lost.
            BusRefusedError: our account may not use its inbox.
            TimeoutError: the connection is dead.
        """
        async with asyncio.timeout(ROUND_TRIP_SECONDS):
            await self.round_trip(client=client)

    async def publish_to_listener(self, topic: str, payload: bytes, traceparent: str) -> Receipt:
        """Send a message; the outcome is false if there was no listener.

        Raises:
            BusUnavailableError: the connection was lost.
            BusRefusedError: our account may not publish on the topic.
        """
        had_streams = self._has_streams
        if had_streams and not await self._has_listener(topic):
            return Receipt(has_listener=False)
        inbox, receipt = self._replies.receipt()
        client = self._client
        with self._replies.awaiting(client, topic) as reply:
            await _send(client, topic, payload, inbox, headers_of(traceparent))
            await _send(client, reply.inbox, _ROUND_TRIP)
            await reply.message
        self._permissions.note_accepted(topic)
        if self._streams and not had_streams and receipt and not await self._has_listener(topic):
            receipt.note_no_listener()
        return receipt

    async def request(self, topic: str, payload: bytes) -> bytes:
        """Send a message and return the first reply to it.

        Raises:
            NoRespondersError: the topic has no listener.
            BusUnavailableError: the connection was lost.
            BusRefusedError: our account may not publish on the topic.
        """
        if self._has_streams and not await self._has_listener(topic):
            raise NoRespondersError(topic)
        client = self._client
        with self._replies.awaiting(client, topic, is_of_server=False) as reply:
            await _send(client, topic, payload, reply.inbox)
            message = await reply.message
        self._permissions.note_accepted(topic)
        if is_no_responders(message):
            raise NoRespondersError(topic)
        return message.data

    async def probe(self, messages: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Send messages in one go; return for each whether it had a listener."""
        topics = [topic for topic, _ in messages]
        had_streams = self._has_streams
        wanted = await self._have_listeners(topics) if had_streams else [True] * len(messages)
        heard = await self._send_wanted(messages, wanted)
        if self._streams and not had_streams:
            traced = await self._have_listeners(topics)
            return [one and other for one, other in zip(heard, traced, strict=True)]
        return heard

    async def _send_wanted(
        self, messages: Sequence[tuple[str, bytes]], wanted: Sequence[bool]
    ) -> list[bool]:
        client = self._client
        receipts = [self._replies.receipt(has_listener=is_wanted) for is_wanted in wanted]
        for message, (inbox, receipt) in zip(messages, receipts, strict=True):
            if receipt:
                await _send(client, *message, inbox)
        await self.round_trip(client=client)
        return [bool(receipt) for _, receipt in receipts]

    # What our account may do; no message is delivered

    async def may_publish(self, topic: str) -> bool | None:
        """Return whether our account may publish on a topic; None if the server can't tell."""
        client = self._client
        if not can_trace(client):
            return None
        with self._replies.tracing(client) as (inbox, _):
            await _send(client, topic, b"", "", trace_headers(inbox))
            return await self._is_accepted(topic, client)

    async def may_answer(self, topic: str) -> bool:
        """Return whether our account may publish on a topic that has no listener.

        An account with `allow_responses` may: the topic is the reply subject of a message to it.
        """
        client = self._client
        with self._replies.awaiting(client) as sent_to_ourselves:
            await _send(client, sent_to_ourselves.inbox, b"", topic)
            await _send(client, topic, b"")
            return await self._is_accepted(topic, client)

    async def _is_accepted(self, topic: str, client: Client) -> bool:
        try:
            await self.round_trip(topic, client=client)
        except BusRefusedError:
            return False
        return True

    @property
    def are_recorded(self) -> bool:
        """Whether a stream has recorded messages of ours."""
        return bool(self._streams)

    @property
    def _has_streams(self) -> bool:
        return bool(self._streams) or has_streams(self._client)

    async def _has_listener(self, topic: str) -> bool:
        return (await self._have_listeners([topic]))[0]

    async def _have_listeners(self, topics: Sequence[str]) -> list[bool]:
        """Return for each topic whether a client listens, streams aside; delivers nothing.

        Where the servers can't tell, the answer is True: AppStart must not reach two instances.
        """
        client = self._client
        if not can_trace(client):
            return [True] * len(topics)
        traces: list[Trace] = []
        with contextlib.ExitStack() as traced, contextlib.suppress(TimeoutError):
            for topic in topics:
                inbox, trace = traced.enter_context(self._replies.tracing(client))
                await _send(client, topic, b"", "", trace_headers(inbox))
                traces.append(trace)
            async with asyncio.timeout(TRACE_SECONDS):
                for trace in traces:
                    await trace.wait()
        for stream in set[str]().union(*(trace.streams for trace in traces)):
            self._note_stream(stream)
        return [trace.has_listener or not trace.is_complete for trace in traces]

    def _note_stream(self, stream: str) -> None:
        self._faults.counts["recorded"] += 1
        if stream in self._streams:
            return
        self._streams.add(stream)
        _log.error(
            "bus.topics_recorded",
            bus="NATS",
            stream=stream,
            can_tell_listeners=can_trace(self._client),
            remedy="record copies of our subjects instead: docs/reference/wire.md#jetstream",
        )


async def _send(
    client: Client,
    topic: str,
    payload: bytes,
    reply: str = "",
    headers: dict[str, str] | None = None,
) -> None:
    with port_errors():
        await client.publish(topic, payload, reply, headers)
