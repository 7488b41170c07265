"""Ids of servers, dialogs and the objects that ari-proxy names.

A dialog id has one of two forms. Both identify the dialog's server and its token (80 bits):

- `<server_id>.<token>`: on NATS an executor subscribes `commands_<server_id>.*`, without knowing
  any dialog.
- a UUID, as go-ari-proxy's are: version 8 (RFC 9562 §5.8), whose 122 free bits are the first 42 of
  the server id's SHA-256 and the token. Some clients parse it.

An object that ari-proxy names is called `arip-<token>-<nonce>`, or `ariu-…` where the dialog's id
is a UUID: the object's id identifies its dialog without a lookup, also after a restart. All such
ids have the same length, since Asterisk 22 refuses a channel id that is a prefix of a live one.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal, NewType
from uuid import UUID

from .errors import IllegalSubjectTokenError

ServerId = NewType("ServerId", str)
DialogId = NewType("DialogId", str)
#: The common prefix of a dialog's objects: their ids without the nonce. Identifies the dialog.
Token = NewType("Token", str)
#: The two forms of a dialog id.
DialogForm = Literal["token", "uuid"]

#: Makes random ids of the given length; passed in, so that tests can repeat ids.
RandomId = Callable[[int], str]

#: Crockford's base 32, lower case: without the letters that look like digits.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
#: 80 bits: no two dialogs ever share a token.
TOKEN_LENGTH: Final = 16
#: 50 bits: no two objects of one dialog share a nonce.
NONCE_LENGTH: Final = 10
#: By the form of the dialog's id; all of the same length.
_PREFIXES: Final[dict[DialogForm, str]] = {"token": "arip-", "uuid": "ariu-"}
_RANDOM = rf"[{_ALPHABET}]{{{TOKEN_LENGTH}}}"
_OBJECT_ID = re.compile(rf"(ari[pu]-{_RANDOM})-[{_ALPHABET}]{{{NONCE_LENGTH}}}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
#: Bits of a UUID that identify the server: one in 4 * 10^12.
_SERVER_BITS: Final = 42
_TOKEN_BITS: Final = 5 * TOKEN_LENGTH
#: The suffix of the peer half of a Local channel (core_local.c).
PEER_HALF: Final = ";2"
#: Longest server_id or application name; Asterisk truncates an application's name to 80 bytes.
MAX_TOKEN_LENGTH: Final = 80
# seed: the original's server_id is in messages only, and may be any text.
_SERVER_ID: Final = re.compile(r"[\w-]+")
_NOT_IN_SERVER_ID: Final = re.compile(r"[^\w-]+")


def random_id(length: int) -> str:
    """Return a random string of `length` base-32 characters."""
    bits = secrets.randbits(5 * length)
    return "".join(_ALPHABET[(bits >> shift) & 31] for shift in range(0, 5 * length, 5))


def check_subject_token(kind: str, value: str) -> str:
    """Return `value` if it can be a token of a NATS subject and part of a queue's name.

    Raises:
        IllegalSubjectTokenError: it can't, with the reason. A token has no dot, white space, `*` or
            `>` (NATS, "Subject-Based Messaging"); control characters break NATS's protocol.
    """
    reason = _objection(value)
    if reason:
        raise IllegalSubjectTokenError(kind, value, reason)
    return value


def _objection(value: str) -> str:
    if not value:
        return "it is empty"
    if len(value.encode(errors="surrogatepass")) > MAX_TOKEN_LENGTH:
        return f"it is longer than {MAX_TOKEN_LENGTH} bytes"
    if "." in value:
        return "a dot separates the tokens of a subject; use - or _"
    if "*" in value or ">" in value:
        return "* and > are wildcards of a subject"
    if any(character.isspace() for character in value):
        return "white space ends a subject"
    if not value.isprintable():
        return "it has control characters"
    return ""


def server_id(value: str) -> ServerId:
    """Return `value` as a server id.

    Raises:
        IllegalSubjectTokenError: the value can't be a token of a topic, looks like a dialog's id,
            or has characters that are special in a query, a label or the name of a queue.
    """
    if _UUID.fullmatch(value):
        reason = "a UUID of version 8 is the id of a dialog"
        raise IllegalSubjectTokenError("server_id", value, reason)
    check_subject_token("server_id", value)
    if not _SERVER_ID.fullmatch(value):
        instead = _NOT_IN_SERVER_ID.sub("-", value).strip("-")
        reason = "it may have letters, digits, - and _ only" + (
            f"; write {instead!r}" if instead else ""
        )
        raise IllegalSubjectTokenError("server_id", value, reason)
    return ServerId(value)


def new_dialog_id(
    server: ServerId, random: RandomId = random_id, *, form: DialogForm = "token"
) -> DialogId:
    """Return the id of a new dialog on `server`."""
    return _dialog_id(server, random(TOKEN_LENGTH), form)


def dialog_id(server: ServerId, value: str) -> DialogId:
    """Return `value` as the id of a dialog on `server`, in either form.

    Raises:
        IllegalSubjectTokenError: the value names another server, or its token can't be part of a
            topic or of an object's id.
    """
    if _UUID.fullmatch(value):
        if not is_of_server(value, server):
            reason = f"it must begin with the first {_SERVER_BITS} bits of SHA-256 of {server!r}"
            raise IllegalSubjectTokenError("dialog_id", value, reason)
        return DialogId(value)
    owner, _, token = value.partition(".")
    if owner != server:
        reason = f"it must begin with {server + '.'!r}, or be a UUID of version 8 (wire.md)"
        raise IllegalSubjectTokenError("dialog_id", value, reason)
    if len(token) != TOKEN_LENGTH or not set(token) <= set(_ALPHABET):
        reason = f"its token must be {TOKEN_LENGTH} characters of {_ALPHABET}"
        raise IllegalSubjectTokenError("dialog_id", value, reason)
    return DialogId(value)


def form_of(dialog: DialogId) -> DialogForm:
    """Return the form of a dialog's id."""
    return "uuid" if _UUID.fullmatch(dialog) else "token"


