"""The components of a slot, with what they need of the cluster's state. Sans-I/O."""

from collections.abc import Collection

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.component import DesiredComponent, Images
from ari_proxy.operator.names import COMPONENTS, Component
from ari_proxy.operator.objects import ObjectKey, annotations_of
from ari_proxy.operator.state import Deployed, Observed

from .defaults import Defaults
from .kept import KeptServer, kept_server
from .slots import Slot, has_lease


def components_of(
    observed: Observed,
    slot: Slot,
    images: Images,
    defaults: Defaults,
    final: Collection[Deployed] = (),
) -> list[DesiredComponent]:
    """Return ingest and command of a slot; `final` are servers whose dialogs end with it."""
    return [
        DesiredComponent(
            proxy=observed.proxy,
            slot=slot,
            component=component,
            images=images,
            defaults=defaults,
            kept=tuple(_kept(observed, slot, component, final)),
            has_lease=component == "ingest" and _has_lease(observed, slot),
            account_since=_account_since(observed, slot, component),
        )
        for component in COMPONENTS
    ]


def _kept(
    observed: Observed, slot: Slot, component: Component, final: Collection[Deployed]
) -> list[KeptServer]:
    found = (kept_server(observed, item, component, is_final=item in final) for item in slot.kept)
    return [item for item in found if item is not None]


def _has_lease(observed: Observed, slot: Slot) -> bool:
    """Return whether Leases decide which of a slot's ingests is active.

    Servers that share pods always have one: an ingest without it that has handed a server over
    never takes it back, and its pod can't be replaced while it serves others. An ingest with a
    Lease keeps it: an old standby pod would take the calls back from a new pod that does not know
    the Lease.
    """
    if observed.proxy.spec.ingest.replicas > 1 or slot.is_shared:
        return True
    served = {server.name for server in slot.servers}
    former = {item.slot for item in observed.deployed if item.server in served}
    return any(has_lease(observed, name) for name in {slot.name, *former})


def _account_since(observed: Observed, slot: Slot, component: Component) -> str:
    """Return when the pods' ServiceAccount was made anew, '' if it is older than the Deployment.

    Pods have a token of the ServiceAccount that was there when they started.
    """
    live = observed.deployment(slot.name, component)
    account = names.account(observed.proxy.metadata.name, component)
    found = observed.children.get(ObjectKey("ServiceAccount", account))
    if live is None:
        return ""
    if found is None:  # It is about to be made.
        return annotations_of(live["spec"]["template"]).get(names.ACCOUNT_SINCE, "")
    since: str = found["metadata"].get("creationTimestamp", "")
    return since if since > live["metadata"].get("creationTimestamp", since) else ""
