"""AMQP 0-9-1 frames: those on the path of every message, packed and parsed at once. Sans-I/O.

pamqp, aiormq's codec, codes every method field by field, which is right for the rest and too slow
for these: three frames for each message in either direction. And it fails on strings that are not
UTF-8: a client that publishes one would end our connection, and again on each redelivery.
"""

import struct
from typing import Final, NamedTuple

from pamqp import commands, header
from pamqp.commands import Basic

from ari_proxy.protocol.messages import TRACEPARENT

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
END: Final = b"\xce"
#: Of one frame; RabbitMQ's largest message. What is larger is no AMQP.
MAX_FRAME_BYTES: Final = 128 * 1024 * 1024
#: Type, channel and size before a frame's payload; one byte follows it.
ENVELOPE: Final = struct.Struct(">BHI")
#: … with that one.
ENVELOPE_BYTES: Final = ENVELOPE.size + 1
#: … and of a header: class, weight, size of the body; flags and properties follow.
_CONTENT: Final = struct.Struct(">BHIHHQ")
_HEADER: Final = struct.Struct(">HHQH")
_BASIC_CLASS: Final = 60
#: Class and method of the frames that are read here (AMQP 0-9-1 §1.8.3).
DELIVER: Final = Basic.Deliver.index.to_bytes(4, "big")
RETURN: Final = Basic.Return.index.to_bytes(4, "big")
ACK: Final = Basic.Ack.index.to_bytes(4, "big")
NACK: Final = Basic.Nack.index.to_bytes(4, "big")
CLOSE: Final = commands.Connection.Close.index.to_bytes(4, "big")
_PUBLISH: Final = Basic.Publish.index.to_bytes(4, "big") + bytes(2)
_CONFIRMATION: Final = struct.Struct(">4xQB")
#: reply_to, correlation_id, message_id, headers.
_FLAGS_THAT_MATTER: Final = 0x0400 | 0x0200 | 0x0080 | 0x2000
#: Methods with a text → where its length stands in the frame.
_METHOD_END: Final = 11
_TEXTS: Final = {
    CLOSE: 13,
    commands.Channel.Close.index.to_bytes(4, "big"): 13,
    commands.Connection.Blocked.index.to_bytes(4, "big"): 11,
}


def publish_method(channel: int, exchange: str, routing_key: str, *, mandatory: bool) -> bytes:
    """Return the first frame of a message, which depends on its topic only."""
    to, key = exchange.encode(), routing_key.encode()
    payload = b"%b%c%b%c%b%c" % (_PUBLISH, len(to), to, len(key), key, mandatory)
    return ENVELOPE.pack(METHOD, channel, len(payload)) + payload + END


def content(channel: int, properties: bytes, body: bytes, max_body: int) -> bytes:
    """Return the frames of a message behind basic.publish: header and body.

    Args:
        channel: its number.
        properties: as `Basic.Properties.marshal` returns them.
        body: of any size.
        max_body: the largest part of it in one frame, as negotiated; 0 or less for no limit.
    """
    size = len(body)
    head = (
        _CONTENT.pack(HEADER, channel, 12 + len(properties), _BASIC_CLASS, 0, size)
        + properties
        + END
    )
    if not size:
        return head
    if size <= max_body or max_body <= 0:
        return head + ENVELOPE.pack(BODY, channel, size) + body + END
    parts = [head]
    for start in range(0, size, max_body):
        part = body[start : start + max_body]
        parts += (ENVELOPE.pack(BODY, channel, len(part)), part, END)
    return b"".join(parts)


class Delivery(NamedTuple):
    """basic.deliver: the consumer, the message's number and routing key."""

    consumer: bytes
    tag: int
    routing_key: str


def parse_delivery(payload: bytes) -> Delivery:
    """Return basic.deliver."""
    end = 5 + payload[4]
    tag = int.from_bytes(payload[end : end + 8], "big")
    key = end + 10 + payload[end + 9]
    return Delivery(payload[5:end], tag, _string(payload, key))


def parse_return(payload: bytes) -> str:
    """Return the routing key of basic.return: behind a code, a text and the exchange."""
    exchange = 7 + payload[6]
    return _string(payload, exchange + 1 + payload[exchange])


def _string(payload: bytes, position: int) -> str:
    start = position + 1
    return payload[start : start + payload[position]].decode(errors="replace")


class Confirmation(NamedTuple):
    """basic.ack or basic.nack of one message, or of all up to one."""

    tag: int
    multiple: bool
    is_refused: bool


def parse_confirmation(payload: bytes) -> Confirmation:
    """Return basic.ack or basic.nack."""
    tag, bits = _CONFIRMATION.unpack_from(payload)
    return Confirmation(tag, bool(bits & 1), payload[:4] == NACK)


class Properties(NamedTuple):
    """The properties that matter here."""

    reply_to: str = ""
    correlation_id: str = ""
    message_id: str = ""
    traceparent: str = ""


_NONE: Final = Properties()


def parse_header(payload: bytes) -> tuple[int, Properties]:
    """Return the size of the body that follows, and the properties; none that are malformed."""
    _, _, size, flags = _HEADER.unpack_from(payload)
    if not flags & _FLAGS_THAT_MATTER:
        return size, _NONE
    decoded = header.ContentHeader()
    try:
        decoded.unmarshal(payload)
    except Exception:  # noqa: BLE001  pamqp's are many: ValueError, OverflowError, RecursionError, …
        return size, _NONE
    found = decoded.properties
    traceparent = found.headers.get(TRACEPARENT) if found.headers else None
    return size, Properties(
        found.reply_to or "",
        found.correlation_id or "",
        found.message_id or "",
        traceparent if isinstance(traceparent, str) else "",
    )


def legible(frame: bytes) -> bytes:
    """Return a frame whose text pamqp can decode, with '?' for what is not ASCII.

    RabbitMQ truncates its texts at 255 bytes, even within a character.
    """
    text = _TEXTS.get(frame[ENVELOPE.size : _METHOD_END])
    if text is None or frame[0] != METHOD or frame.isascii():
        return frame
    start = text + 1
    end = start + frame[text]
    try:
        frame[start:end].decode()
    except UnicodeDecodeError:
        readable = frame[start:end].decode("ascii", "replace").replace("\ufffd", "?")
        return frame[:start] + readable.encode() + frame[end:]
    return frame
