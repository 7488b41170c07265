"""The four messages of go-ari-proxy, and some of ours.

Bytes are the original's: every field present, in its order, JSON as Go's `encoding/json` writes it
(`<`, `>`, `&`, U+2028 and U+2029 escaped, other non-ASCII as UTF-8). What ari-proxy adds comes
behind the original's fields; clients ignore unknown fields.
"""

from typing import Annotated, Final, Literal

import msgspec

from .errors import MalformedMessageError
from .ids import DialogId, ServerId

#: Objects whose names clients may choose.
ObjectKind = Literal["channel", "bridge", "playback", "recording"]
#: The header that tells a message's trace (W3C Trace Context §3.2.1).
TRACEPARENT: Final = "traceparent"
#: What go-ari-proxy's client library publishes first on a commands topic to bring it into being.
DUMMY: Final = b"DUMMY"
#: Commands of an array, which are one message.
MAX_COMMANDS: Final = 1_000


class AppStart(msgspec.Struct, frozen=True):
    """Announces a new dialog to an application."""

    application: str
    dialog_id: str
    server_id: str
    channel_id: str = ""  #: ours: the channel whose StasisStart began the dialog
    #: ours: the dialog's trace (W3C Trace Context), where traces are on
    traceparent: str | msgspec.UnsetType = msgspec.UNSET
    #: ours: when the proxy began to offer it, in the form of an Event's
    timestamp: str | msgspec.UnsetType = msgspec.UNSET


class Event(msgspec.Struct, frozen=True):
    """One ARI event of a dialog, as a client reads it; `EventEncoder` writes it."""

    server_id: str
    timestamp: str
    type: str
    ari_body: str  #: the frame as Asterisk sent it
    dialog_id: str = ""  #: ours; empty for events of a server
    sequence: int = 0  #: ours: per dialog, from 1, without gaps; 0 from the original


class Command(msgspec.Struct, frozen=True):
    """One ARI request that a client wants done."""

    unique_id: str = ""  #: the client's, comes back in the response; legacy clients leave it empty
    url: str = ""  #: relative, like `/channels/1.2/play?media=sound:x`
    method: str = ""
    body: str = ""
    dialog_id: str = (
        ""  #: ours: on `commands_<server_id>`, the dialog a new channel shall belong to
    )
    #: ours: the trace it belongs to, for clients that send no headers
    traceparent: str | msgspec.UnsetType = msgspec.UNSET


class CommandResponse(msgspec.Struct, frozen=True):
    """What became of one command."""

    unique_id: str
    status_code: int
    response_body: str


class ServerCommandResponse(CommandResponse, frozen=True):
    """What became of a command of `commands_<server_id>`."""

    dialog_id: str = ""  #: of the channel that the command creates


class _Taken(msgspec.Struct, frozen=True):
    """Replies to an AppStart, if its taker has anything to say."""

    decline: bool = False
    reason: str = ""


class Binding(msgspec.Struct, frozen=True):
    """Tells ingest to which dialog an object belongs, before the object comes into being."""

    dialog_id: str
    kind: ObjectKind
    object_id: Annotated[str, msgspec.Meta(min_length=1)]
    application: str = ""  #: set for a new dialog: announce it there when its channel enters Stasis
    release: bool = False  #: the object did not come into being after all


class Bound(msgspec.Struct, frozen=True):
    """Answers a Binding, once it is in force."""

    error: str = ""  #: why it is refused
    #: Whether the object is the dialog's by this binding alone, so that a release may undo it. An
    #: older ingest does not say: then nothing is released, since an object of that name may live.
    is_new: bool = False


class Question(msgspec.Struct, frozen=True):
    """Asks ingest which objects belong to a dialog."""

    dialog_id: str
    objects: list[tuple[ObjectKind, str]]


class Owned(msgspec.Struct, frozen=True):
    """Answers a Question: those that do, and the application that serves the dialog."""

    application: str = ""
    owned: tuple[tuple[ObjectKind, str], ...] = ()


_encoder = msgspec.json.Encoder()
_command_decoder = msgspec.json.Decoder(Command)
_taken_decoder = msgspec.json.Decoder(_Taken)
_commands_decoder = msgspec.json.Decoder(list[Command])
#: What stands between an Event's server and its time.
_TIMESTAMP: Final = b',"timestamp":"'
_MARKUP: Final = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_SEPARATORS: Final = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


def _as_go(encoded: bytes) -> bytes:
    for plain, escaped in (*_MARKUP, *_SEPARATORS):
        encoded = encoded.replace(plain, escaped)
    return encoded


def encode(message: AppStart | Event | Command | CommandResponse | Binding) -> bytes:
    """Return the message's JSON in Go's form."""
    return _as_go(_encoder.encode(message))


def encode_all(messages: list[CommandResponse] | list[Command]) -> bytes:
    """Return a JSON array of messages in Go's form."""
    return _as_go(_encoder.encode(messages))


def decode_commands(payload: bytes) -> list[Command]:
    """Return the command, or the commands of a JSON array, in `payload`.

    Raises:
        MalformedMessageError: it is neither; the reason names the place, like `$.body`.
    """
    try:
        if payload.lstrip()[:1] == b"[":
            return _commands_decoder.decode(payload)
        return [_command_decoder.decode(payload)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessageError("Command", str(error)) from error


def declines(reply: bytes | None) -> bool:
    """Return whether a reply to an AppStart declines it; any other one, or none, does not."""
    try:
        return bool(reply) and _taken_decoder.decode(reply or b"").decline
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


class EventEncoder:
    """Writes Events of one server around raw frames, without decoding them again."""

    __slots__ = ("_prefix",)

    def __init__(self, server: ServerId) -> None:
        self._prefix = b'{"server_id":%b%b' % (encode_text(server), _TIMESTAMP)

    def encode(
        self, frame: str, event_type: str, timestamp: str, dialog: DialogId | str, sequence: int
    ) -> bytes:
        """Return the Event that carries `frame`, the text that Asterisk sent."""
        return b'%b%b","type":%b,"ari_body":%b,"dialog_id":"%b","sequence":%d}' % (
            self._prefix,
            timestamp.encode(),
            encode_text(event_type),
            encode_text(frame),
            dialog.encode(),
            sequence,
        )


def timestamp_of(event: bytes) -> str:
    """Return the timestamp of an Event that `EventEncoder` has written, as it stands there."""
    start = event.index(_TIMESTAMP) + len(_TIMESTAMP)
    return event[start : event.index(b'"', start)].decode()


def encode_text(text: str) -> bytes:
    """Return `text` as a JSON string in Go's form."""
    encoded = _encoder.encode(text)
    # Looking into a str costs a fifth of looking into bytes, and nearly no frame has any of these.
    if "<" in text or ">" in text or "&" in text or not text.isascii():
        return _as_go(encoded)
    return encoded
