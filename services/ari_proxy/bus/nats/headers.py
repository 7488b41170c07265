"""Headers of NATS messages: the trace context."""

from typing import Final

from ari_proxy.bus.errors import MessageTooLargeError
from ari_proxy.protocol.messages import TRACEPARENT

#: A header's lines around `name: value` (NATS's protocol, HPUB).
_AROUND_BYTES: Final = len("NATS/1.0\r\n" + ": " + "\r\n" + "\r\n")
#: Size of the largest header; a `traceparent` has a fixed length (W3C Trace Context).
HEADER_BYTES: Final = _AROUND_BYTES + len(TRACEPARENT) + 55


def header_bytes_of(traceparent: str) -> int:
    """Return the size of a message's header, which counts against the server's limit."""
    return _AROUND_BYTES + len(TRACEPARENT) + len(traceparent) if traceparent else 0


def check_size(topic: str, payload: bytes, traceparent: str, limit: int) -> None:
    """Refuse a message that would make the server end the connection.

    Args:
        topic: of the message.
        payload: of the message.
        traceparent: trace context of its header, or ''.
        limit: what the server accepts, headers included.

    Raises:
        MessageTooLargeError: it is larger.
    """
    size = len(payload) + header_bytes_of(traceparent)
    if size > limit:
        raise MessageTooLargeError(topic, size, limit)


def headers_of(traceparent: str) -> dict[str, str] | None:
    """Return the headers of a message, or None if it needs none."""
    return {TRACEPARENT: traceparent} if traceparent else None
