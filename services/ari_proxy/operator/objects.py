"""Kubernetes objects as plain dictionaries: keys, labels, and the state of pods. Sans-I/O.

They are no models, since what a user lays over a pod's template may have fields that no model here
knows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from . import names

Object = dict[str, Any]


class ResourceKey(NamedTuple):
    """Identifies an AriProxy in the cluster."""

    namespace: str
    name: str


class ObjectKey(NamedTuple):
    """Identifies an object in the namespace of its resource."""

    kind: str
    name: str


def key_of(item: Mapping[str, Any]) -> ObjectKey:
    """Return the key of any object."""
    return ObjectKey(item["kind"], item["metadata"]["name"])


def labels_of(item: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of any object."""
    return item["metadata"].get("labels") or {}


def annotations_of(item: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the annotations of any object, or of a Deployment's template."""
    return item["metadata"].get("annotations") or {}


def slot_of(item: Mapping[str, Any]) -> str:
    """Return the slot whose object or pod it is; '' if it is of none.

    A slot that serves one server for good has its name.
    """
    labels = labels_of(item)
    return labels.get(names.SLOT) or labels.get(names.SERVER, "")


def foreign_fields(item: Mapping[str, Any]) -> list[Object]:
    """Return the entries of `managedFields` that are not the operator's applies.

    Those of subresources are left out: a status, and a number of replicas.
    """
    return [
        entry
        for entry in item["metadata"].get("managedFields") or ()
        if not entry.get("subresource")
        and (entry.get("manager"), entry.get("operation")) != (names.MANAGER, "Apply")
    ]


def matches(labels: Mapping[str, str], match_labels: Mapping[str, str]) -> bool:
    """Return whether a label selector selects an object with these labels."""
    return all(labels.get(name) == value for name, value in match_labels.items())


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod has passed its readiness probe."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def is_rolled_out(deployment: Mapping[str, Any]) -> bool:
    """Return whether all pods of a Deployment are ready and of its newest template."""
    status = deployment.get("status") or {}
    replicas = deployment["spec"]["replicas"]
    generation = deployment["metadata"].get("generation", 0)
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")}
    return status.get("observedGeneration", 0) >= generation and counts == {replicas}


def is_running(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod's admin API may be queried: its process runs and has an address."""
    status = pod.get("status", {})
    return status.get("phase") == "Running" and bool(status.get("podIP"))


def is_finished(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod's process has ended for good; another pod takes its place."""
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
