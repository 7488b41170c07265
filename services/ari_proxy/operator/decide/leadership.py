"""Whether one of a server's ingests is active, where a Lease decides which one. Sans-I/O.

The Lease's own times say nothing: they are of the pods' clocks. A pod that it names is active
unless its process has just ended; where it names none, the pods are asked.
"""

from ari_proxy.operator import names
from ari_proxy.operator.objects import Object, ObjectKey, is_finished, is_running, labels_of
from ari_proxy.operator.state import Observed


def unled_ingests(observed: Observed) -> list[Object]:
    """Return the ingest pods of the servers whose Lease names none of them."""
    found: list[Object] = []
    for key, item in observed.children.items():
        if key.kind == "Deployment" and labels_of(item).get(names.COMPONENT) == "ingest":
            server = labels_of(item).get(names.SERVER, "")
            pods = [pod for pod in observed.pods_of(server, "ingest") if not is_finished(pod)]
            holder = _holder(observed, key.name)
            leases = [pod for pod in pods if _has_lease(pod)]
            if not any(pod["metadata"]["name"] == holder for pod in pods):
                found += leases
    return found


def is_unled(observed: Observed, server: str) -> bool:
    """Return whether each running ingest of a server has answered that it is not active."""
    pods = [pod for pod in observed.pods_of(server, "ingest") if is_running(pod)]
    return bool(pods) and not any(
        observed.active.get(pod["metadata"]["name"], True) for pod in pods
    )


def _holder(observed: Observed, lease: str) -> str:
    """Return the name of the pod that a Lease names; its identity is `<pod>_<process>`."""
    item = observed.children.get(ObjectKey("Lease", lease)) or {}
    identity: str = (item.get("spec") or {}).get("holderIdentity") or ""
    return identity.rpartition("_")[0]


def _has_lease(pod: Object) -> bool:
    return (pod["metadata"].get("annotations") or {}).get(names.LEASE) == "true"
