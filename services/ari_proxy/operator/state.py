"""One resource and everything that its reconciliation depends on. Sans-I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from . import names
from .model import AriProxy
from .objects import Object, ObjectKey, is_finished, labels_of, slot_of

#: The file with the settings in a component's ConfigMap.
SETTINGS_FILE: Final = "config.json"


class Deployed(NamedTuple):
    """A server that has Deployments, which are its slot's: its own ones, or shared ones."""

    server: str
    slot: str
    #: '' if the slot is its own.
    server_id: str = ""


class PodQuery(NamedTuple):
    """A query of a pod's admin API, of one of its servers if it has several."""

    pod: Object
    server_id: str = ""

    @property
    def name(self) -> str:
        """The pod's name, and the server if it is one of several."""
        return query_name(self.pod["metadata"]["name"], self.server_id)


def query_name(pod: str, server_id: str) -> str:
    """Return how a query of a pod is called."""
    return f"{pod}?server={server_id}" if server_id else pod


class QueryFailure(NamedTuple):
    """A query that a pod's admin API did not answer as it should."""

    query: Literal["checks", "dialogs"]
    #: The pod, or the PodQuery's name.
    pod: str
    #: Continues a sentence about the pod. The text is stable while the cause lasts.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The state of a resource, its children and its surroundings at one moment."""

    proxy: AriProxy
    #: The objects that the resource owns.
    children: Mapping[ObjectKey, Object]
    #: Pods of the resource's Deployments.
    pods: tuple[Object, ...] = ()
    #: Pods that the resource's `serverSelector` matches.
    asterisk_pods: tuple[Object, ...] = ()
    #: Keys of each referenced Secret, without the values; None if the Secret does not exist.
    secrets: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    #: By name of a pod that is not ready: its failing readiness checks.
    failed_checks: Mapping[str, str] = field(default_factory=dict)
    #: By name of a pod that servers share: what fails of each server_id, '' if nothing does.
    server_checks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: By name of a query of an ingest whose server drains or moves: the number of its open dialogs.
    dialogs: Mapping[str, int] = field(default_factory=dict)
    #: By name of a query of an ingest, where the server's Lease names none: whether it is active.
    active: Mapping[str, bool] = field(default_factory=dict)
    query_failures: frozenset[QueryFailure] = frozenset()
    #: By server_id: the older resource, `namespace/name`, that serves it on the same bus.
    rivals: Mapping[str, str] = field(default_factory=dict)
    now: datetime

    @property
    def deployed(self) -> list[Deployed]:
        """The servers that have Deployments; one that moves is in two slots."""
        found = {
            deployed
            for key, item in self.children.items()
            if key.kind == "Deployment"
            for deployed in self._deployed_by(item)
        }
        return sorted(found)

    def _deployed_by(self, deployment: Object) -> list[Deployed]:
        slot = slot_of(deployment)
        if names.SLOT not in labels_of(deployment):
            return [Deployed(slot, slot)] if slot else []
        return [Deployed(name, slot, server_id) for name, server_id in self._sharing(slot).items()]

    def _sharing(self, slot: str) -> Mapping[str, str]:
        """Return the server_ids of a shared slot's servers by name, as its ConfigMaps say."""
        for component in names.COMPONENTS:
            config = self.child("ConfigMap", component, slot) or {}
            annotations = config.get("metadata", {}).get("annotations") or {}
            found = _decoded(annotations.get(names.SERVERS))
            if found:
                return found
        servers = self.proxy.status.get("servers") or ()
        # The ConfigMaps are gone.
        return {item["name"]: item["serverId"] for item in servers if item.get("slot") == slot}

    @property
    def deployed_servers(self) -> list[str]:
        """Names of the servers that have Deployments."""
        return sorted({item.server for item in self.deployed})

    def ingests_of(self, slot: str) -> list[str]:
        """Return the names of the pods that run a slot's ingest, or will."""
        pods = self.pods_of(slot, "ingest")
        return [pod["metadata"]["name"] for pod in pods if not is_finished(pod)]

    def pods_of(self, slot: str, component: names.Component) -> list[Object]:
        """Return the pods of a slot's component."""
        return [
            pod
            for pod in self.pods
            if slot_of(pod) == slot and labels_of(pod).get(names.COMPONENT) == component
        ]

    def deployment(self, slot: str, component: names.Component) -> Object | None:
        """Return a slot's Deployment as it is in the cluster."""
        return self.child("Deployment", component, slot)

    def child(self, kind: str, component: names.Component, slot: str) -> Object | None:
        """Return an object of a slot, or one of a server that is named like it."""
        name = names.workload(self.proxy.metadata.name, component, slot)
        return self.children.get(ObjectKey(kind, name))

    def settings(self, slot: str, component: names.Component) -> dict[str, Any]:
        """Return a component's settings as they are in the cluster; empty if unreadable."""
        data = (self.child("ConfigMap", component, slot) or {}).get("data") or {}
        return _decoded(data.get(SETTINGS_FILE))

    def server_settings(self, deployed: Deployed, component: names.Component) -> dict[str, Any]:
        """Return what the settings in the cluster have of a server; empty if unreadable."""
        found = self.settings(deployed.slot, component)
        if not deployed.server_id:
            return found
        entries = found.get("servers") or ()
        own = (item for item in entries if item.get("server_id") == deployed.server_id)
        return next(own, {})


def _decoded(text: object) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
