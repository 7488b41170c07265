"""A Kubernetes Lease: its holder, and who may acquire it. Sans-I/O.

Kubernetes only stores it; the rules are those of its own components (client-go's leaderelection).
No machine trusts another one's clock: a lease has expired if it has not changed for its duration.
The holder counts from before it wrote, the others from after, so the holder knows first.
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
        metadata=metadata,
    )


class Claim:
    """One candidate's view of a lease; its times are monotonic seconds."""

    def __init__(self, name: str, identity: str, *, duration_seconds: int) -> None:
        self._name = name
        self._identity = identity
        self._duration = duration_seconds
        self._seen: LeaseRecord | None = None
        self._seen_at = 0.0
        #: Monotonic seconds until which this candidate holds the lease.
        self.valid_until = 0.0

    def is_valid(self, now: float) -> bool:
        """Return whether this candidate certainly holds the lease."""
        return now < self.valid_until

    def observe(self, record: LeaseRecord, now: float) -> bool:
        """Note the lease as it is now; return whether this candidate may claim it."""
        unchanged = self._seen is not None and (
            (self._seen.holder, self._seen.renewed_at) == (record.holder, record.renewed_at)
        )
        if not unchanged:
            self._seen_at = now
        self._seen = record
        is_over = now - self._seen_at >= self._duration
        return record.holder in {"", self._identity} or is_over

    def written(self, begun_at: float) -> None:
        """Note that Kubernetes has accepted the claim, whose sending began at that time."""
        self.valid_until = begun_at + self._duration

    def presumed(self, now: float) -> None:
        """Note that Kubernetes can't be reached, and presume that the lease is still held.

        Then no other candidate can claim it either; if one can, it takes the applications at
        Asterisk too, and ApplicationReplaced shows it. An expired lease stays expired: this process
        may have been suspended.
        """
        if self.is_valid(now):
            self.written(now)

    def lost(self) -> None:
        """Note that another candidate holds the lease."""
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
