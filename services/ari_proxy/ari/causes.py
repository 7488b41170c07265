"""Causes of a hang-up (Q.850) with Asterisk's texts."""

from typing import Final

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
    22: "Number changed",
    REDIRECTED: "Redirected to new destination",
    26: "Answered elsewhere",
    27: "Destination out of order",
    28: "Invalid number format",
    31: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    58: "Bearer capability not available",
    88: "Incompatible destination",
    102: "Recover on timer expiry",
    127: "Interworking, unspecified",
}


def text_of(cause: int) -> str:
    """Return Asterisk's text for a cause."""
    return _TEXTS.get(cause, "Unknown")
