"""ARI's operations: path templates, and those that create an object which the caller may name.

The table is generated from Asterisk 22's description (docs/generating.md). A path that no template
matches, as of a newer Asterisk, is a command like any other; its template is `other`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ari_proxy.protocol.messages import ObjectKind

from . import decoding
from .operation_table import NEW_NAMES, TEMPLATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """The parameter in which an operation names the object that it creates."""

    kind: ObjectKind
    #: The parameter with the id, in the query or the JSON body.
    parameter: str
    #: True if the id is the path's last segment.
    in_path: bool = False


#: What the parameters name.
_KINDS: Final[dict[str, ObjectKind]] = {
    "bridgeId": "bridge",
    "channelId": "channel",
    "playbackId": "playback",
    "snoopId": "channel",
}

#: POST on these creates an object. `otherChannelId` needs no entry: `<channelId>;2` is routed with
#: `<channelId>`.
CREATIONS: Final[dict[str, Creation]] = {
    path: Creation(
        kind=_KINDS[parameter], parameter=parameter, in_path=path.endswith(f"{{{parameter}}}")
    )
    for path, parameter in NEW_NAMES.items()
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
