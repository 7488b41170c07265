"""A component of a slot, from which this package builds its objects. Sans-I/O."""

from dataclasses import dataclass, field

from ari_proxy.operator import names
from ari_proxy.operator.decide.defaults import Defaults, WorkloadDefaults
from ari_proxy.operator.decide.kept import KeptServer
from ari_proxy.operator.decide.servers import DesiredServer
from ari_proxy.operator.decide.slots import Slot
from ari_proxy.operator.model import (
    GROUP,
    KIND,
    VERSION,
    AriProxy,
    AutoscalingSpec,
    WorkloadSpec,
)
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images of components for which the resource names none."""

    ingest: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredComponent:
    """One component (ingest or command) of one slot."""

    proxy: AriProxy
    slot: Slot
    component: Component
    images: Images
    defaults: Defaults = field(default_factory=Defaults)
    #: What it has of the slot's servers whose settings stay as they are.
    kept: tuple[KeptServer, ...] = ()
    #: Ingest only: a Lease decides which pod is active.
    has_lease: bool = False
    #: When the ServiceAccount was made anew, after the Deployment; '' if it was not.
    account_since: str = ""

    @property
    def name(self) -> str:
        """The name of the component's objects."""
        return names.workload(self.proxy.metadata.name, self.component, self.slot.name)

    @property
    def workload(self) -> WorkloadSpec:
        """The component's part of the spec."""
        spec = self.proxy.spec
        return spec.ingest if self.component == "ingest" else spec.command

    @property
    def workload_defaults(self) -> WorkloadDefaults:
        """What the installation sets for the component."""
        return self.defaults.of(self.component)

    @property
    def autoscaling(self) -> AutoscalingSpec | None:
        """The autoscaler's part of the spec; None for ingest, which has one active pod."""
        return self.proxy.spec.command.autoscaling if self.component == "command" else None

    @property
    def least_replicas(self) -> int:
        """The number of pods, or the smallest one; 1 to begin with if others scale it."""
        if self.autoscaling is not None:
            return self.autoscaling.min_replicas
        return 1 if self.replicas is None else self.replicas

    @property
    def replicas(self) -> int | None:
        """The number of pods; None if an autoscaler or somebody else decides it."""
        spec = self.proxy.spec
        if self.component == "ingest":
            return spec.ingest.replicas
        return None if spec.command.autoscaling is not None else spec.command.replicas

    @property
    def image(self) -> str:
        """The image of the component's pods."""
        return self.workload.image or getattr(self.images, self.component)

    @property
    def selector(self) -> dict[str, str]:
        """The labels that select the component's pods."""
        return names.selector(self.proxy.metadata.name, self.component, *self._place)

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the component's objects and pods."""
        return names.labels(self.proxy.metadata.name, self.component, *self._place)

    @property
    def _place(self) -> tuple[str, str]:
        """The labels' server and slot."""
        return ("", self.slot.name) if self.slot.is_shared else (self.slot.name, "")

    def head(self, api_version: str, kind: str) -> Object:
        """Return API version, kind and metadata of an object of this component."""
        return head(self.proxy, api_version, kind, self.name, self.labels)

    def head_of(self, server: DesiredServer, api_version: str, kind: str) -> Object:
        """Return the same of an object that each of the slot's servers has for itself.

        Its name does not depend on the slot, which may change.
        """
        proxy = self.proxy.metadata.name
        name = names.workload(proxy, self.component, server.name)
        own = names.labels(proxy, self.component, server.name, self._place[1])
        return head(self.proxy, api_version, kind, name, own)


def head(proxy: AriProxy, api_version: str, kind: str, name: str, labels: dict[str, str]) -> Object:
    """Return API version, kind and metadata of an object that the resource owns."""
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
