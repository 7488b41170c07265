"""ARI objects that a request refers to, in its path, its query and its body. Sans-I/O.

The parameters are those of Asterisk's api-docs. A parameter counts in the query and in the body,
though the body's overrides the query's (res_ari.c).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ari_proxy.ari.decoding import arguments
from ari_proxy.ari.operations import CREATIONS, OTHER
from ari_proxy.ari.urls import AriUrl
from ari_proxy.command.parameters import decoded, parameter
from ari_proxy.protocol.messages import ObjectKind


class ObjectRef(NamedTuple):
    """A reference to an object by its kind and name."""

    kind: ObjectKind
    name: str


_IN_PATH: Final[dict[str, ObjectKind]] = {
    "{channelId}": "channel",
    "{bridgeId}": "bridge",
    "{playbackId}": "playback",
    "{recordingName}": "recording",
}
#: Parameters that name channels, by template.
_CHANNELS: Final = {
    "/bridges/{bridgeId}/addChannel": "channel",
    "/bridges/{bridgeId}/removeChannel": "channel",
    "/channels/{channelId}/dial": "caller",
    "/channels": "originator",
    "/channels/create": "originator",
    "/channels/{channelId}": "originator",
}
#: Those of them that may name several.
_LISTS: Final = frozenset({"channel"})
_USER_EVENT: Final = "/events/user/{eventName}"
#: Operations on the objects of all dialogs.
_OF_ALL: Final = frozenset(
    {
        ("GET", "/channels"),
        ("GET", "/bridges"),
        ("GET", "/recordings/stored"),
        ("GET", "/applications"),
        ("GET", "/applications/{applicationName}"),
        ("POST", "/applications/{applicationName}/subscription"),
        ("DELETE", "/applications/{applicationName}/subscription"),
        ("PUT", "/applications/{applicationName}/eventFilter"),
        ("GET", "/events"),
        ("POST", "/events/claim"),
    }
)
LIST_OF_STORED: Final = "/recordings/stored"
STORED: Final = f"{LIST_OF_STORED}/"
_RECORD: Final = "/record"

_DELETED_RECORDINGS: Final = frozenset(
    {"/recordings/live/{recordingName}", "/recordings/stored/{recordingName}"}
)


def concerns_all(method: str, template: str) -> bool:
    """Return whether an operation can't be limited to the objects of a dialog.

    An unknown operation, as of a newer Asterisk, counts as such.
    """
    return template == OTHER or (method, template) in _OF_ALL


def new_recording(method: str, template: str, url: AriUrl, body: str) -> str:
    """Return the name of the recording that a request creates, or ''."""
    if method != "POST" or not template.endswith(_RECORD):
        return ""
    return parameter("name", url, body)


def deleted_recording(method: str, template: str, url: AriUrl) -> str:
    """Return the name of the recording that a request deletes, or ''.

    Asterisk sends no event for it, unlike for other objects.
    """
    is_one = method == "DELETE" and template in _DELETED_RECORDINGS
    return url.segments[-1] if is_one else ""


def concerns_stored(template: str) -> bool:
    """Return whether the recordings in an operation's parameters are stored ones."""
    return template.startswith(STORED) or "/play" in template or template.endswith(_RECORD)


def other_spellings(method: str, template: str, url: AriUrl, body: str) -> list[str]:
    """Return the names of recordings that are other spellings of a recording's name.

    Asterisk uses the name as a path, so `d//x` is the file of `d/x` (seen on 22 and 16).
    """
    in_path = [named.name for named in _in_path(method, template, url.segments)]
    names = in_path if template.startswith("/recordings/") else []
    names += _played(template, url, body)
    names += _values("name", url, body) if template.endswith(_RECORD) else []
    names += _values("destinationRecordingName", url, body) if template.endswith("/copy") else []
    return [name for name in names if not {"", ".", ".."}.isdisjoint(name.split("/"))]


def sounds_elsewhere(template: str, url: AriUrl, body: str) -> list[str]:
    """Return the sounds that are played from outside Asterisk's sounds directory."""
    found = []
    for uri in _media(template, url, body):
        scheme, _, name = uri.partition(":")
        leaves = name.startswith("/") or ".." in name.split("/")
        if scheme == "sound" and leaves and not name.startswith(("http://", "https://")):
            found.append(uri)
    return found


def object_refs(method: str, template: str, url: AriUrl, body: str) -> list[ObjectRef]:
    """Return the objects that a request refers to, except the one that it creates."""
    return [
        *_in_path(method, template, url.segments),
        *(ObjectRef("channel", name) for name in _channels(template, url, body)),
        *_sources(template, url, body),
        *(ObjectRef("recording", name) for name in _played(template, url, body)),
        *(ObjectRef("recording", name) for name in _replaced(method, template, url, body)),
    ]


def _in_path(method: str, template: str, given: Sequence[str]) -> Iterator[ObjectRef]:
    if template == OTHER:
        return  # The meaning of the segments is unknown.
    creation = CREATIONS.get(template) if method == "POST" else None
    wanted = template[1:].split("/")
    for index, (segment, value) in enumerate(zip(wanted, given, strict=True)):
        is_new = creation is not None and creation.in_path and index == len(wanted) - 1
        kind = _IN_PATH.get(segment)
        if kind is not None and not is_new:
            yield ObjectRef(kind, value)


def _channels(template: str, url: AriUrl, body: str) -> Iterator[str]:
    parameter = _CHANNELS.get(template)
    if parameter:
        read = _listed if parameter in _LISTS else _values
        yield from filter(None, read(parameter, url, body))


def _sources(template: str, url: AriUrl, body: str) -> Iterator[ObjectRef]:
    """Yield the sources of a user event, like `channel:1.2,bridge:x`."""
    for source in _listed("source", url, body) if template == _USER_EVENT else ():
        kind, _, name = source.partition(":")
        if kind in {"channel", "bridge"}:
            yield ObjectRef("bridge" if kind == "bridge" else "channel", name)


def _played(template: str, url: AriUrl, body: str) -> Iterator[str]:
    """Yield the stored recordings that are played, like `recording:x`."""
    for uri in _media(template, url, body):
        scheme, _, name = uri.partition(":")
        if scheme == "recording":
            yield name


def _media(template: str, url: AriUrl, body: str) -> list[str]:
    return _listed("media", url, body) if "/play" in template else []


def _replaced(method: str, template: str, url: AriUrl, body: str) -> Iterator[str]:
    """Yield the stored recording that a new one replaces or continues."""
    name = new_recording(method, template, url, body)
    if name and not {"", "fail"}.issuperset(_values("ifExists", url, body)):
        yield name


def _values(name: str, url: AriUrl, body: str) -> list[str]:
    """Return all values of a parameter, in the query and in a JSON body."""
    return [*url.values(name), *_in_body(name, body)]


def _listed(name: str, url: AriUrl, body: str) -> list[str]:
    """Return all values of a parameter that takes a list; a body's list needs no commas."""
    in_query = (value for text in url.values(name) for value in arguments(text))
    return [*in_query, *_in_body(name, body)]


def _in_body(name: str, body: str) -> list[str]:
    content = decoded(body)
    value = content.get(name) if isinstance(content, dict) else None
    given = value if isinstance(value, list) else [value]
    return [entry for entry in given if isinstance(entry, str)]
