"""Whether one of a server's ingests is active, where a Lease decides which one. Sans-I/O.

The Lease's own times say nothing: they are of the pods' clocks. A pod that it names is active
unless its process has just ended; where it names none, the pods are asked.
"""

from ari_proxy.operator import names
from ari_proxy.operator.objects import Object, ObjectKey, is_finished, is_running
from ari_proxy.operator.state import Observed


def unled_ingests(observed: Observed) -> list[Object]:
    """Return the ingest pods of the servers whose Lease names none of them."""
    unled = [server for server in observed.deployed_servers if not _holder(observed, server)]
    pods = [pod for server in unled for pod in observed.pods_of(server, "ingest")]
    return [pod for pod in pods if _has_lease(pod) and not is_finished(pod)]


def is_unled(observed: Observed, server: str) -> bool:
    """Return whether each running ingest of a server has answered that it is not active."""
    pods = [pod for pod in observed.pods_of(server, "ingest") if is_running(pod)]
    return bool(pods) and not any(
        observed.active.get(pod["metadata"]["name"], True) for pod in pods
    )


def _holder(observed: Observed, server: str) -> str:
    """Return the pod that a server's Lease names, '' if there is none of that name.

    A process is named `<pod>_<random>` there.
    """
    name = names.workload(observed.proxy.metadata.name, "ingest", server)
    item = observed.children.get(ObjectKey("Lease", name)) or {}
    identity: str = (item.get("spec") or {}).get("holderIdentity") or ""
    pod = identity.rpartition("_")[0]
    return pod if pod in observed.ingests_of(server) else ""


def _has_lease(pod: Object) -> bool:
    return (pod["metadata"].get("annotations") or {}).get(names.LEASE) == "true"
