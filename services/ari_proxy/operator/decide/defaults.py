"""What the operator's installation decides for all resources. Sans-I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ari_proxy.operator.model import PodTemplateSpec
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadDefaults:
    """Fields of ingest or command that a resource may set, too; what it sets wins."""

    #: Compute resources of the container; None for the operator's own.
    resources: Mapping[str, Any] | None = None
    #: Merged into the pod template before that of the resource.
    pod_template: PodTemplateSpec = field(default_factory=PodTemplateSpec)
    service_account_annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The defaults of the components, and who reaches their pods."""

    ingest: WorkloadDefaults = field(default_factory=WorkloadDefaults)
    command: WorkloadDefaults = field(default_factory=WorkloadDefaults)
    #: NetworkPolicyPeers that may reach the admin API of the pods; None for no NetworkPolicy.
    admin_peers: tuple[Object, ...] | None = None
    #: Servers of all resources that are rolled out at once; None for any number.
    max_servers_at_once: int | None = None
    #: Those that may reach what shows calls.
    calls_peers: tuple[Object, ...] = ()

    def of(self, component: Component) -> WorkloadDefaults:
        """Return the defaults of a component."""
        return self.ingest if component == "ingest" else self.command
