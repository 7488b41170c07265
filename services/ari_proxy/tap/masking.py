"""Secrets, and numbers if wished, masked in messages that are shown later. Sans-I/O.

A message is JSON that holds JSON as text, and requests with query strings, which hold more of both.
All are read and masked by the names in them. What is masked costs a bounded number of readings.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

from .records import TapRecord

MASK: Final = "***"
#: Levels that are read: of objects, of JSON in texts, of percent-encoding.
MAX_DEPTH: Final = 32
#: Of one query; more are taken for one, and masked with it.
MAX_PARAMETERS: Final = 500
_NOT_SHOWN: Final = msgspec.json.encode(MASK)

_NAMES: Final = "api[-_ ]?key|passwd|password|secret|token|authorization"
_SECRET: Final = re.compile(_NAMES, re.IGNORECASE)
#: What names the `value` beside it: a channel variable, or a field of Asterisk's configuration.
_NAMING: Final = frozenset({"variable", "attribute", "name", "key"})

#: In a text: a secret behind its name, a password within a URL, and what HTTP authenticates with;
#: each behind one of the words without which a text needs no search.
_SECRETS: Final = (
    (
        ("api", "passw", "secret", "token", "authorization"),
        re.compile(rf"(?is)((?:{_NAMES})[^=:]{{0,60}}[=:]\s*)(.+)"),
    ),
    (("//",), re.compile(r"(//[^/?#\s:@]*:)([^/?#\s]*)(?=@)")),
    (("bearer", "basic"), re.compile(r"(?i)(\b(?:bearer|basic)\s+)([\w.~+/=-]{8,})")),
)
#: Five digits and more, which may be a telephone number: no part of an id, of a time or of a UUID.
_NUMBERS: Final = re.compile(
    r"(?i)(?=[+\d])(?:(?<![\w.:-])|(?<=sip:)|(?<=sips:)|(?<=tel:))"
    r"(?<!channels/)(?<!bridges/)(?<!playbacks/)"
    r"(\+?\d{2,30})(\d{3})(?!\w|\.\d|-[0-9a-f]{4}-[0-9a-f]{4}-)"
)
#: Fields and parameters that hold ids, which may be numbers, too.
_IDS: Final = frozenset(
    {
        *("asterisk_id", "bridge_id", "channel_id", "dialog_id", "protocol_id", "server_id"),
        *("bridgeId", "channelId", "otherChannelId", "playbackId", "snoopId", "unique_id"),
        *("channel", "channels", "id", "linkedid", "originator", "uniqueid"),
    }
)
#: Where the next parameter of a query begins.
_NEXT: Final = re.compile(r"([?&])(?=[^?&=]*=)")
#: Stays as it is in what is percent-encoded again.
_SAFE: Final = "*/:,;=()@"


class Masking:
    """Masks what must not be shown."""

    def __init__(self, *, numbers: bool = False) -> None:
        """Initialise it.

        Args:
            numbers: whether to mask telephone numbers, too, all but their last three digits.
        """
        self._numbers = numbers

    def masked(self, message: bytes) -> bytes:
        """Return a message with masks, or as it is if it needs none; of what is no JSON a mask."""
        try:
            content = msgspec.json.decode(message)
        except UNDECODABLE:
            return _NOT_SHOWN
        shown = self._value("", content, 0)
        return message if shown == content else msgspec.json.encode(shown)

    def record(self, record: TapRecord) -> TapRecord:
        """Return a record whose message is masked."""
        message = msgspec.Raw(self.masked(bytes(record.message)))
        return msgspec.structs.replace(record, message=message)

    def _value(self, name: str, value: Any, depth: int) -> Any:
        """Return the value of a field; numbers of JSON's own stay, since they measure something."""
        if depth > MAX_DEPTH:
            return MASK
        match value:
            case str():
                return self._text(name, value, depth)
            case dict():
                return self._object(value, depth)
            case list():
                return [self._value(name, one, depth + 1) for one in value]
            case _:
                return value

    def _object(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        # The variable of a response's value is named by its command.
        hides = _names_secret(fields.items()) or fields.keys() == {"value"}
        return {
            field: MASK if _is_secret(field, hides=hides) else self._value(field, value, depth + 1)
            for field, value in fields.items()
        }

    def _text(self, name: str, text: str, depth: int) -> str:
        """Return a text: JSON, or a query with what stands before it, or just words."""
        if depth > MAX_DEPTH:
            return MASK
        if text.lstrip()[:1] in {"{", "[", '"'}:
            return self._json(name, text, depth)
        if "=" in text or "%" in text:
            return self._query(name, text, depth)
        return self._words(name, text)

    def _json(self, name: str, text: str, depth: int) -> str:
        try:
            content = msgspec.json.decode(text)
        except UNDECODABLE:
            return self._words(name, text)
        shown = self._value(name, content, depth + 1)
        return text if shown == content else msgspec.json.encode(shown).decode()

    def _query(self, name: str, text: str, depth: int) -> str:
        pieces = _NEXT.split(text, MAX_PARAMETERS)
        pairs = [piece.partition("=") for piece in pieces]
        hides = _names_secret((unquote(key), unquote(value)) for key, _, value in pairs)
        return "".join(self._piece(name, piece, depth, hides=hides) for piece in pieces)

    def _piece(self, name: str, piece: str, depth: int, *, hides: bool) -> str:
        """Return a parameter of a query, or another piece of a text."""
        key, equals, value = piece.partition("=")
        parameter = unquote(key) if equals else name
        if equals and _is_secret(parameter, hides=hides):
            return f"{key}={MASK}"
        if "%" in piece and (plain := unquote(piece)) != piece:
            shown = self._text(name, plain, depth + 1)
            return piece if shown == plain else quote(shown, safe=_SAFE)
        if value.startswith(("{", "[")):
            return f"{key}={self._text(parameter, value, depth + 1)}"
        return self._words(parameter, piece)

    def _words(self, name: str, text: str) -> str:
        folded = text.lower()
        for words, secret in _SECRETS:
            if any(word in folded for word in words):
                text = secret.sub(rf"\1{MASK}", text)
        if self._numbers and name not in _IDS:
            text = _NUMBERS.sub(rf"{MASK}\2", text)
        return text


def _is_secret(name: str, *, hides: bool) -> bool:
    """Return whether a field's value is secret; `hides`: that of the field `value` is."""
    return _is_name_of_secret(name) or (hides and name == "value")


@lru_cache(maxsize=1_000)
def _is_name_of_secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def _names_secret(pairs: Iterable[tuple[str, Any]]) -> bool:
    """Return whether one of them gives a name that says that the `value` beside it is secret."""
    return any(
        name in _NAMING and isinstance(value, str) and _is_name_of_secret(value)
        for name, value in pairs
    )
