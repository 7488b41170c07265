"""The health of a Deployment, and the reason if it is not healthy. Sans-I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import Object, is_ready, is_rolled_out
from ari_proxy.operator.state import Observed

from .leadership import is_unled

#: Reasons for which every container waits while it starts.
_STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
#: Characters of a crashed container's last words.
_SAID_LENGTH: Final = 500
#: Reasons that pass by themselves as a rule: pods start, a node is added, another pod takes over.
_ON_THE_WAY: Final = frozenset(
    {"NotCreated", "Starting", "NotReady", "NobodyActive", "Unschedulable"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadHealth:
    """The health of a component of a server."""

    deployment: str = ""
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    image: str = ""
    #: All pods are ready and of the newest template.
    is_settled: bool = False
    #: No pod is active, though one may be ready.
    is_unled: bool = False
    #: Why it is not settled or does not serve.
    reason: str = ""
    message: str = ""
    #: It does not go on by itself, or has not within the Deployment's deadline.
    is_stuck: bool = False

    @property
    def is_serving(self) -> bool:
        """True if a pod is ready, and any is active."""
        return self.ready > 0 and not self.is_unled

    def entry(self) -> dict[str, Any]:
        """Return the component's entry in the status."""
        return {
            "deployment": self.deployment,
            "replicas": self.replicas,
            "updatedReplicas": self.updated,
            "readyReplicas": self.ready,
            "image": self.image,
        }


def health(
    observed: Observed, slot: str, component: Component, server_id: str = ""
) -> WorkloadHealth:
    """Return the health of a component of a server.

    Args:
        observed: the state of the cluster.
        slot: the server's.
        component: ingest or command.
        server_id: of one of several servers of the slot.
    """
    live = observed.deployment(slot, component)
    if live is None:
        return WorkloadHealth(
            reason="NotCreated", message=f"the {component} Deployment has not been created yet"
        )
    status = live.get("status") or {}
    replicas: int = live["spec"]["replicas"]
    updated: int = status.get("updatedReplicas", 0)
    failing = _failing(observed, slot, component, server_id)
    ready: int = max(0, status.get("readyReplicas", 0) - len(failing))
    is_nobody_active = component == "ingest" and is_unled(observed, slot, server_id)
    is_settled = is_rolled_out(live) and not failing and not is_nobody_active
    reason, message = "", ""
    if is_nobody_active:
        pods = observed.pods_of(slot, component)
        reason, message = "NobodyActive", _nobody_active(pods, observed.failed_checks)
    elif not is_settled:
        reason, message = _why(observed, slot, component, failing)
    if replicas == 0:
        reason, message = _scaled_to_zero(live)
    return WorkloadHealth(
        deployment=live["metadata"]["name"],
        replicas=replicas,
        updated=updated,
        ready=ready,
        image=_image(live, component),
        is_settled=is_settled,
        is_unled=is_nobody_active,
        reason=reason,
        message=message,
        is_stuck=bool(reason) and (reason not in _ON_THE_WAY or _deadline(live) is not None),
    )


def _failing(observed: Observed, slot: str, component: Component, server_id: str) -> list[str]:
    """Return the ready pods that can't serve one of their servers, and why."""
    if not server_id:
        return []
    found = []
    for pod in filter(is_ready, observed.pods_of(slot, component)):
        name = pod["metadata"]["name"]
        if (checks := observed.server_checks.get(name)) is not None:
            problem = checks.get(server_id, "it has no settings of this server yet")
            found += [f"{name}: {problem}"] if problem else []
    return found


def _image(live: Object, component: Component) -> str:
    containers = live["spec"]["template"]["spec"]["containers"]
    return next((item["image"] for item in containers if item["name"] == component), "")


def _scaled_to_zero(live: Object) -> tuple[str, str]:
    name = live["metadata"]["name"]
    message = f"{name} is scaled to 0 pods; raise its number of replicas to serve calls"
    return "ScaledToZero", message


def _why(
    observed: Observed, slot: str, component: Component, failing: Sequence[str]
) -> tuple[str, str]:
    """Return reason and message of pods that are not ready; the most specific one."""
    pods, live = observed.pods_of(slot, component), observed.deployment(slot, component) or {}
    return (
        _waiting_container(pods)
        or (("NotReady", failing[0]) if failing else None)
        or _failed_checks(pods, observed.failed_checks)
        or _unschedulable(pods)
        or _replica_failure(live)
        or _deadline(live)
        or ("Starting", f"the pods of {live['metadata']['name']} are starting")
    )


def _waiting_container(pods: Sequence[Object]) -> tuple[str, str] | None:
    """Return why a container can't start, for example ImagePullBackOff."""
    for pod in pods:
        for container in _containers(pod):
            state = container.get("state", {}).get("waiting") or {}
            if state.get("reason", "") not in _STARTING:
                message = state.get("message") or state["reason"]
                return state["reason"], f"{pod['metadata']['name']}: {message}{_crash(container)}"
    return None


def _nobody_active(pods: Sequence[Object], checks: Mapping[str, str]) -> str:
    message = f"none of {len(pods)} ingest pods is active: events come to nobody"
    failed = _failed_checks(pods, checks)
    return f"{message}; {failed[1]}" if failed else message


def _crash(container: Mapping[str, Any]) -> str:
    """Return the end of what a container has said before it ended."""
    ended = container.get("lastState", {}).get("terminated") or {}
    said = str(ended.get("message", "")).strip()
    return f"; it said: {said[-_SAID_LENGTH:]}" if said else ""


def _failed_checks(pods: Sequence[Object], checks: Mapping[str, str]) -> tuple[str, str] | None:
    names = [pod["metadata"]["name"] for pod in pods]
    failed = [f"{name}: {checks[name]}" for name in names if name in checks]
    return ("NotReady", failed[0]) if failed else None


def _containers(pod: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]


def _unschedulable(pods: Sequence[Object]) -> tuple[str, str] | None:
    """Return why the scheduler finds no node for a pod."""
    for pod in pods:
        for item in (pod.get("status") or {}).get("conditions") or ():
            if item["type"] == "PodScheduled" and item["status"] == "False":
                message = item.get("message", "no node can run the pod")
                return "Unschedulable", f"{pod['metadata']['name']}: {message}"
    return None


def _replica_failure(live: Object) -> tuple[str, str] | None:
    """Return why no pods are created, for example for Pod Security or a quota."""
    return _condition(live, "ReplicaFailure", "True")


def _deadline(live: Object) -> tuple[str, str] | None:
    """Return that the roll-out has not gone on within its deadline."""
    return _condition(live, "Progressing", "False")


def _condition(live: Object, kind: str, status: str) -> tuple[str, str] | None:
    """Return reason and message of a Deployment's condition if it has this status."""
    for item in (live.get("status") or {}).get("conditions") or ():
        if item["type"] == kind and item["status"] == status:
            return str(item.get("reason", kind)), str(item.get("message", ""))
    return None
