"""The Lease that decides which ingest of a server is active. Sans-I/O.

The operator creates it empty, so that the pods need no right to create Leases, and deletes it with
its server. Its content belongs to the pods.
"""

from ari_proxy.operator.objects import Object

from .component import DesiredComponent


def lease(desired: DesiredComponent) -> Object | None:
    """Return the Lease, or None for an ingest without one."""
    return desired.head("coordination.k8s.io/v1", "Lease") if desired.has_lease else None
