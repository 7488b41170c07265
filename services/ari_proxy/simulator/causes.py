"""Causes of a hang-up (Q.850) with Asterisk's texts, and ARI's names for some of them."""

from typing import Final

from .model import number

NO_ROUTE: Final = 3
NORMAL: Final = 16
BUSY: Final = 17
NO_ANSWER: Final = 19
REDIRECTED: Final = 23

#: Asterisk: main/channel.c, `causes`.
_TEXTS: Final = {
    1: "Unallocated (unassigned) number",
    NO_ROUTE: "No route to destination",
    NORMAL: "Normal Clearing",
    BUSY: "User busy",
    18: "No user responding",
    NO_ANSWER: "User alerting, no answer",
    20: "Subscriber absent",
    21: "Call Rejected",
    REDIRECTED: "Redirected to new destination",
    26: "Answered elsewhere",
    27: "Destination out of order",
    28: "Invalid number format",
    31: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    58: "Bearer capability not available",
    127: "Interworking, unspecified",
}
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


def text_of(cause: int) -> str:
    """Return Asterisk's text for a cause."""
    return _TEXTS.get(cause, "Unknown")


def asked(reason: str, code: str) -> int:
    """Return the cause that a hang-up asks for, by code or by reason, one of ARI's."""
    return number(code) or _REASONS.get(reason, NORMAL)
