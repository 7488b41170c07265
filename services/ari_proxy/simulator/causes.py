"""ARI's names for some causes of a hang-up (Q.850)."""

from typing import Final

from ari_proxy.ari.causes import BUSY, NO_ANSWER, NORMAL

from .model import number

#: Asterisk: res/ari/resource_channels.c, `convert_hangup_reason`.
_REASONS: Final = {
    "normal": NORMAL,
    "busy": BUSY,
    "congestion": 34,
    "no_answer": NO_ANSWER,
    "timeout": 18,
    "rejected": 21,
    "unallocated": 1,
    "normal_unspecified": 31,
    "number_incomplete": 28,
    "codec_mismatch": 58,
    "interworking": 127,
    "failure": 38,
    "answered_elsewhere": 26,
}


def asked(reason: str, code: str) -> int:
    """Return the cause that a hang-up asks for, by code or by reason, one of ARI's."""
    return number(code) or _REASONS.get(reason, NORMAL)
