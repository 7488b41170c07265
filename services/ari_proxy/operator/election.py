"""A Lease by which operators agree on which of them acts in a place. Sans-I/O.

The rules are client-go's (leaderelection). No process trusts another one's clock: a Lease is over
when it has not changed for its duration. The holder counts from before it wrote, the others from
when they saw it, so the holder knows first. Kubernetes refuses a write that is based on an old
version: of two claims one succeeds.

Unlike an ingest with its Lease, an operator that can't renew it stops: calls don't depend on it.
"""

from datetime import datetime
from typing import Final

from . import names
from .objects import Object

NAME: Final = names.MANAGER
#: Labels of these Leases; they select those of all operators of a cluster.
LABELS: Final = {names.COMPONENT: "operator", names.PART_OF: "ari-proxy"}


class Election:
    """One operator's view of a Lease; its times are monotonic seconds."""

    def __init__(self, namespace: str, identity: str, duration_seconds: int) -> None:
        self._namespace = namespace
        self._identity = identity
        self._duration = duration_seconds
        self._lease: Object | None = None
        self._seen_at = 0.0
        self._valid_until = 0.0

    @property
    def lease(self) -> Object | None:
        """The Lease as last seen; None if there is none."""
        return self._lease

    @property
    def holder(self) -> str:
        """The identity that the Lease names; '' if it is free."""
        holder: str = _spec(self._lease).get("holderIdentity") or ""
        return holder

    def observe(self, lease: Object | None, now: float) -> None:
        """Note the Lease as it is now."""
        if _spec(lease) != _spec(self._lease):
            self._seen_at = now
        self._lease = lease
        if self.holder not in {"", self._identity}:
            self._valid_until = 0.0

    def written(self, lease: Object, begun_at: float) -> None:
        """Note that Kubernetes has accepted a claim whose sending began at that time."""
        self._lease, self._seen_at = lease, begun_at
        self._valid_until = begun_at + self._duration

    def is_leader(self, now: float) -> bool:
        """Return whether this operator certainly holds the Lease."""
        return now < self._valid_until

    def is_foreign(self, now: float) -> bool:
        """Return whether another operator may hold the Lease."""
        return self.holder not in {"", self._identity} and now < self._over_at()

    def wait_seconds(self, now: float) -> float:
        """Return the seconds until it should be claimed or renewed; 0 if at once."""
        if self.is_leader(now):
            return max(0.0, self._seen_at + self._duration / 3 - now)
        return max(0.0, self._over_at() - now) if self.is_foreign(now) else 0.0

    def claim(self, at: datetime) -> Object:
        """Return the Lease that claims or renews it.

        Args:
            at: the time now, in UTC.
        """
        now = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        former = _spec(self._lease)
        is_renewal = self.holder == self._identity
        changes = former.get("leaseTransitions") or 0
        return self._with(
            holderIdentity=self._identity,
            acquireTime=former["acquireTime"] if is_renewal else now,
            renewTime=now,
            leaseTransitions=changes + (self._lease is not None and not is_renewal),
        )

    def _over_at(self) -> float:
        seconds = _spec(self._lease).get("leaseDurationSeconds") or self._duration
        return self._seen_at + float(seconds)

    def _with(self, **spec: object) -> Object:
        metadata = dict(self._lease["metadata"]) if self._lease is not None else {}
        metadata |= {"name": NAME, "namespace": self._namespace}
        metadata["labels"] = {**(metadata.get("labels") or {}), **LABELS}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {**spec, "leaseDurationSeconds": self._duration},
        }


def release_of(identity: str) -> str:
    """Return namespace and Deployment of the pod in an identity, `namespace/pod_random`."""
    pod, _, _ = identity.rpartition("_")
    return pod.rsplit("-", 2)[0]


def _spec(lease: Object | None) -> Object:
    found: Object = (lease or {}).get("spec") or {}
    return found
