"""Events that the proxy itself has caused, by their text: no application gets them."""

from typing import Final

from ari_proxy.ari.snapshot import DIALOG_VARIABLE

#: Prefix of the names of canary events.
CANARY_NAME: Final = "AriProxyProof"
_CANARY_TEXT: Final = f'"eventname":"{CANARY_NAME}.'
_CANARY_MARK: Final = _CANARY_TEXT.encode()
#: By the event's type.
OWN_TEXTS: Final = {
    "ChannelVarset": f'"variable":"{DIALOG_VARIABLE}"',
    "ChannelUserevent": _CANARY_TEXT,
}


def is_canary(frame: bytes) -> bool:
    """Return whether a frame looks like a canary event; it need not wait for other events."""
    return _CANARY_MARK in frame
