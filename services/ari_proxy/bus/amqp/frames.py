"""AMQP 0-9-1 frames: those on the path of every message, packed at once. Sans-I/O.

pamqp codes every method field by field, which is right for the rest and too slow for these: three
frames for each message in either direction.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from pamqp import header
from pamqp.commands import Basic

from ari_proxy.protocol.messages import TRACEPARENT

from .errors import MalformedFrameError

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
HEARTBEAT: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"
#: Class and method of the frames that are read here (AMQP 0-9-1 §1.8.3).
DELIVER: Final = b"\x00\x3c\x00\x3c"
RETURN: Final = b"\x00\x3c\x00\x32"
ACK: Final = b"\x00\x3c\x00\x50"
NACK: Final = b"\x00\x3c\x00\x78"

_END: Final = b"\xce"
_END_BYTE: Final = 0xCE
#: Type, channel and size before a frame's payload, one byte behind it.
_ENVELOPE: Final = 8
_envelope: Final = struct.Struct(">BHI")
_content: Final = struct.Struct(">BHIHHQ")
_acknowledgement: Final = struct.Struct(">BHI4sQBB")
_CONFIRMATION: Final = struct.Struct(">4xQB")
_PUBLISH: Final = b"\x00\x3c\x00\x28\x00\x00"
_BASIC_CLASS: Final = 60
_REPLY_FLAGS: Final = 0x0400 | 0x0200
_MESSAGE_ID_FLAG: Final = 0x0080
_HEADERS_FLAG: Final = 0x2000


class Frame(NamedTuple):
    """One frame."""

    kind: int
    channel: int
    payload: bytes


class FrameSplitter:
    """Cuts a stream of bytes into frames."""

    def __init__(self, max_bytes: int = 128 * 1024) -> None:
        #: The largest frame, as negotiated.
        self.max_bytes = max_bytes
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete with `data`.

        Raises:
            MalformedFrameError: the stream is no AMQP, or a frame is larger than negotiated.
        """
        if self._rest:
            data = self._rest + data
        position = 0
        size = len(data)
        while size - position >= _ENVELOPE:
            kind, channel, length = _envelope.unpack_from(data, position)
            if length + _ENVELOPE > self.max_bytes:
                raise MalformedFrameError(f"RabbitMQ sent a frame of {length} bytes")
            end = position + _ENVELOPE - 1 + length
            if end >= size:
                break
            if data[end] != _END_BYTE:
                raise MalformedFrameError("RabbitMQ sent a frame without its end")
            yield Frame(kind, channel, data[position + _ENVELOPE - 1 : end])
            position = end + 1
        self._rest = data[position:]


def publish_method(channel: int, exchange: str, routing_key: str, *, mandatory: bool) -> bytes:
    """Return the first frame of a message, which depends on its topic only."""
    to, key = exchange.encode(), routing_key.encode()
    payload = b"%b%c%b%c%b%c" % (_PUBLISH, len(to), to, len(key), key, mandatory)
    return _envelope.pack(METHOD, channel, len(payload)) + payload + _END


def content(channel: int, properties: bytes, body: bytes, max_frame: int) -> bytes:
    """Return the other frames of a message: header and body.

    Args:
        channel: its number.
        properties: as `properties_of` returns them.
        body: of any size.
        max_frame: the largest frame, as negotiated.
    """
    size = len(body)
    head = (
        _content.pack(HEADER, channel, 12 + len(properties), _BASIC_CLASS, 0, size)
        + properties
        + _END
    )
    if not size:
        return head
    room = max_frame - _ENVELOPE
    if size <= room:
        return head + _envelope.pack(BODY, channel, size) + body + _END
    parts = [head]
    for start in range(0, size, room):
        part = body[start : start + room]
        parts += (_envelope.pack(BODY, channel, len(part)), part, _END)
    return b"".join(parts)


def properties_of(properties: Basic.Properties) -> bytes:
    """Return properties as `content` takes them."""
    return properties.marshal()


def acknowledgement(channel: int, tag: int, *, multiple: bool = False) -> bytes:
    """Return basic.ack."""
    return _acknowledgement.pack(METHOD, channel, 13, ACK, tag, multiple, _END_BYTE)


class Confirmation(NamedTuple):
    """The server has taken, or refused, one message or all until one."""

    tag: int
    multiple: bool


def parse_confirmation(payload: bytes) -> Confirmation:
    """Return basic.ack or basic.nack."""
    tag, bits = _CONFIRMATION.unpack_from(payload)
    return Confirmation(tag, bool(bits & 1))


class Delivery(NamedTuple):
    """basic.deliver: whose, and whether somebody had it before."""

    consumer: bytes
    tag: int
    redelivered: bool
    routing_key: str


def parse_delivery(payload: bytes) -> Delivery:
    """Return basic.deliver."""
    end = 5 + payload[4]
    tag = int.from_bytes(payload[end : end + 8], "big")
    redelivered = bool(payload[end + 8])
    key = end + 10 + payload[end + 9]
    routing_key = payload[key + 1 : key + 1 + payload[key]].decode(errors="replace")
    return Delivery(payload[5:end], tag, redelivered, routing_key)


def parse_return(payload: bytes) -> str:
    """Return the routing key of basic.return: behind a code, a text and the exchange."""
    text = 6
    exchange = text + 1 + payload[text]
    key = exchange + 1 + payload[exchange]
    return payload[key + 1 : key + 1 + payload[key]].decode(errors="replace")


class Properties(NamedTuple):
    """The properties that matter here."""

    reply_to: str = ""
    correlation_id: str = ""
    message_id: str = ""
    traceparent: str = ""


_NONE: Final = Properties()


def parse_header(payload: bytes) -> tuple[int, Properties]:
    """Return the size of the body that follows, and the properties."""
    size = int.from_bytes(payload[4:12], "big")
    flags = int.from_bytes(payload[12:14], "big")
    if not flags & (_REPLY_FLAGS | _MESSAGE_ID_FLAG | _HEADERS_FLAG):
        return size, _NONE
    decoded = header.ContentHeader()
    try:
        decoded.unmarshal(payload)
    except (struct.error, ValueError, IndexError) as error:
        if not flags & (_REPLY_FLAGS | _MESSAGE_ID_FLAG):
            return size, _NONE  # A client's headers; nothing that is needed.
        raise MalformedFrameError(f"RabbitMQ sent a malformed header: {error}") from error
    found = decoded.properties
    return size, Properties(
        found.reply_to or "",
        found.correlation_id or "",
        found.message_id or "",
        _traceparent(found.headers),
    )


def _traceparent(headers: object) -> str:
    value = headers.get(TRACEPARENT) if isinstance(headers, dict) else None
    return value if isinstance(value, str) else ""
