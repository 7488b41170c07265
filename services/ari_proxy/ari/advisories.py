"""Known faults of Asterisk that concern ARI: security advisories, and others. Sans-I/O.

Sources: downloads.asterisk.org/pub/security, github.com/asterisk/asterisk/security/advisories, and
the issues of github.com/asterisk/asterisk. A distribution may have fixed an older version without
changing its number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from . import versions
from .versions import Since, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One fault."""

    #: Of a security advisory, or `asterisk#<number>` of an issue.
    id: str
    summary: str
    #: By branch, the first fixed version.
    fixed: Mapping[int, Version]
    #: The first versions that have the fault; {}: all older ones have it.
    since: Since = field(default_factory=dict)
    #: Whether it takes websockets that Asterisk opens.
    is_outbound: bool = False

    def concerns(self, version: Version) -> bool:
        """Return whether a version is affected; a branch without a fix stays affected."""
        branch = version[0]
        if self.since and not versions.has(version, self.since):
            return False
        if branch in self.fixed:
            return version < self.fixed[branch]
        return branch < max(self.fixed)


ADVISORIES: Final = (
    Advisory(
        id="AST-2014-019",
        summary="a websocket frame of length zero ends Asterisk",
        fixed={11: (11, 14, 2), 12: (12, 7, 2), 13: (13, 0, 2)},
        since={11: (11, 0, 0)},
    ),
    Advisory(
        id="AST-2018-009",
        summary="a websocket's HTTP upgrade request can overflow the stack",
        fixed={13: (13, 23, 1), 14: (14, 7, 8), 15: (15, 6, 1)},
        since={13: (13, 0, 0)},
    ),
    Advisory(
        id="GHSA-v6hp-wh3r-cwxh",
        summary="/httpstatus shows what a request holds without escaping it",
        fixed={20: (20, 18, 2), 21: (21, 12, 1), 22: (22, 8, 2), 23: (23, 2, 2)},
    ),
)

_FIXED_IN_22_11: Final = {20: (20, 21, 0), 22: (22, 11, 0), 23: (23, 5, 0)}
_FIXED_IN_22_12: Final = {20: (20, 22, 0), 22: (22, 12, 0), 23: (23, 6, 0)}
#: Faults that are no security advisories.
FAULTS: Final = (
    Advisory(
        id="asterisk#1894",
        summary="an outbound websocket without a peer is tried on after its section was removed",
        fixed={20: (20, 20, 0), 22: (22, 10, 0), 23: (23, 4, 0)},
        since=versions.OUTBOUND_WEBSOCKETS,
        is_outbound=True,
    ),
    Advisory(
        id="asterisk#1979",
        summary="an outbound websocket waits without end for a peer that takes the connection and "
        "does not answer",
        fixed=_FIXED_IN_22_11,
        since=versions.OUTBOUND_WEBSOCKETS,
        is_outbound=True,
    ),
    Advisory(
        id="asterisk#2020",
        summary="a websocket that ARI refuses leaves some memory behind",
        fixed=_FIXED_IN_22_11,
        since={20: (20, 0, 0)},
    ),
    Advisory(
        id="asterisk#2021",
        summary="an attended transfer with Refer-Sub: false that ARI handles ends Asterisk",
        fixed=_FIXED_IN_22_11,
        since=versions.TRANSFER_EVENTS,
    ),
    Advisory(
        id="asterisk#2121",
        summary="a media websocket (chan_websocket) that finds no peer leaves its channel locked",
        fixed=_FIXED_IN_22_12,
        since=versions.MEDIA_WEBSOCKETS,
    ),
    Advisory(
        id="asterisk#2140",
        summary="a peer that stops reading a media websocket (chan_websocket) blocks its channels",
        fixed=_FIXED_IN_22_12,
        since=versions.MEDIA_WEBSOCKETS,
    ),
)


def concerning(version: str) -> list[Advisory]:
    """Return the security advisories for a version like `22.10.1+dfsg`; none for other texts."""
    return _concerning(version, ADVISORIES)


def faults(version: str, *, is_outbound: bool) -> list[Advisory]:
    """Return the other known faults of a version.

    Args:
        version: as Asterisk tells it.
        is_outbound: whether Asterisk opens websockets for ARI.
    """
    return [fault for fault in _concerning(version, FAULTS) if is_outbound or not fault.is_outbound]


def _concerning(version: str, table: Iterable[Advisory]) -> list[Advisory]:
    numbers = versions.parse(version)
    return [one for one in table if numbers is not None and one.concerns(numbers)]
