"""Recorded commands beside those that a handler sends now: new names of the same objects. Sans-I/O.

The client library gives a random name to what it creates. A name that stands where a recorded one
stood is taken for it from then on.
"""

import re
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import Command

#: As `protocol.ids.new_object_id` makes it.
_NAME: Final = re.compile(r"(ari[pu]-[0-9a-z]{16}-[0-9a-z]{10})")


class Names:
    """Which new name stands for which recorded one."""

    def __init__(self) -> None:
        self._new: dict[str, str] = {}
        self._recorded: dict[str, str] = {}

    def is_same(self, recorded: Command, sent: Command) -> bool:
        """Return whether a command is a recorded one, but for new names, which are learnt."""
        former, now = _NAME.split(_canonical(recorded)), _NAME.split(_canonical(sent))
        if former[::2] != now[::2]:
            return False
        new, old = dict(self._new), dict(self._recorded)
        for one, other in zip(former[1::2], now[1::2], strict=True):
            if new.setdefault(one, other) != other or old.setdefault(other, one) != one:
                return False
        self._new, self._recorded = new, old
        return True

    def renewed(self, text: str) -> str:
        """Return a recorded text with the new names."""
        return _NAME.sub(lambda found: self._new.get(found[1], found[1]), text)


def _canonical(command: Command) -> str:
    """Return a command as text: without its id, and with its parameters in order."""
    path, _, query = command.url.partition("?")
    parameters = sorted(parse_qsl(query, keep_blank_values=True))
    return f"{command.method} {path} {parameters} {_canonical_body(command.body)}"


def _canonical_body(body: str) -> str:
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="sorted").decode()
    except UNDECODABLE:
        return body
