"""One resource and everything that its reconciliation depends on. Sans-I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from . import names
from .model import AriProxy
from .objects import Object, ObjectKey, is_finished, labels_of, matches


class QueryFailure(NamedTuple):
    """A query that a pod's admin API did not answer as it should."""

    query: Literal["checks", "dialogs"]
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
    #: By name of an ingest pod of a draining server: the number of its open dialogs.
    dialogs: Mapping[str, int] = field(default_factory=dict)
    #: By name of an ingest pod, where the server's Lease names none: whether it is active.
    active: Mapping[str, bool] = field(default_factory=dict)
    query_failures: frozenset[QueryFailure] = frozenset()
    #: By server_id: the older resource, `namespace/name`, that serves it on the same bus.
    rivals: Mapping[str, str] = field(default_factory=dict)
    now: datetime

    @property
    def deployed_servers(self) -> list[str]:
        """Names of the servers that have Deployments."""
        found = {
            labels_of(item).get(names.SERVER, "")
            for key, item in self.children.items()
            if key.kind == "Deployment"
        }
        return sorted(found - {""})

    def ingests_of(self, server: str) -> list[str]:
        """Return the names of the pods that run a server's ingest, or will."""
        pods = self.pods_of(server, "ingest")
        return [pod["metadata"]["name"] for pod in pods if not is_finished(pod)]

    def pods_of(self, server: str, component: names.Component) -> list[Object]:
        """Return the pods of a server's component."""
        match_labels = {names.SERVER: server, names.COMPONENT: component}
        return [pod for pod in self.pods if matches(labels_of(pod), match_labels)]

    def deployment(self, server: str, component: names.Component) -> Object | None:
        """Return a server's Deployment as it is in the cluster."""
        name = names.workload(self.proxy.metadata.name, component, server)
        return self.children.get(ObjectKey("Deployment", name))
