"""Ids: of servers, dialogs and the objects that we name.

A dialog id is `<server_id>.<token>`: executors subscribe `commands_<server_id>.*` and need to know
no dialog. An object that ari-proxy names is called `arip-<token>-<nonce>`: whoever sees the
object's id knows its dialog, after any restart and without a lookup. All such ids have one length,
since Asterisk 22 refuses a channel id that is a prefix of a live one.
"""

import re
import secrets
from collections.abc import Callable
from typing import Final, NewType

from .errors import IllegalSubjectTokenError

ServerId = NewType("ServerId", str)
DialogId = NewType("DialogId", str)
#: The part of a dialog id after the dot.
Token = NewType("Token", str)

#: Makes random ids of the given length; an argument wherever ids are made, so that tests can repeat
#: them.
RandomId = Callable[[int], str]

#: Crockford's base 32, lower case: no letters that are mistaken for digits.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
#: 80 bits: no two dialogs of all times share a token.
TOKEN_LENGTH: Final = 16
#: 50 bits: no two objects of one dialog share a nonce.
NONCE_LENGTH: Final = 10
_OBJECT_PREFIX: Final = "arip-"
_OBJECT_ID = re.compile(rf"arip-([{_ALPHABET}]{{{TOKEN_LENGTH}}})-[{_ALPHABET}]{{{NONCE_LENGTH}}}")
#: The suffix of the peer half of a Local channel (core_local.c).
PEER_HALF: Final = ";2"
#: Longest server_id or application name; Asterisk ends an application's name at 80 bytes.
MAX_TOKEN_LENGTH: Final = 80


def random_id(length: int) -> str:
    """Return a random string of `length` base-32 characters."""
    bits = secrets.randbits(5 * length)
    return "".join(_ALPHABET[(bits >> shift) & 31] for shift in range(0, 5 * length, 5))


def check_subject_token(kind: str, value: str) -> str:
    """Return `value` if it can be one token of a NATS subject and part of a queue's name.

    Raises:
        IllegalSubjectTokenError: with the reason. NATS, "Subject-Based Messaging": a token has no
            dot, white space, `*` or `>`; control characters break its protocol.
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
    """Return `value` as a server id, or raise IllegalSubjectTokenError."""
    return ServerId(check_subject_token("server_id", value))


def new_dialog_id(server: ServerId, random: RandomId = random_id) -> DialogId:
    """Return the id of a new dialog on `server`."""
    return DialogId(f"{server}.{random(TOKEN_LENGTH)}")


def dialog_id(server: ServerId, value: str) -> DialogId:
    """Return `value` as the id of a dialog on `server`.

    Raises:
        IllegalSubjectTokenError: it names another server, or its token can't be part of a topic or
            of an object's id.
    """
    owner, _, token = value.partition(".")
    if owner != server:
        raise IllegalSubjectTokenError("dialog_id", value, f"it must begin with {server + '.'!r}")
    if len(token) != TOKEN_LENGTH or not set(token) <= set(_ALPHABET):
        reason = f"its token must be {TOKEN_LENGTH} characters of {_ALPHABET}"
        raise IllegalSubjectTokenError("dialog_id", value, reason)
    return DialogId(value)


def token_of_dialog(dialog: DialogId) -> Token:
    """Return the part of a dialog id behind the server's."""
    return Token(dialog.rpartition(".")[2])


def new_object_id(token: Token, random: RandomId = random_id) -> str:
    """Return the id of a new channel, bridge or playback of the dialog with `token`."""
    return f"{_OBJECT_PREFIX}{token}-{random(NONCE_LENGTH)}"


def token_of_object(object_id: str) -> Token | None:
    """Return the dialog's token if `object_id` was made by `new_object_id`."""
    if not object_id.startswith(_OBJECT_PREFIX):
        return None
    match = _OBJECT_ID.fullmatch(object_id)
    return Token(match[1]) if match else None
