"""The objects to apply and to delete: desired minus observed state. Sans-I/O.

A plan depends on the state of the cluster alone, never on former plans. Nothing of a server changes
while something is missing that a new pod of it would need: a running pod is better than one that
can't start.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.access import lease_access, service_account
from ari_proxy.operator.decide.children.autoscaler import autoscaler
from ari_proxy.operator.decide.children.component import DesiredComponent, Images
from ari_proxy.operator.decide.children.config_map import config_map
from ari_proxy.operator.decide.children.deployment import deployment
from ari_proxy.operator.decide.children.disruption import disruption_budget
from ari_proxy.operator.decide.children.lease import leases
from ari_proxy.operator.decide.children.network_policy import network_policy
from ari_proxy.operator.decide.children.outbound import asterisk_config_maps, services
from ari_proxy.operator.decide.children.pod_monitor import pod_monitor
from ari_proxy.operator.decide.children.pod_template import pod_template
from ari_proxy.operator.errors import PodTemplateError
from ari_proxy.operator.model import AriProxy
from ari_proxy.operator.names import COMPONENTS, Component
from ari_proxy.operator.objects import Object, ObjectKey, key_of, labels_of, slot_of
from ari_proxy.operator.state import Deployed, Observed

from . import secrets
from .comparison import is_current, stamped
from .components import components_of
from .defaults import Defaults
from .drain import RECHECK_SECONDS, DrainingServer, draining_servers, is_drained
from .refusals import Refusal
from .rollout import Elsewhere, Rollout, limit_of, rollout
from .server_rollouts import common_template, marked, server_rollouts
from .servers import DesiredServer, desired_servers
from .sharing import unshareable
from .slots import Arrangement, Slot, arrangement, assigned, held_back, without
from .succession import Patch, awaited, final_ingests, is_final

#: Interval between reconciliations where servers share pods.
SHARED_RECHECK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The changes that a reconciliation makes."""

    #: Objects to apply, in this order.
    apply: tuple[Object, ...] = ()
    delete: tuple[ObjectKey, ...] = ()
    #: Why objects can't be built: their servers are left as they are.
    refusals: Mapping[ObjectKey, Refusal] = field(default_factory=dict)
    #: Changes of objects of servers that drain.
    patches: tuple[Patch, ...] = ()
    #: What a suspended resource would change.
    withheld: tuple[ObjectKey, ...] = ()
    #: Whether the resource's deletion has to wait for its dialogs.
    is_held: bool = False
    #: Seconds until the next reconciliation if no event comes earlier; None for the default.
    recheck_seconds: float | None = None
    #: Which servers get a new pod template, and which wait.
    rollout: Rollout = field(default_factory=Rollout)


def plan(
    observed: Observed,
    images: Images,
    defaults: Defaults | None = None,
    elsewhere: Elsewhere | None = None,
    *,
    is_paced: bool = True,
) -> Plan:
    """Return the changes that lead from the observed to the desired state.

    Args:
        observed: the resource and its surroundings.
        images: for resources that name none.
        defaults: of the installation.
        elsewhere: the roll-outs of other resources.
        is_paced: whether servers wait for each other; else it has all changes.
    """
    proxy, defaults = observed.proxy, defaults or Defaults()
    if proxy.metadata.deletion_timestamp:
        return _deletion(observed)
    if proxy.spec.suspend:
        return _suspended(observed, images, defaults)
    draining = draining_servers(observed)
    held = _undrained(observed, draining)
    places = assigned(observed)
    moving = held_back(observed, places)
    refusals = _unbuildable(observed, places, images, defaults) or _awaiting(observed, draining)
    staying = [*(item.deployed for item in held), *moving]
    arranged = _arrangement(observed, places, refusals, staying)
    final = _final(observed, held)
    components = [
        item
        for slot in arranged.slots
        for item in components_of(observed, slot, images, defaults, final)
    ]
    objects = _of_slots(observed, components)
    steps = _rollout(observed, places, objects, elsewhere or Elsewhere(), is_paced=is_paced)
    arranged = without(observed, arranged, steps.waiting)
    leases = _leases(observed, components, arranged.untouched_servers)
    desired = [*_shared(proxy, leases, defaults), *_changed_now(observed, objects, steps)]
    applied = {slot.name for slot in arranged.slots}
    return Plan(
        apply=tuple(item for item in desired if not is_current(observed.children, item)),
        delete=tuple(_obsolete(observed, desired, arranged)),
        refusals=refusals,
        patches=tuple(
            final_ingests(observed, [item for item in final if item.slot not in applied])
        ),
        is_held=proxy.spec.drain_on_deletion,
        recheck_seconds=_recheck_seconds(proxy, draining, moving),
        rollout=steps,
    )


