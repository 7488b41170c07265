"""What helps if no answer comes to a request: its executor may have died with it. Sans-I/O.

Much may be sent again: answering a channel twice is answering it. What creates an object under a
name of the client's, or moves a channel, is found out by asking Asterisk first; what Asterisk 22
answers to a second request is measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, quote, unquote

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

from .ari.transport import AriAnswer

#: What may be requested of a channel or a bridge more than once.
_REPEATABLE: Final = frozenset(
    {"answer", "ring", "hold", "mute", "moh", "silence", "variable", "removeChannel", "stop"}
)
_OBJECTS: Final = frozenset({"channels", "bridges", "recordings"})
_VARIABLES: Final = frozenset({"variable", "variables"})
#: Answers to a repeated request that say that the first one was executed: Asterisk's to an object
#: that is gone, and to a channel that is not in the bridge.
_DONE_ALREADY: Final = {"DELETE": 404, "removeChannel": 422, "stop": 404}
_NOT_FOUND: Final = 404
_FIRST_ERROR: Final = 400
#: An application of the dialplan: that of channels which an application has.
_STASIS: Final = "Stasis"
DONE: Final = AriAnswer(204, "")


class _BridgeChannels(msgspec.Struct):
    channels: list[str] = []


class _DialplanApplication(msgspec.Struct):
    app_name: str = ""


class _ChannelDialplan(msgspec.Struct):
    dialplan: _DialplanApplication


_bridge: Final = msgspec.json.Decoder(_BridgeChannels)
_channel: Final = msgspec.json.Decoder(_ChannelDialplan)


class Absent:
    """What Asterisk has not executed, as far as it can tell."""


ABSENT: Final = Absent()
#: What a request was answered, or would have been; or that it was not executed; None if Asterisk
#: does not say.
Finding = AriAnswer | Absent | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What to do while a request has no answer."""

    #: What to GET, or '' if there is no need to ask.
    inquiry: str = ""
    #: Makes of the answer to that what the request would have been answered; None if it was not
    #: executed.
    conclude: Callable[[AriAnswer], AriAnswer | None] = lambda _: None
    #: Whether the request may be sent again, after the inquiry if there is one.
    may_repeat: bool = True
    #: The status of the answer to a repeated request that was executed before.
    done_already: int = 0

    def finding(self, found: AriAnswer) -> Finding:
        """Return what the answer to the inquiry says of the request."""
        if found.status >= _FIRST_ERROR and found.status != _NOT_FOUND:
            return None
        return self.conclude(found) or ABSENT


#: Of what may simply be sent again, by `done_already`: most commands are of this kind.
_AGAIN: Final = {status: Remedy(done_already=status) for status in (0, *_DONE_ALREADY.values())}


def remedy_of(method: str, url: str) -> Remedy | None:
    """Return what to do while a request has no answer; None if that is only to wait.

    Args:
        method: of the request.
        url: relative to ARI's root, with the query.
    """
    path, _, query = url.partition("?")
    parts = path.strip("/").split("/")
    if parts[-1] in _VARIABLES and "(" in unquote(query):
        return None  # A function of the dialplan may do anything.
    if method in {"GET", "DELETE"}:
        return _AGAIN[_DONE_ALREADY.get(method, 0)]
    if method != "POST":
        return None
    if parts[-1] in _REPEATABLE and parts[0] in _OBJECTS:
        return _AGAIN[_DONE_ALREADY.get(parts[-1], 0)]
    given = {name: values[0] for name, values in parse_qs(query).items()}
    return _of_channel(parts, given) if parts[0] == "channels" else _of_bridge(parts, given)


def _of_channel(parts: list[str], given: dict[str, str]) -> Remedy | None:
    match parts[1:]:
        case [name, "continue"]:
            return Remedy(inquiry=f"/channels/{name}", conclude=_has_left)
        case [_, "play"]:
            return _created("/playbacks", given.get("playbackId"))
        case [_, "record"]:
            # One that has ended is not live: it must not be overwritten.
            is_unique = given.get("ifExists", "fail") == "fail"
            return _created("/recordings/live", given.get("name"), may_repeat=is_unique)
        # One that has rung in vain is gone as well: it must not ring again.
        case [] | ["create" | "externalMedia"]:
            return _created("/channels", given.get("channelId"), may_repeat=False)
        case [name]:
            return _created("/channels", unquote(name), may_repeat=False)
    return None


def _of_bridge(parts: list[str], given: dict[str, str]) -> Remedy | None:
    match parts:
        case ["bridges"]:
            return _created("/bridges", given.get("bridgeId"))
        case ["bridges", name, "addChannel"]:
            added = given.get("channel", "").split(",")
            return Remedy(inquiry=f"/bridges/{name}", conclude=lambda found: _has(found, added))
    return None


def _created(collection: str, name: str | None, *, may_repeat: bool = True) -> Remedy | None:
    """Return the remedy for what creates an object; None if the client has not named it."""
    if not name:
        return None
    inquiry = f"{collection}/{quote(name, safe='')}"
    return Remedy(inquiry=inquiry, conclude=_is_there, may_repeat=may_repeat)


def _is_there(found: AriAnswer) -> AriAnswer | None:
    return found if found.status < _FIRST_ERROR else None


def _has_left(found: AriAnswer) -> AriAnswer | None:
    if found.status == _NOT_FOUND:
        return DONE
    try:
        app_name = _channel.decode(found.body).dialplan.app_name
    except UNDECODABLE:
        return None
    return None if app_name == _STASIS else DONE


def _has(found: AriAnswer, channels: list[str]) -> AriAnswer | None:
    try:
        inside = _bridge.decode(found.body).channels
    except UNDECODABLE:
        return None
    return DONE if {*channels} <= {*inside} else None
