"""Whether one of a server's ingests is active, where a Lease decides which one. Sans-I/O.

The Lease's own times say nothing: they are of the pods' clocks. A pod that it names is active
unless its process has just ended; where it names none, the pods are asked.
"""

from ari_proxy.operator import names
from ari_proxy.operator.objects import Object, annotations_of, is_finished, is_running
from ari_proxy.operator.state import Deployed, Observed, PodQuery


def unled_ingests(observed: Observed) -> list[PodQuery]:
    """Return the queries of the ingests of the servers whose Lease names none of them."""
    return [
        PodQuery(pod, server.server_id)
        for server in observed.deployed
        if not _holder(observed, server)
        for pod in observed.pods_of(server.slot, "ingest")
        if _has_lease(pod) and not is_finished(pod)
    ]


def is_unled(observed: Observed, slot: str, server_id: str = "") -> bool:
    """Return whether each running ingest of a server has answered that it is not active.

    Args:
        observed: the state of the cluster.
        slot: the server's.
        server_id: of one of several servers of the slot.
    """
    pods = [pod for pod in observed.pods_of(slot, "ingest") if is_running(pod)]
    queries = [PodQuery(pod, server_id) for pod in pods]
    return bool(pods) and not any(observed.active.get(query.name, True) for query in queries)


def _holder(observed: Observed, server: Deployed) -> str:
    """Return the pod that a server's Lease names, '' if there is none of that name.

    A process is named `<pod>_<random>` there.
    """
    item = observed.child("Lease", "ingest", server.server) or {}
    identity: str = (item.get("spec") or {}).get("holderIdentity") or ""
    pod = identity.rpartition("_")[0]
    ingests = {name for slot in _slots(observed, server) for name in observed.ingests_of(slot)}
    return pod if pod in ingests else ""


def _slots(observed: Observed, server: Deployed) -> list[str]:
    """Return the slots that have the server: two while it moves."""
    return [item.slot for item in observed.deployed if item.server == server.server]


def _has_lease(pod: Object) -> bool:
    return annotations_of(pod).get(names.LEASE) == "true"