def _recheck_seconds(
    proxy: AriProxy, draining: Sequence[DrainingServer], moving: Sequence[Deployed]
) -> float | None:
    if draining or moving:
        return RECHECK_SECONDS
    # A pod is ready while one of its servers is: no event tells of the others.
    return SHARED_RECHECK_SECONDS if proxy.spec.pods == "Shared" else None


def _suspended(observed: Observed, images: Images, defaults: Defaults) -> Plan:
    """Return what would be changed, and change nothing."""
    spec = msgspec.structs.replace(observed.proxy.spec, suspend=False)
    resumed = msgspec.structs.replace(observed.proxy, spec=spec)
    steps = plan(replace(observed, proxy=resumed), images, defaults, is_paced=False)
    patched = [key_of(patch.item) for patch in steps.patches]
    withheld = (*map(key_of, steps.apply), *patched, *steps.delete)
    return Plan(withheld=withheld, is_held=steps.is_held)


def _deletion(observed: Observed) -> Plan:
    """Return the changes after the resource was deleted: its servers drain."""
    held = _undrained(observed, draining_servers(observed))
    slots = frozenset(item.deployed.slot for item in held)
    arranged = Arrangement(
        slots=(),
        untouched_slots=slots,
        untouched_servers=frozenset(
            item.server for item in observed.deployed if item.slot in slots
        ),
    )
    obsolete = _obsolete(observed, (), arranged)
    if held:  # They still need what they share.
        obsolete = [key for key in obsolete if slot_of(observed.children[key])]
    return Plan(
        delete=tuple(obsolete),
        patches=tuple(final_ingests(observed, _final(observed, held))),
        is_held=bool(held),
        recheck_seconds=RECHECK_SECONDS,
    )


def _undrained(observed: Observed, draining: Sequence[DrainingServer]) -> list[DrainingServer]:
    return [server for server in draining if not is_drained(observed, server)]


def _final(observed: Observed, undrained: Sequence[DrainingServer]) -> list[Deployed]:
    """Return the draining servers whose dialogs end with their ingests."""
    servers = desired_servers(observed)
    return [item.deployed for item in undrained if is_final(observed, servers, item)]


def _arrangement(
    observed: Observed,
    places: Mapping[str, str],
    refusals: Mapping[ObjectKey, Refusal],
    held: Collection[Deployed],
) -> Arrangement:
    """Return the slots with the servers that have all that a new pod of them would need."""
    proxy = observed.proxy.metadata.name

    def is_refused(name: str) -> bool:
        return any(_deployment_key(proxy, component, name) in refusals for component in COMPONENTS)

    changeable = [
        server
        for server in desired_servers(observed)
        if secrets.missing(observed, server) is None
        and server.server_id not in observed.rivals
        and not is_refused(server.name)
    ]
    refused = set(filter(is_refused, places.values()))
    if not secrets.is_bus_complete(observed):
        # New pods could not start, whichever servers they have.
        refused |= {*places.values(), *(item.slot for item in held if item.server_id)}
    return arrangement(observed, places, changeable, held, refused)


def _deployment_key(proxy: str, component: Component, slot: str) -> ObjectKey:
    return ObjectKey("Deployment", names.workload(proxy, component, slot))


def _awaiting(observed: Observed, draining: Sequence[DrainingServer]) -> dict[ObjectKey, Refusal]:
    """Return the Deployments of servers that wait for the drain of another one."""
    name = observed.proxy.metadata.name
    return {
        _deployment_key(name, component, server.name): refusal
        for server in desired_servers(observed)
        if (refusal := awaited(observed, server, draining)) is not None
        for component in COMPONENTS
    }


def _unbuildable(
    observed: Observed, places: Mapping[str, str], images: Images, defaults: Defaults
) -> dict[ObjectKey, Refusal]:
    """Return the Deployments that can't be built from the spec."""
    servers = desired_servers(observed)
    if not servers:
        return {}
    refusals = _not_shareable(observed, servers) or _invalid_templates(
        observed, Slot(name=places[servers[0].name], servers=(servers[0],)), images, defaults
    )
    name = observed.proxy.metadata.name
    return {
        _deployment_key(name, component, slot): refusal
        for component, refusal in refusals.items()
        for slot in sorted(set(places.values()))
    }


