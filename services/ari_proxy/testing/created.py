"""What a handler's requests have created at Asterisk, and may be left. Sans-I/O."""

from typing import Any, Final
from urllib.parse import quote

import msgspec

from ari_proxy.ari import operations
from ari_proxy.ari.client import Answer
from ari_proxy.protocol.malformed import UNDECODABLE

#: By the path of the request: what it creates, where that is found, and the field that names it.
_CREATING: Final = {
    "/channels": ("channel", "/channels/", "id"),
    "/channels/{channelId}": ("channel", "/channels/", "id"),
    "/channels/create": ("channel", "/channels/", "id"),
    "/channels/externalMedia": ("channel", "/channels/", "id"),
    "/channels/{channelId}/snoop": ("channel", "/channels/", "id"),
    "/channels/{channelId}/snoop/{snoopId}": ("channel", "/channels/", "id"),
    "/bridges": ("bridge", "/bridges/", "id"),
    "/bridges/{bridgeId}": ("bridge", "/bridges/", "id"),
    "/channels/{channelId}/record": ("recording", "/recordings/live/", "name"),
    "/bridges/{bridgeId}/record": ("recording", "/recordings/live/", "name"),
}
_FIRST_ERROR: Final = 400


class Created:
    """Channels, bridges and recordings that were created and not found gone yet."""

    def __init__(self) -> None:
        #: In words, by the paths at which they are.
        self.left: dict[str, str] = {}

    def note(self, method: str, url: str, answer: Answer) -> None:
        """Handle the answer to a request."""
        template = operations.template_of(url.partition("?")[0])
        if method != "POST" or answer.status >= _FIRST_ERROR or template not in _CREATING:
            return
        kind, where, field = _CREATING[template]
        shown = _object(answer.body)
        if name := shown.get(field):
            words = f"{kind} {shown.get('name') or name}"
            self.left[where + quote(str(name), safe="")] = words

    def forget(self, path: str) -> None:
        """Note that one is gone."""
        self.left.pop(path, None)


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except UNDECODABLE:
        return {}
