"""What a child object is made from. Pure."""

from dataclasses import dataclass
from typing import Any

from ari_proxy.operator import names
from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.servers import WantedServer
from ari_proxy.operator.model import GROUP, KIND, VERSION, AriProxy, Autoscaling, Workload
from ari_proxy.operator.names import Component

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """What runs where the resource names no image."""

    ingest: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One component of one server."""

    proxy: AriProxy
    server: WantedServer
    component: Component
    images: Images
    #: Ingest only: which of its pods is active is decided by a Lease.
    has_lease: bool = False

    @property
    def name(self) -> str:
        """The name of its objects."""
        return names.workload(self.proxy.metadata.name, self.component, self.server.name)

    @property
    def workload(self) -> Workload:
        """What the resource says of this component."""
        spec = self.proxy.spec
        return spec.ingest if self.component == "ingest" else spec.command

    @property
    def autoscaling(self) -> Autoscaling | None:
        """Whether and how an autoscaler sets its number of pods; an ingest has one active pod."""
        return self.proxy.spec.command.autoscaling if self.component == "command" else None

    @property
    def image(self) -> str:
        """The image of its pods."""
        return self.workload.image or getattr(self.images, self.component)

    @property
    def secret_files(self) -> list[secrets.SecretFile]:
        """The Secrets' keys that its pods read."""
        return secrets.needed(self.proxy, self.server)

    @property
    def selector(self) -> dict[str, str]:
        """The labels that its pods are known by."""
        return names.selector(self.proxy.metadata.name, self.component, self.server.name)

    def head(self, api_version: str, kind: str) -> Object:
        """Return the beginning of an object of this component of this server."""
        own = names.labels(self.proxy.metadata.name, self.component, self.server.name)
        return head(self.proxy, api_version, kind, self.name, own)


def head(proxy: AriProxy, api_version: str, kind: str, name: str, labels: dict[str, str]) -> Object:
    """Return the beginning of an object that goes when the resource goes."""
    metadata = proxy.metadata
    owner = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "name": metadata.name,
        "uid": metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": metadata.namespace,
            "labels": labels,
            "ownerReferences": [owner],
        },
    }
