"""What the operator sees of the cluster when it looks at one resource. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from ari_proxy.operator import names
from ari_proxy.operator.decide import secrets, servers
from ari_proxy.operator.decide.children.wanted import Object
from ari_proxy.operator.decide.drain import Leaving, open_dialogs
from ari_proxy.operator.decide.servers import WantedServer
from ari_proxy.operator.model import AriProxy

#: Kind and name of an object in the resource's namespace.
Key = tuple[str, str]


class Silence(NamedTuple):
    """A pod that does not tell what it was asked."""

    asked: Literal["complaint", "dialogs"]
    pod: str
    #: Why not, to follow its name; the same text as long as it is the same.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A resource and all that its state depends on."""

    proxy: AriProxy
    #: Objects that carry the resource's labels.
    children: Mapping[Key, Object]
    #: Pods of the children.
    pods: tuple[Object, ...] = ()
    #: Pods that the resource's selector matches.
    asterisk_pods: tuple[Object, ...] = ()
    #: The keys of each Secret that is named; None of one that does not exist.
    secrets: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    #: By pod that is not ready: what it says is wrong.
    complaints: Mapping[str, str] = field(default_factory=dict)
    #: By ingest of a server that is leaving: how many dialogs it has.
    dialogs: Mapping[str, int] = field(default_factory=dict)
    #: Pods that were asked for one of these and do not tell.
    silences: frozenset[Silence] = frozenset()
    #: By server_id: the resource, `namespace/name`, that has it on the same bus.
    rivals: Mapping[str, str] = field(default_factory=dict)
    now: datetime

    @property
    def known(self) -> list[str]:
        """Names of the servers that have Deployments."""
        found = {
            names.labels_of(item).get(names.SERVER, "")
            for (kind, _), item in self.children.items()
            if kind == "Deployment"
        }
        return sorted(found - {""})

    @property
    def wanted(self) -> list[WantedServer]:
        """The servers that should be served."""
        return servers.wanted(self.proxy, self.asterisk_pods, self.known)

    @property
    def leaving(self) -> list[Leaving]:
        """The servers that are served, but should no longer be."""
        wanted = {server.name for server in self.wanted}
        return [
            Leaving(
                name=name,
                since=self._since(name),
                dialogs=open_dialogs([self.dialogs.get(pod) for pod in self.ingests_of(name)]),
            )
            for name in self.known
            if name not in wanted
        ]

    def ingests_of(self, server: str) -> list[str]:
        """Return the names of the pods that run a server's ingest, or are to run it."""
        pods = self.pods_of(server, "ingest")
        return [pod["metadata"]["name"] for pod in pods if not _is_over(pod)]

    def pods_of(self, server: str, component: str) -> list[Object]:
        """Return the pods of a server's component."""
        wanted = {names.SERVER: server, names.COMPONENT: component}
        return [pod for pod in self.pods if servers.matches(names.labels_of(pod), wanted)]

    def deployment(self, server: str, component: names.Component) -> Object | None:
        """Return a server's Deployment as it is."""
        name = names.workload(self.proxy.metadata.name, component, server)
        return self.children.get(("Deployment", name))

    def missing(self, server: WantedServer) -> tuple[str, str] | None:
        """Return reason and message of a Secret that a server lacks, or None."""
        return secrets.missing(secrets.needed(self.proxy, server), self.secrets)

    def _since(self, server: str) -> datetime:
        """Return since when a server is leaving: as the status remembers, or now."""
        for item in self.proxy.status.get("servers") or ():
            if item.get("name") == server and item.get("drainingSince"):
                return datetime.fromisoformat(item["drainingSince"])
        return self.now


def _is_over(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod's process has ended for good; another pod takes its place."""
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def is_running(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod's process can be asked."""
    status = pod.get("status", {})
    return status.get("phase") == "Running" and bool(status.get("podIP"))
