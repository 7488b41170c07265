"""Listeners told apart from JetStream streams, which record every message on their subjects.

A stream answers a message that has a reply subject with a PubAck, possibly late, and the server no
longer reports that the message has no responders. Where there are streams, or may be, NATS's
message tracing shows who would receive a message: a trace event reports each copy of a message with
`Nats-Trace-Dest`, and with `Nats-Trace-Only` none is delivered (docs.nats.io, "Message Tracing";
since 2.11). Each server on the way sends a trace event of its own, and says to how many others it
has passed the message.
"""

import asyncio
from typing import Final

import msgspec
from nats.aio.client import Client

from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.protocol.malformed import UNDECODABLE

from .errors import LOST

#: Server version that introduced message tracing.
TRACING_SINCE: Final = (2, 11)
_EGRESS: Final = "eg"
_STREAM: Final = "js"
#: To a service of another account, such as the server's own.
_SERVICE: Final = "si"
#: The kind of a client's connection; all others are the servers' own.
_CLIENT: Final = 0


class _PubAck(msgspec.Struct):
    stream: str
    seq: int


class _Step(msgspec.Struct):
    type: str
    kind: int = -1
    #: Set if the copy went to another server.
    hop: str = ""
    stream: str = ""
    error: str = ""


class _TraceEvent(msgspec.Struct):
    events: list[_Step]


_pub_ack = msgspec.json.Decoder(_PubAck)
_trace_event = msgspec.json.Decoder(_TraceEvent)


def stream_of(payload: bytes) -> str:
    """Return the stream that sent this PubAck, or '' if it is none."""
    if not payload.startswith(b"{"):
        return ""
    try:
        return _pub_ack.decode(payload).stream
    except UNDECODABLE:
        return ""


def has_streams(client: Client) -> bool:
    """Return whether a connection's server has JetStream."""
    return bool(client._server_info.get("jetstream"))  # noqa: SLF001  nats-py has no public name for it


def can_trace(client: Client) -> bool:
    """Return whether a connection's server supports message tracing."""
    version = client.connected_server_version
    return (version.major, version.minor) >= TRACING_SINCE


class Trace:
    """The trace of one message: who would receive it."""

    def __init__(self) -> None:
        self.has_listener = False
        #: Streams that would record it.
        self.streams: set[str] = set()
        self._awaited = 1
        self._is_lost = False
        self._done = asyncio.Event()

    def add(self, payload: bytes) -> None:
        """Handle the trace event of one server."""
        try:
            steps = _trace_event.decode(payload).events
        except UNDECODABLE:
            return
        self.streams.update(step.stream for step in steps if step.type == _STREAM)
        copies = [step for step in steps if step.type == _EGRESS and not step.error]
        self.has_listener |= any(copy.kind == _CLIENT for copy in copies)
        self.has_listener |= any(step.type == _SERVICE for step in steps)
        self._awaited += sum(bool(copy.hop) for copy in copies) - 1
        if self.has_listener or not self._awaited:
            self._done.set()

    def lose(self) -> None:
        """Note that the connection is lost: no more events will come."""
        self._is_lost = True
        self._done.set()

    async def wait(self) -> None:
        """Return when the trace is complete.

        Raises:
            BusUnavailableError: the connection was lost before that.
        """
        await self._done.wait()
        if self._is_lost:
            raise BusUnavailableError(LOST)

    @property
    def is_complete(self) -> bool:
        """True if all events needed have come."""
        return self._done.is_set()


def trace_headers(inbox: str) -> dict[str, str]:
    """Return the headers of a message that is traced to an inbox and not delivered."""
    return {"Nats-Trace-Dest": inbox, "Nats-Trace-Only": "true"}
