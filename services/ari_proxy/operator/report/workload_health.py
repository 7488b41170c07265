"""How a Deployment is, and why. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ari_proxy.operator.decide.children.wanted import Object
from ari_proxy.operator.names import Component
from ari_proxy.operator.observe.state import Observed

#: What a container may wait for in the ordinary course of things.
_STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a component of a server is."""

    deployment: str = ""
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    image: str = ""
    #: All pods are of the newest template, and ready.
    is_settled: bool = False
    #: Why no pod is ready; or why not all are as they should be.
    reason: str = ""
    message: str = ""

    @property
    def is_serving(self) -> bool:
        """Whether there is a pod that serves, or none is asked for."""
        return bool(self.deployment) and (self.ready > 0 or self.replicas == 0)

    def entry(self) -> dict[str, Any]:
        """Return what the status shows."""
        return {
            "deployment": self.deployment,
            "replicas": self.replicas,
            "updatedReplicas": self.updated,
            "readyReplicas": self.ready,
            "image": self.image,
        }


def health(observed: Observed, server: str, component: Component) -> Health:
    """Return how a component of a server is."""
    live = observed.deployment(server, component)
    if live is None:
        return Health(reason="NotCreated", message=f"there is no Deployment for {component} yet")
    status = live.get("status") or {}
    replicas: int = live["spec"]["replicas"]
    updated: int = status.get("updatedReplicas", 0)
    ready: int = status.get("readyReplicas", 0)
    is_seen = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    is_settled = is_seen and updated == ready == replicas == status.get("replicas", 0)
    reason, message = ("", "") if is_settled else _why(observed, server, component, live)
    return Health(
        deployment=live["metadata"]["name"],
        replicas=replicas,
        updated=updated,
        ready=ready,
        image=_image(live, component),
        is_settled=is_settled,
        reason=reason,
        message=message,
    )


def _image(live: Object, component: Component) -> str:
    containers = live["spec"]["template"]["spec"]["containers"]
    return next((item["image"] for item in containers if item["name"] == component), "")


def _why(observed: Observed, server: str, component: Component, live: Object) -> tuple[str, str]:
    """Return reason and message of pods that are not ready; the most telling one first."""
    pods = observed.pods_of(server, component)
    return (
        _stuck(pods)
        or _complaint(pods, observed.complaints)
        or _unscheduled(pods)
        or _refused(live)
        or ("Starting", f"the pods of {live['metadata']['name']} are starting")
    )


def _stuck(pods: Sequence[Object]) -> tuple[str, str] | None:
    """Return why a container can't run, say for want of its image."""
    for pod in pods:
        for state in _waiting(pod):
            if state.get("reason", "") not in _STARTING:
                message = state.get("message") or state["reason"]
                return state["reason"], f"{pod['metadata']['name']}: {message}"
    return None


def _complaint(pods: Sequence[Object], complaints: Mapping[str, str]) -> tuple[str, str] | None:
    """Return what a pod says is wrong."""
    names = [pod["metadata"]["name"] for pod in pods]
    said = [f"{name}: {complaints[name]}" for name in names if name in complaints]
    return ("NotReady", said[0]) if said else None


def _waiting(pod: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    status = pod.get("status") or {}
    containers = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    return [item["state"]["waiting"] for item in containers if item.get("state", {}).get("waiting")]


def _unscheduled(pods: Sequence[Object]) -> tuple[str, str] | None:
    """Return why no node takes a pod."""
    for pod in pods:
        for item in (pod.get("status") or {}).get("conditions") or ():
            if item["type"] == "PodScheduled" and item["status"] == "False":
                message = item.get("message", "it can't be scheduled")
                return "Unschedulable", f"{pod['metadata']['name']}: {message}"
    return None


def _refused(live: Object) -> tuple[str, str] | None:
    """Return why no pods are made at all, say by Pod Security or a quota."""
    for item in (live.get("status") or {}).get("conditions") or ():
        if item["type"] == "ReplicaFailure" and item["status"] == "True":
            return str(item.get("reason", "ReplicaFailure")), str(item.get("message", ""))
    return None
