"""The arguments of the dialplan's StasisBroadcast (Asterisk 22.10). Sans-I/O.

`StasisBroadcast(timeout,app_filter,args,notify_claimed)`: the application that claims the channel
gets `args`, separated by colons. While the channel waits, and as long as it is in that application,
its `dialplan.app_name` is `StasisBroadcast` and `app_data` has these arguments; the application's
name stands nowhere in the channel.
"""

import re
from typing import Final

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

from .lenient import LenientDecoder

#: The dialplan's application.
NAME: Final = "StasisBroadcast"
#: What a timeout means that is missing, no number, or out of range.
DEFAULT_MILLISECONDS: Final = 500
MAX_MILLISECONDS: Final = 60_000
#: As C reads it: of ASCII. More digits are out of range anyway, and int() refuses thousands.
_NUMBER: Final = re.compile(r"\s*([+-]?\d{1,18})", re.ASCII)
_ARGS: Final = 2


class _BroadcastDialplan(msgspec.Struct, frozen=True):
    app_data: str = ""


class _BroadcastChannel(msgspec.Struct, frozen=True):
    dialplan: _BroadcastDialplan = _BroadcastDialplan()


class _CallBroadcast(msgspec.Struct, frozen=True):
    channel: _BroadcastChannel = _BroadcastChannel()


_decoder = LenientDecoder(_CallBroadcast)


def seconds_of(event: str) -> float:
    """Return how long Asterisk offers the channel of a CallBroadcast, from when it was sent."""
    try:
        data = _decoder.decode(event).channel.dialplan.app_data
    except UNDECODABLE:
        data = ""
    return timeout_seconds(data)


def timeout_seconds(data: str) -> float:
    """Return the timeout in StasisBroadcast's arguments, as Asterisk reads it."""
    found = _NUMBER.match(data.partition(",")[0])
    milliseconds = int(found[1]) if found else DEFAULT_MILLISECONDS
    if not 0 <= milliseconds <= MAX_MILLISECONDS:
        milliseconds = DEFAULT_MILLISECONDS
    return milliseconds / 1000


def arguments(data: str) -> tuple[str, ...]:
    """Return the arguments for the application in StasisBroadcast's arguments."""
    parts = data.split(",")
    text = parts[_ARGS] if len(parts) > _ARGS else ""
    return tuple(text.split(":")) if text else ()
