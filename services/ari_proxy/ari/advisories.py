"""Security advisories for Asterisk's HTTP and websocket servers, which serve ARI. Sans-I/O.

Source: downloads.asterisk.org/pub/security and github.com/asterisk/asterisk/security/advisories. A
distribution may have fixed an older version without changing its number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One advisory."""

    id: str
    summary: str
    #: By branch, the first fixed version.
    fixed: Mapping[int, Version]
    #: The first branch that has the fault.
    since: int = 0

    def concerns(self, version: Version) -> bool:
        """Return whether a version is affected; a branch without a fix stays affected."""
        branch = version[0]
        if branch in self.fixed:
            return version < self.fixed[branch]
        return self.since <= branch < max(self.fixed)


ADVISORIES: Final = (
    Advisory(
        id="AST-2014-019",
        summary="a websocket frame of length zero ends Asterisk",
        fixed={11: (11, 14, 2), 12: (12, 7, 2), 13: (13, 0, 2)},
        since=11,
    ),
    Advisory(
        id="AST-2018-009",
        summary="a websocket's HTTP upgrade request can overflow the stack",
        fixed={13: (13, 23, 1), 14: (14, 7, 8), 15: (15, 6, 1)},
        since=13,
    ),
    Advisory(
        id="GHSA-v6hp-wh3r-cwxh",
        summary="/httpstatus shows what a request holds without escaping it",
        fixed={20: (20, 18, 2), 21: (21, 12, 1), 22: (22, 8, 2), 23: (23, 2, 2)},
    ),
)
_VERSION = re.compile(r"(?:certified[/-])?(\d+)\.(\d+)(?:\.(\d+))?")


def concerning(version: str) -> list[Advisory]:
    """Return the advisories for a version like `22.10.1+dfsg`; none for other texts."""
    match = _VERSION.match(version)
    if match is None:
        return []
    numbers = int(match[1]), int(match[2]), int(match[3] or 0)
    return [advisory for advisory in ADVISORIES if advisory.concerns(numbers)]
