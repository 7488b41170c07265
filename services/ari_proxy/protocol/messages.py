"""The four messages of go-ari-proxy, and those that ari-proxy adds.

The encoding is the original's, byte for byte: every field present, in its order, JSON as Go's
`encoding/json` writes it (`<`, `>`, `&`, U+2028 and U+2029 escaped, other non-ASCII as UTF-8).
Fields that ari-proxy adds come last; clients ignore unknown fields.
"""

from typing import Annotated, Final, Literal

import msgspec

from .errors import MalformedMessageError
from .ids import DialogId, ServerId
from .malformed import UNDECODABLE

#: Kinds of objects that clients may name.
ObjectKind = Literal["channel", "bridge", "playback", "recording"]
#: The header with a message's trace (W3C Trace Context §3.2.1).
TRACEPARENT: Final = "traceparent"
#: go-ari-proxy's client library publishes this first on a commands topic, to create the topic.
DUMMY: Final = b"DUMMY"
#: Most commands in one message, a JSON array.
MAX_COMMANDS: Final = 1_000


class AppStart(msgspec.Struct, frozen=True):
    """Announces a new dialog to an application."""

    application: str
    dialog_id: str
    server_id: str
    #: Ours: the channel whose StasisStart began the dialog.
    channel_id: str = ""
    #: Ours: the dialog's trace (W3C Trace Context), if traces are on.
    traceparent: str | msgspec.UnsetType = msgspec.UNSET
    #: Ours: when the proxy first offered it, in the form of an Event's.
    timestamp: str | msgspec.UnsetType = msgspec.UNSET
    #: Ours: the version of the server's Asterisk as that writes it, if it is known.
    asterisk_version: str | msgspec.UnsetType = msgspec.UNSET
    #: Ours: True on `recovered_<application>`, for a call whose instance is gone; else left out.
    recovered: bool | msgspec.UnsetType = msgspec.UNSET


class Event(msgspec.Struct, frozen=True):
    """One ARI event of a dialog, as a client reads it; `EventEncoder` writes it."""

    server_id: str
    timestamp: str
    type: str
    #: The frame as Asterisk sent it.
    ari_body: str
    #: Ours; empty for events of a server.
    dialog_id: str = ""
    #: Ours: per dialog, from 1, without gaps; 0 from the original.
    sequence: int = 0


class Command(msgspec.Struct, frozen=True):
    """A client's request to ARI."""

    #: The client's own, repeated in the response; clients of the original leave it empty.
    unique_id: str = ""
    #: Relative to ARI's root, like `/channels/1.2/play?media=sound:x`.
    url: str = ""
    method: str = ""
    body: str = ""
    #: Ours: on `commands_<server_id>`, the dialog of the new channel.
    dialog_id: str = ""
    #: Ours: the command's trace, for clients that send no headers.
    traceparent: str | msgspec.UnsetType = msgspec.UNSET


class CommandResponse(msgspec.Struct, frozen=True):
    """The result of one command."""

    unique_id: str
    status_code: int
    response_body: str


class ServerCommandResponse(CommandResponse, frozen=True):
    """The result of a command on `commands_<server_id>`."""

    #: The dialog of the channel that the command creates, or ''.
    dialog_id: str = ""


class AppStartReply(msgspec.Struct, frozen=True):
    """An application's reply to an AppStart; most applications send none."""

    decline: bool = False
    reason: str = ""


class ObjectRegistration(msgspec.Struct, frozen=True):
    """Registers an object with its dialog before the object is created."""

    dialog_id: str
    kind: ObjectKind
    object_id: Annotated[str, msgspec.Meta(min_length=1)]
    #: For a new dialog only: where it is announced when its channel enters Stasis.
    application: str = ""
    #: True to withdraw the registration: the object was not created, or is deleted.
    release: bool = False


class RegistrationReply(msgspec.Struct, frozen=True):
    """Acknowledges an ObjectRegistration, once it is in force."""

    #: Why it is refused, or ''.
    error: str = ""
    #: Whether the dialog has the object by this registration alone, so that a release may undo it.
    #: An older ingest leaves it out; then nothing is released, since the object may exist.
    is_new: bool = False


class OwnershipQuery(msgspec.Struct, frozen=True):
    """Asks ingest which objects belong to a dialog."""

    dialog_id: str
    objects: list[tuple[ObjectKind, str]]


class OwnershipReply(msgspec.Struct, frozen=True):
    """Answers an OwnershipQuery."""

    #: The application that serves the dialog; '' if ingest does not know the dialog.
    application: str = ""
    #: Those of the objects that belong to the dialog.
    owned: tuple[tuple[ObjectKind, str], ...] = ()


_encoder = msgspec.json.Encoder()
_command_decoder = msgspec.json.Decoder(Command)
_app_start_reply_decoder = msgspec.json.Decoder(AppStartReply)
_commands_decoder = msgspec.json.Decoder(list[Command])
#: The bytes between an Event's server and its time.
_TIMESTAMP: Final = b',"timestamp":"'
_MARKUP: Final = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_SEPARATORS: Final = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))
_ESCAPED: Final = _MARKUP + _SEPARATORS


def _as_go(encoded: bytes) -> bytes:
    for plain, escaped in _ESCAPED:
        encoded = encoded.replace(plain, escaped)
    return encoded


def encode(
    message: AppStart | AppStartReply | Event | Command | CommandResponse | ObjectRegistration,
) -> bytes:
    """Return the message's JSON in Go's form."""
    return _as_go(_encoder.encode(message))


def encode_all(messages: list[CommandResponse] | list[Command]) -> bytes:
    """Return a JSON array of messages in Go's form."""
    return _as_go(_encoder.encode(messages))


def decode_commands(payload: bytes) -> list[Command]:
    """Return the command, or the commands of a JSON array, in `payload`.

    Raises:
        MalformedMessageError: the payload is neither; the reason names the place, like `$.body`.
    """
    try:
        if is_array(payload):
            return _commands_decoder.decode(payload)
        return [_command_decoder.decode(payload)]
    except UNDECODABLE as error:
        raise MalformedMessageError("Command", str(error)) from error


def is_array(payload: bytes) -> bool:
    """Return whether a payload is a JSON array, if it is JSON."""
    return payload.lstrip()[:1] == b"["


def declines(reply: bytes | None) -> bool:
    """Return whether a reply to an AppStart declines it; other replies, and None, do not."""
    try:
        return bool(reply) and _app_start_reply_decoder.decode(reply or b"").decline
    except UNDECODABLE:
        return False


class EventEncoder:
    """Encodes Events of one server around raw frames, without decoding the frames again."""

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
    """Return the timestamp of an Event that `EventEncoder` has written, unparsed."""
    start = event.index(_TIMESTAMP) + len(_TIMESTAMP)
    return event[start : event.index(b'"', start)].decode()


def encode_text(text: str) -> bytes:
    """Return `text` as a JSON string in Go's form."""
    encoded = _encoder.encode(text)
    # Searching a str costs a fifth of searching bytes, and hardly any frame has any of these.
    if "<" in text or ">" in text or "&" in text or not text.isascii():
        return _as_go(encoded)
    return encoded
