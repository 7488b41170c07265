"""Conditions of a status (metav1.Condition). Pure.

kubernetes/community, api-conventions, "Typical status properties": a condition's time of transition
is that of its status, so that looking again changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

#: As long as the contract allows, with room.
_MESSAGE_LENGTH: Final = 4096


@dataclass(frozen=True, slots=True)
class Condition:
    """One statement."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def condition(kind: str, holds: bool, reason: str, message: str) -> Condition:  # noqa: FBT001  the statement's truth
    """Return a statement that is known to be true or false."""
    return Condition(kind, "True" if holds else "False", reason, message)


def merge(
    former: Sequence[Mapping[str, Any]],
    current: Sequence[Condition],
    *,
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return the conditions as they stand in a status."""
    before = {item["type"]: item for item in former}
    return [_entry(before.get(item.type), item, generation, now) for item in current]


def _entry(
    former: Mapping[str, Any] | None, item: Condition, generation: int, now: datetime
) -> dict[str, Any]:
    since = timestamp(now)
    if former is not None and former["status"] == item.status:
        since = former["lastTransitionTime"]
    return {
        "type": item.type,
        "status": item.status,
        "observedGeneration": generation,
        "lastTransitionTime": since,
        "reason": item.reason,
        "message": item.message[:_MESSAGE_LENGTH],
    }


def timestamp(now: datetime) -> str:
    """Return a time as Kubernetes writes it (RFC 3339)."""
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")
