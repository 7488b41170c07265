"""When the objects of a server that is no longer wanted may go. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: A StatefulSet replaces a pod under its old name; its Asterisk is served on when it is back.
RETURN_SECONDS: Final = 30
#: How often a draining server is looked at.
LOOK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A server that has Deployments, but is no longer wanted."""

    name: str
    #: Since when, as far as it is known.
    since: datetime
    #: Open dialogs that its ingests tell of; None if one of them did not answer.
    dialogs: int | None


def may_go(leaving: Leaving, now: datetime, *, timeout_seconds: int, may_return: bool) -> bool:
    """Return whether its objects may be deleted: its calls are over, or had time enough."""
    waited = now - leaving.since
    if waited >= timedelta(seconds=timeout_seconds):
        return True
    if may_return and waited < timedelta(seconds=RETURN_SECONDS):
        return False
    return leaving.dialogs == 0


def open_dialogs(answers: Sequence[int | None]) -> int | None:
    """Return the sum of what a server's ingests tell; None if one is silent.

    Without any pod there is nobody who serves a call; one that has not started is silent.
    """
    numbers = [answer for answer in answers if answer is not None]
    return sum(numbers) if len(numbers) == len(answers) else None
