"""The Lease that decides which ingest of a server is active. Sans-I/O.

The operator creates it empty, so that the pods need no right to create Leases, and deletes it with
its server. Its content belongs to the pods.
"""

from ari_proxy.operator.objects import Object

from .component import DesiredComponent


def leases(desired: DesiredComponent) -> list[Object]:
    """Return the Lease of each server; nothing for an ingest without one.

    It is the server's wherever its pods are, so that it also decides between a former slot's and a
    new one's.
    """
    if not desired.has_lease:
        return []
    return [
        desired.head_of(server, "coordination.k8s.io/v1", "Lease")
        for server in desired.slot.servers
    ]