def is_dialog_id(value: str) -> bool:
    """Return whether an id is a dialog's; else it is a server's."""
    return "." in value or _UUID.fullmatch(value) is not None


def is_of_server(dialog: str, server: str) -> bool:
    """Return whether a dialog belongs to this server."""
    if _UUID.fullmatch(dialog):
        return _free_bits(dialog) >> _TOKEN_BITS == _server_bits(server)
    return dialog.partition(".")[0] == server


def server_mark(owner: str) -> str:
    """Return a text that identifies the server in the UUIDs of its dialogs.

    Args:
        owner: the server's id, or the UUID of one of its dialogs.
    """
    is_dialog = _UUID.fullmatch(owner) is not None
    bits = _free_bits(owner) >> _TOKEN_BITS if is_dialog else _server_bits(owner)
    return _text(bits, _SERVER_BITS // 5 + 1)


def token_of_dialog(dialog: DialogId) -> Token:
    """Return the prefix of the ids of a dialog's objects."""
    if _UUID.fullmatch(dialog):
        random = _text(_free_bits(dialog) & ((1 << _TOKEN_BITS) - 1), TOKEN_LENGTH)
        return Token(_PREFIXES["uuid"] + random)
    return Token(_PREFIXES["token"] + dialog.rpartition(".")[2])


def dialog_of_token(server: ServerId, token: Token) -> DialogId:
    """Return the dialog on `server` that owns the objects with a token."""
    form: DialogForm = "uuid" if token.startswith(_PREFIXES["uuid"]) else "token"
    return _dialog_id(server, token.removeprefix(_PREFIXES[form]), form)


def new_object_id(token: Token, random: RandomId = random_id) -> str:
    """Return the id of a new channel, bridge or playback of the dialog with `token`."""
    return f"{token}-{random(NONCE_LENGTH)}"


def new_object_of(dialog: str, random: RandomId = random_id) -> str:
    """Return the id of a new channel, bridge or playback of a dialog."""
    return new_object_id(token_of_dialog(DialogId(dialog)), random)


def token_of_object(object_id: str) -> Token | None:
    """Return the dialog's token if `object_id` was made by `new_object_id`."""
    if not object_id.startswith("ari"):
        return None
    match = _OBJECT_ID.fullmatch(object_id)
    return Token(match[1]) if match else None


# The bits of a UUID


def _dialog_id(server: ServerId, random: str, form: DialogForm) -> DialogId:
    if form == "token":
        return DialogId(f"{server}.{random}")
    number = 0
    for character in random:
        number = number << 5 | _ALPHABET.index(character)
    bits = _server_bits(server) << _TOKEN_BITS | number
    # 48 free bits, 4 of the version, 12 free ones, 2 of the variant, 62 free ones.
    high, middle, low = bits >> 74, bits >> 62 & 0xFFF, bits & (1 << 62) - 1
    return DialogId(str(UUID(int=high << 80 | 8 << 76 | middle << 64 | 2 << 62 | low)))


def _free_bits(dialog: str) -> int:
    """Return the 122 bits of a UUID without its version and variant."""
    number = UUID(dialog).int
    return number >> 80 << 74 | (number >> 64 & 0xFFF) << 62 | number & (1 << 62) - 1


@lru_cache(maxsize=1024)
def _server_bits(server: str) -> int:
    digest = hashlib.sha256(server.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest, "big") >> (256 - _SERVER_BITS)


def _text(bits: int, length: int) -> str:
    """Return bits as base-32 characters, the highest first."""
    return "".join(_ALPHABET[bits >> 5 * place & 31] for place in reversed(range(length)))