def _not_shareable(
    observed: Observed, servers: Sequence[DesiredServer]
) -> dict[Component, Refusal]:
    problem = unshareable(servers) if observed.proxy.spec.pods == "Shared" else ""
    return dict.fromkeys(COMPONENTS, Refusal("ServersNotShareable", problem)) if problem else {}


def _invalid_templates(
    observed: Observed, slot: Slot, images: Images, defaults: Defaults
) -> dict[Component, Refusal]:
    """Return the components whose podTemplate has a wrong form, in any slot."""
    found: dict[Component, Refusal] = {}
    for item in components_of(observed, slot, images, defaults):
        try:
            pod_template(item)
        except PodTemplateError as error:
            found[item.component] = Refusal("PodTemplateInvalid", str(error))
    return found


def _shared(proxy: AriProxy, leases: Sequence[str], defaults: Defaults) -> list[Object]:
    """Return the objects that all servers of a resource share."""
    accounts = [
        service_account(proxy, component, defaults.of(component).service_account_annotations)
        for component in COMPONENTS
    ]
    optional = (network_policy(proxy, defaults), pod_monitor(proxy))
    return [*accounts, *lease_access(proxy, leases), *(item for item in optional if item)]


def _leases(
    observed: Observed, components: Sequence[DesiredComponent], untouched: Collection[str]
) -> list[str]:
    """Return the names of the Leases that ingests may use.

    They include those of servers that lack a Secret or are draining: their standbys could not take
    over.
    """
    desired = {lease["metadata"]["name"] for item in components for lease in leases(item)}
    kept = {
        key.name
        for key, item in observed.children.items()
        if key.kind == "Lease" and labels_of(item).get(names.SERVER) in untouched
    }
    return sorted(desired | kept)


def _of_slots(observed: Observed, components: Sequence[DesiredComponent]) -> list[Object]:
    found: list[Object] = []
    # Those of one kind differ by their server alone.
    common = {item.component: item for item in components}
    templates = {component: common_template(item) for component, item in common.items()}
    for item in components:
        live = observed.children.get(ObjectKey("Deployment", item.name))
        scaler = autoscaler(item)
        children = (
            config_map(item),
            *asterisk_config_maps(item),
            *leases(item),
            *services(item),
            deployment(item, live),
            disruption_budget(item),
            scaler,
        )
        found += [
            marked(observed, stamp, item, templates[item.component])
            if stamp["kind"] == "Deployment"
            else stamp
            for child in children
            if child and (stamp := stamped(child, is_scaled=item.replicas is None))
        ]
    return found


def _rollout(
    observed: Observed,
    places: Mapping[str, str],
    objects: Sequence[Object],
    elsewhere: Elsewhere,
    *,
    is_paced: bool,
) -> Rollout:
    """Return which slots get a new pod template now."""
    deployments: dict[str, dict[Component, Object]] = {}
    for item in objects:
        if item["kind"] == "Deployment":
            of_slot = deployments.setdefault(slot_of(item), {})
            is_ingest = labels_of(item)[names.COMPONENT] == "ingest"
            of_slot["ingest" if is_ingest else "command"] = item
    slots = dict.fromkeys([*places.values(), *deployments])
    servers = server_rollouts(observed, list(slots), deployments)
    limit = limit_of(observed.proxy.spec.rollout.max_servers_at_once, len(servers))
    return rollout(servers, limit if is_paced else None, elsewhere)


def _changed_now(observed: Observed, objects: Sequence[Object], steps: Rollout) -> list[Object]:
    """Leave out what waits; what has been deleted of it is needed by the former pods."""
    return [
        item
        for item in objects
        if slot_of(item) not in steps.waiting or key_of(item) not in observed.children
    ]


def _obsolete(
    observed: Observed, desired: Sequence[Object], arranged: Arrangement
) -> list[ObjectKey]:
    """Return the children to delete: of drained servers, or no longer desired."""
    desired_keys = {key_of(item) for item in desired}
    return [
        key
        for key, item in observed.children.items()
        if key not in desired_keys and _is_decided(item, arranged)
    ]


def _is_decided(item: Object, arranged: Arrangement) -> bool:
    """Return whether the plan covers an object's slot or server; shared objects have none."""
    if not slot_of(item):
        # ServiceAccounts stay while the resource exists; the access goes with the last Lease.
        return item["kind"] in {"Role", "RoleBinding", "NetworkPolicy", "PodMonitor"}
    labels = labels_of(item)
    is_of_server = item["kind"] in {"Lease", "Service"} or names.COMPONENT not in labels
    if is_of_server:
        return labels.get(names.SERVER) not in arranged.untouched_servers
    return slot_of(item) not in arranged.untouched_slots
