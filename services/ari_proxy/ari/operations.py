"""ARI's operations: path templates, and those that create an object which the caller may name.

The table is that of Asterisk 22's `rest-api/api-docs`; a test compares the two. A path that no
template matches, as of a newer Asterisk, is a command like any other; its template is `other`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ari_proxy.protocol.messages import ObjectKind

from . import decoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """The parameter in which an operation names the object that it creates."""

    kind: ObjectKind
    #: The parameter with the id, in the query or the JSON body.
    parameter: str
    #: True if the id is the path's last segment.
    in_path: bool = False


#: Every path template of Asterisk 22, with its methods.
TEMPLATES: Final[dict[str, str]] = {
    "/applications": "GET",
    "/applications/{applicationName}": "GET",
    "/applications/{applicationName}/subscription": "POST DELETE",
    "/applications/{applicationName}/eventFilter": "PUT",
    "/asterisk/config/dynamic/{configClass}/{objectType}/{id}": "GET PUT DELETE",
    "/asterisk/info": "GET",
    "/asterisk/ping": "GET",
    "/asterisk/modules": "GET",
    "/asterisk/modules/{moduleName}": "GET POST DELETE PUT",
    "/asterisk/logging": "GET",
    "/asterisk/logging/{logChannelName}": "POST DELETE",
    "/asterisk/logging/{logChannelName}/rotate": "PUT",
    "/asterisk/variable": "GET POST",
    "/bridges": "GET POST",
    "/bridges/{bridgeId}": "POST GET DELETE",
    "/bridges/{bridgeId}/variable": "GET POST",
    "/bridges/{bridgeId}/variables": "GET POST",
    "/bridges/{bridgeId}/addChannel": "POST",
    "/bridges/{bridgeId}/removeChannel": "POST",
    "/bridges/{bridgeId}/videoSource/{channelId}": "POST",
    "/bridges/{bridgeId}/videoSource": "DELETE",
    "/bridges/{bridgeId}/moh": "POST DELETE",
    "/bridges/{bridgeId}/play": "POST",
    "/bridges/{bridgeId}/play/{playbackId}": "POST",
    "/bridges/{bridgeId}/record": "POST",
    "/channels": "GET POST",
    "/channels/create": "POST",
    "/channels/externalMedia": "POST",
    "/channels/{channelId}": "GET POST DELETE",
    "/channels/{channelId}/continue": "POST",
    "/channels/{channelId}/move": "POST",
    "/channels/{channelId}/redirect": "POST",
    "/channels/{channelId}/answer": "POST",
    "/channels/{channelId}/ring": "POST DELETE",
    "/channels/{channelId}/progress": "POST",
    "/channels/{channelId}/dtmf": "POST",
    "/channels/{channelId}/mute": "POST DELETE",
    "/channels/{channelId}/hold": "POST DELETE",
    "/channels/{channelId}/moh": "POST DELETE",
    "/channels/{channelId}/silence": "POST DELETE",
    "/channels/{channelId}/play": "POST",
    "/channels/{channelId}/play/{playbackId}": "POST",
    "/channels/{channelId}/record": "POST",
    "/channels/{channelId}/variable": "GET POST",
    "/channels/{channelId}/variables": "GET POST",
    "/channels/{channelId}/snoop": "POST",
    "/channels/{channelId}/snoop/{snoopId}": "POST",
    "/channels/{channelId}/dial": "POST",
    "/channels/{channelId}/rtp_statistics": "GET",
    "/channels/{channelId}/transfer_progress": "POST",
    "/deviceStates": "GET",
    "/deviceStates/{deviceName}": "GET PUT DELETE",
    "/endpoints": "GET",
    "/endpoints/sendMessage": "PUT",
    "/endpoints/refer": "POST",
    "/endpoints/{tech}": "GET",
    "/endpoints/{tech}/{resource}": "GET",
    "/endpoints/{tech}/{resource}/sendMessage": "PUT",
    "/endpoints/{tech}/{resource}/refer": "POST",
    "/events": "GET",
    "/events/user/{eventName}": "POST",
    "/events/claim": "POST",
    "/mailboxes": "GET",
    "/mailboxes/{mailboxName}": "GET PUT DELETE",
    "/playbacks/{playbackId}": "GET DELETE",
    "/playbacks/{playbackId}/control": "POST",
    "/recordings/stored": "GET",
    "/recordings/stored/{recordingName}": "GET DELETE",
    "/recordings/stored/{recordingName}/file": "GET",
    "/recordings/stored/{recordingName}/copy": "POST",
    "/recordings/live/{recordingName}": "GET DELETE",
    "/recordings/live/{recordingName}/stop": "POST",
    "/recordings/live/{recordingName}/pause": "POST DELETE",
    "/recordings/live/{recordingName}/mute": "POST DELETE",
    "/sounds": "GET",
    "/sounds/{soundId}": "GET",
}

#: POST on these creates an object. `otherChannelId` needs no entry: `<channelId>;2` is routed with
#: `<channelId>`.
CREATIONS: Final[dict[str, Creation]] = {
    "/bridges": Creation(kind="bridge", parameter="bridgeId"),
    "/bridges/{bridgeId}": Creation(kind="bridge", parameter="bridgeId", in_path=True),
    "/bridges/{bridgeId}/play": Creation(kind="playback", parameter="playbackId"),
    "/bridges/{bridgeId}/play/{playbackId}": Creation(
        kind="playback", parameter="playbackId", in_path=True
    ),
    "/channels": Creation(kind="channel", parameter="channelId"),
    "/channels/create": Creation(kind="channel", parameter="channelId"),
    "/channels/externalMedia": Creation(kind="channel", parameter="channelId"),
    "/channels/{channelId}": Creation(kind="channel", parameter="channelId", in_path=True),
    "/channels/{channelId}/play": Creation(kind="playback", parameter="playbackId"),
    "/channels/{channelId}/play/{playbackId}": Creation(
        kind="playback", parameter="playbackId", in_path=True
    ),
    "/channels/{channelId}/snoop": Creation(kind="channel", parameter="snoopId"),
    "/channels/{channelId}/snoop/{snoopId}": Creation(
        kind="channel", parameter="snoopId", in_path=True
    ),
}

OTHER: Final = "other"


@dataclass(slots=True)
class _Node:
    """One segment of the templates' tree."""

    template: str
    literals: "dict[str, _Node]"
    parameter: "_Node | None" = None

    def add(self, template: str, segments: Sequence[str]) -> None:
        """Add a template that continues with some segments below this one."""
        if segments:
            self._child(segments[0]).add(template, segments[1:])
        else:
            self.template = template

    def _child(self, segment: str) -> "_Node":
        if segment.startswith("{"):
            self.parameter = self.parameter or _Node(OTHER, {})
            return self.parameter
        return self.literals.setdefault(segment, _Node(OTHER, {}))


def _tree() -> _Node:
    root = _Node(OTHER, {})
    for template in TEMPLATES:
        root.add(template, template[1:].split("/"))
    return root


_TREE: Final = _tree()


def template_of(path: str) -> str:
    """Return the template that a path matches as Asterisk reads it, or `other`.

    Args:
        path: percent-encoded, like `/channels/1.2/play`; no query.
    """
    node = _TREE
    for segment in decoding.segments(path):
        following = node.literals.get(segment) or node.parameter
        if following is None:
            return OTHER
        node = following
    return node.template
