"""Conditions of a status (metav1.Condition). Sans-I/O.

kubernetes/community, api-conventions, "Typical status properties": `lastTransitionTime` changes
with the status of the condition alone, so that a reconciliation without changes writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

#: Below the contract's limit.
_MESSAGE_LENGTH: Final = 4096


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as observed, without its times."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def condition(kind: str, holds: bool, reason: str, message: str) -> Condition:  # noqa: FBT001  the condition's status
    """Return a condition with the status True or False."""
    return Condition(kind, "True" if holds else "False", reason, message)


def merge(
    former: Sequence[Mapping[str, Any]],
    current: Sequence[Condition],
    *,
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return the current conditions for a status, with transition times from the former ones."""
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
    """Return a time in Kubernetes' form (RFC 3339)."""
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")
