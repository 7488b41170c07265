"""Asterisk's versions: what each has, and how long each branch gets fixes. Sans-I/O.

Sources: docs.asterisk.org/About-the-Project/Asterisk-Versions; the change logs of the releases.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from .errors import UnconfigurableError

Version = tuple[int, int, int]
#: By branch, the first version that has something; later branches have it, others do not.
Since = Mapping[int, Version]

#: Transfers that ARI handles (PJSIP_TRANSFER_HANDLING).
TRANSFER_EVENTS: Final[Since] = {20: (20, 13, 0), 21: (21, 8, 0), 22: (22, 3, 0)}
OUTBOUND_WEBSOCKETS: Final[Since] = {20: (20, 15, 0), 21: (21, 10, 0), 22: (22, 5, 0)}
#: chan_websocket.
MEDIA_WEBSOCKETS: Final[Since] = {20: (20, 16, 0), 21: (21, 11, 0), 22: (22, 6, 0)}
#: `type=restriction` in http.conf.
URI_RESTRICTIONS: Final[Since] = {20: (20, 19, 0), 22: (22, 9, 0), 23: (23, 3, 0)}
#: report_events, StasisBroadcast and claim.
REPORT_EVENTS: Final[Since] = {20: (20, 20, 0), 22: (22, 10, 0), 23: (23, 4, 0)}
#: enable_pingpongs and enable_tcp_keepalives in websocket_client.conf.
KEEP_ALIVES: Final[Since] = {20: (20, 21, 0), 22: (22, 11, 0), 23: (23, 5, 0)}
#: write_timeout in websocket_client.conf.
WRITE_TIMEOUT: Final[Since] = {20: (20, 22, 0), 22: (22, 12, 0), 23: (23, 6, 0)}

_VERSION = re.compile(r"(?:certified[/-])?(\d+)\.(\d+)(?:\.(\d+))?")


def parse(text: str) -> Version | None:
    """Return the numbers of a version like `22.10.1+dfsg`; None for other texts."""
    match = _VERSION.match(text)
    return match and (int(match[1]), int(match[2]), int(match[3] or 0))


def parsed(text: str) -> Version:
    """Return the numbers of a version.

    Raises:
        UnconfigurableError: it is none.
    """
    found = parse(text)
    if found is None:
        raise UnconfigurableError(f"{text!r} is no version of Asterisk; write it like 22.10.1")
    return found


def is_certified(text: str) -> bool:
    """Return whether a version is of Certified Asterisk, which has a support of its own."""
    return text.startswith("certified")


def has(version: Version, since: Since) -> bool:
    """Return whether a version has what others have since those of `since`."""
    branch = version[0]
    return version >= since[branch] if branch in since else branch > max(since)


def words(since: Since) -> str:
    """Return the first versions as users write them: `20.20, 22.10, 23.4`."""
    return ", ".join(
        ".".join(map(str, version[: 3 if version[2] else 2])) for version in since.values()
    )


@dataclass(frozen=True, slots=True)
class Support:
    """Until when a branch gets fixes."""

    bugs: date
    security: date


SUPPORT: Final[Mapping[int, Support]] = {
    20: Support(date(2026, 10, 19), date(2027, 10, 19)),
    21: Support(date(2024, 10, 18), date(2025, 10, 18)),
    22: Support(date(2028, 10, 16), date(2029, 10, 16)),
    23: Support(date(2026, 10, 15), date(2027, 10, 15)),
}
#: The last branch whose support ended before those of `SUPPORT` began to end.
_LAST_ENDED: Final = 19


def support(version: Version) -> Support | None:
    """Return the dates of a version's branch; None if they are not known.

    Branches before 20 have ended: `date.min`.
    """
    if version[0] <= _LAST_ENDED:
        return Support(date.min, date.min)
    return SUPPORT.get(version[0])
