"""The Lease by which the ingests of a server agree which one is active. Pure.

It is made here, empty, so that the pods need no right to create any, and so that it goes with its
server. What stands in it is theirs.
"""

from .wanted import Object, Wanted


def lease(wanted: Wanted) -> Object | None:
    """Return it, or None where there is nothing to agree on."""
    return wanted.head("coordination.k8s.io/v1", "Lease") if wanted.has_lease else None
