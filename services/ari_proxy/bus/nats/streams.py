"""Tells listeners from JetStream streams, which take every message on the subjects they record.

A stream answers a message that has a reply subject with a PubAck, and the server no longer says
that nobody listens. It may come late, too. So where there are streams, or may be, NATS itself is
asked who would get a message: it
tells of each copy of one that carries `Nats-Trace-Dest`, and with `Nats-Trace-Only` it delivers
none (docs.nats.io, "Message Tracing"; since 2.11). Each server that passes it on to others tells on
its own, and how many others there are.
"""

import asyncio
from typing import Final

import msgspec
from nats.aio.client import Client

from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.protocol.malformed import UNDECODABLE

from .errors import LOST

#: Servers that can tell.
TRACING_SINCE: Final = (2, 11)
_EGRESS: Final = "eg"
_STREAM: Final = "js"
#: It goes to a service of another account, like the server's own.
_SERVICE: Final = "si"
#: The kind of connection that is a client's; all others are the servers' own.
_CLIENT: Final = 0


class _PubAck(msgspec.Struct):
    stream: str
    seq: int


class _Step(msgspec.Struct):
    type: str
    kind: int = -1
    #: Which of the next servers it went to.
    hop: str = ""
    stream: str = ""
    error: str = ""


class _TraceEvent(msgspec.Struct):
    events: list[_Step]


_pub_ack = msgspec.json.Decoder(_PubAck)
_trace_event = msgspec.json.Decoder(_TraceEvent)


def stream_of(payload: bytes) -> str:
    """Return the stream whose PubAck this is, or ''."""
    if not payload.startswith(b"{"):
        return ""
    try:
        return _pub_ack.decode(payload).stream
    except UNDECODABLE:
        return ""


def has_streams(client: Client) -> bool:
    """Return whether a connection's server has JetStream."""
    return bool(client._server_info.get("jetstream"))  # noqa: SLF001  nats-py does not tell


def can_trace(client: Client) -> bool:
    """Return whether a connection's server can tell who would get a message."""
    version = client.connected_server_version
    return (version.major, version.minor) >= TRACING_SINCE


class Trace:
    """Who would get one message, as the servers tell."""

    def __init__(self) -> None:
        self.is_heard = False
        #: The streams that would record it.
        self.streams: set[str] = set()
        self._awaited = 1
        self._is_lost = False
        self._done = asyncio.Event()

    def take(self, payload: bytes) -> None:
        """Handle what one server tells."""
        try:
            steps = _trace_event.decode(payload).events
        except UNDECODABLE:
            return
        self.streams.update(step.stream for step in steps if step.type == _STREAM)
        copies = [step for step in steps if step.type == _EGRESS and not step.error]
        self.is_heard |= any(copy.kind == _CLIENT for copy in copies)
        self.is_heard |= any(step.type == _SERVICE for step in steps)
        self._awaited += sum(bool(copy.hop) for copy in copies) - 1
        if self.is_heard or not self._awaited:
            self._done.set()

    def lose(self) -> None:
        """Take that the connection was lost, on which the servers tell."""
        self._is_lost = True
        self._done.set()

    async def wait(self) -> None:
        """Return when it is known.

        Raises:
            BusUnavailableError: the connection was lost before.
        """
        await self._done.wait()
        if self._is_lost:
            raise BusUnavailableError(LOST)

    @property
    def is_known(self) -> bool:
        """True if all have told that are needed."""
        return self._done.is_set()


def trace_headers(inbox: str) -> dict[str, str]:
    """Return the headers of a message that nobody gets, and of which an inbox is told."""
    return {"Nats-Trace-Dest": inbox, "Nats-Trace-Only": "true"}
