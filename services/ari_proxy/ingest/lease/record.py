"""A Kubernetes Lease: its holder, and who may acquire it. Sans-I/O.

Kubernetes only stores it; the rules are those of its own components (client-go's leaderelection).
No machine trusts another one's clock: a lease has expired if it has not changed for its duration.
The holder counts from before it wrote, the others from after, so the holder knows first.

Unlike there, a holder whom nobody is seen to replace goes on: calls don't depend on Kubernetes. So
the others give it time to write wherever it may not have been able to: a duration after the Lease
was made anew, and after they could not read it themselves. docs/reliability.md has the reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """The part of a Lease's spec that decides, and the version that it was read in."""

    holder: str = ""
    renewed_at: str = ""
    acquired_at: str = ""
    transitions: int = 0
    version: str = ""
    #: Whether anybody has held it since the object was created.
    was_held: bool = False
    #: All of the object's metadata: a PUT replaces it, with its owner and labels.
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)


def parse(lease: Mapping[str, Any]) -> LeaseRecord:
    """Return the record in a Lease object (coordination.k8s.io/v1)."""
    spec, metadata = (lease.get(part) for part in ("spec", "metadata"))
    spec = spec if isinstance(spec, Mapping) else {}
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        renewed_at=spec.get("renewTime") or "",
        acquired_at=spec.get("acquireTime") or "",
        transitions=spec.get("leaseTransitions") or 0,
        version=metadata.get("resourceVersion", ""),
        was_held=bool(spec.get("leaseDurationSeconds")),
        metadata=metadata,
    )


class Claim:
    """One candidate's view of a lease; its times are monotonic seconds."""

    def __init__(self, name: str, identity: str, *, duration_seconds: int) -> None:
        self._name = name
        self._identity = identity
        self._duration = duration_seconds
        self._seen: LeaseRecord | None = None
        #: When the lease last changed, and when it was last read.
        self._seen_at = self._read_at = 0.0
        #: When somebody was last seen to be active, if ever.
        self._led_at: float | None = None
        #: Monotonic seconds until which this candidate holds the lease.
        self.valid_until = 0.0

    def is_valid(self, now: float) -> bool:
        """Return whether this candidate holds the lease, as far as it knows."""
        return now < self.valid_until

    def is_led(self, now: float) -> bool:
        """Return whether anybody is known to be active: an expired lease has time to be claimed."""
        return self._led_at is not None and now - self._led_at < 2 * self._duration

    def observe(self, record: LeaseRecord | None, now: float) -> bool:
        """Note the lease as it is now; return whether this candidate may claim it.

        Args:
            record: as it was read; None if there is no such object.
            now: when it was read.
        """
        found = record or LeaseRecord()
        if self._is_news(found, now):
            self._seen_at = now
        if found.holder and (self._seen is None or _is_renewed(self._seen, found)):
            self._led_at = now
        self._seen, self._read_at = found, now
        is_over = now - self._seen_at >= self._duration
        return found.holder == self._identity or is_over or self._is_free(found, now)

    def _is_news(self, found: LeaseRecord, now: float) -> bool:
        is_blind = now - self._read_at >= self._duration
        return self._seen is None or is_blind or _is_renewed(self._seen, found)

    def _is_free(self, found: LeaseRecord, now: float) -> bool:
        """Return whether nobody can have it: released, or new to somebody who knows no holder."""
        is_unknown = self._led_at is None or self.is_valid(now)
        return not found.holder and (found.was_held or is_unknown)

    def written(self, begun_at: float) -> None:
        """Note that Kubernetes has accepted the claim, whose sending began at that time."""
        self.valid_until = begun_at + self._duration
        self._led_at = begun_at

    def presumed(self, now: float) -> None:
        """Note an attempt that shows no other holder, and presume that the lease is still held.

        If another candidate can claim it meanwhile, that one takes over the dialogs, or the
        applications at Asterisk, and this one sees either. An expired lease stays expired: this
        process may have been suspended.
        """
        if self.is_valid(now):
            self.written(now)

    def lost(self) -> None:
        """Note that this candidate does not hold the lease."""
        self.valid_until = 0.0

    def claim(self, record: LeaseRecord | None, at: datetime) -> dict[str, Any]:
        """Return the Lease object that claims or renews the lease.

        Args:
            record: as it was read; None if there is none yet.
            at: the time now, in UTC.
        """
        now = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        former = record or LeaseRecord()
        is_renewal = former.holder == self._identity
        transitions = former.transitions + (0 if is_renewal or record is None else 1)
        return self._lease(
            record,
            holderIdentity=self._identity,
            acquireTime=former.acquired_at if is_renewal and former.acquired_at else now,
            renewTime=now,
            leaseTransitions=transitions,
        )

    def resignation(self, record: LeaseRecord) -> dict[str, Any]:
        """Return the Lease object that releases the lease, so that others need not wait."""
        return self._lease(record, holderIdentity="", leaseTransitions=record.transitions)

    def _lease(self, record: LeaseRecord | None, **spec: Any) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": self._name}
        if record is not None:
            metadata = {**record.metadata, **metadata, "resourceVersion": record.version}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {"leaseDurationSeconds": self._duration, **spec},
        }


def _is_renewed(former: LeaseRecord, found: LeaseRecord) -> bool:
    return (former.holder, former.renewed_at) != (found.holder, found.renewed_at)
