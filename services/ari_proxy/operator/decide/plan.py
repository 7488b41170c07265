"""The objects to apply and to delete: desired minus observed state. Sans-I/O.

A plan depends on the state of the cluster alone, never on former plans. Nothing of a server changes
while something is missing that a new pod of it would need: a running pod is better than one that
can't start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.access import lease_access, service_account
from ari_proxy.operator.decide.children.autoscaler import autoscaler
from ari_proxy.operator.decide.children.component import DesiredComponent, Images
from ari_proxy.operator.decide.children.config_map import config_map
from ari_proxy.operator.decide.children.deployment import deployment
from ari_proxy.operator.decide.children.disruption import disruption_budget
from ari_proxy.operator.decide.children.lease import lease
from ari_proxy.operator.decide.children.network_policy import network_policy
from ari_proxy.operator.decide.children.outbound import asterisk_config_map, service
from ari_proxy.operator.decide.children.pod_monitor import pod_monitor
from ari_proxy.operator.decide.children.pod_template import pod_template
from ari_proxy.operator.errors import PodTemplateError
from ari_proxy.operator.model import AriProxy, RolloutSpec
from ari_proxy.operator.names import COMPONENTS, Component
from ari_proxy.operator.objects import Object, ObjectKey, key_of, labels_of
from ari_proxy.operator.state import Observed

from . import secrets
from .comparison import is_current, stamped
from .defaults import Defaults
from .drain import RECHECK_SECONDS, DrainingServer, draining_servers, is_drained
from .refusals import Refusal
from .rollout import Elsewhere, Rollout, limit_of, rollout
from .server_rollouts import common_template, marked, server_rollouts
from .servers import DesiredServer, desired_servers
from .succession import Patch, awaited, final_ingests


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
) -> Plan:
    """Return the changes that lead from the observed to the desired state.

    Args:
        observed: the resource and its surroundings.
        images: for resources that name none.
        defaults: of the installation.
        elsewhere: the roll-outs of other resources.
    """
    proxy, defaults = observed.proxy, defaults or Defaults()
    if proxy.metadata.deletion_timestamp:
        return _deletion(observed)
    if proxy.spec.suspend:
        return _suspended(observed, images, defaults)
    draining = draining_servers(observed)
    refusals = _invalid_templates(observed, images, defaults) or _awaiting(observed, draining)
    servers = _changeable(observed, refusals)
    components = [
        item for server in servers for item in components_of(observed, server, images, defaults)
    ]
    drained = [server.name for server in draining if is_drained(observed, server)]
    leases = _leases(observed, components, drained)
    objects = _of_servers(observed, components)
    steps = _rollout(observed, objects, elsewhere or Elsewhere())
    desired = [*_shared(proxy, leases, defaults), *_changed_now(observed, objects, steps)]
    return Plan(
        apply=tuple(item for item in desired if not is_current(observed.children, item)),
        delete=tuple(_obsolete(observed, desired, _touched(components, steps), drained)),
        refusals=refusals,
        patches=_final_ingests(observed, draining, drained),
        is_held=proxy.spec.drain_on_deletion,
        recheck_seconds=RECHECK_SECONDS if draining else None,
        rollout=steps,
    )


def components_of(
    observed: Observed, server: DesiredServer, images: Images, defaults: Defaults
) -> list[DesiredComponent]:
    """Return ingest and command of a server."""
    return [
        DesiredComponent(
            proxy=observed.proxy,
            server=server,
            component=component,
            images=images,
            defaults=defaults,
            has_lease=component == "ingest" and _has_lease(observed, server),
            account_since=_account_since(observed, server, component),
        )
        for component in COMPONENTS
    ]


def _has_lease(observed: Observed, server: DesiredServer) -> bool:
    """Return whether a Lease decides which of a server's ingests is active.

    An ingest with a Lease keeps it: an old standby pod would take the calls back from a new pod
    that does not know the Lease.
    """
    if observed.proxy.spec.ingest.replicas > 1:
        return True
    live = observed.deployment(server.name, "ingest")
    return _template_annotations(live).get(names.LEASE) == "true"


def _account_since(observed: Observed, server: DesiredServer, component: Component) -> str:
    """Return when the pods' ServiceAccount was made anew, '' if it is older than the Deployment.

    Pods have a token of the ServiceAccount that was there when they started.
    """
    live = observed.deployment(server.name, component)
    account = names.account(observed.proxy.metadata.name, component)
    found = observed.children.get(ObjectKey("ServiceAccount", account))
    if live is None:
        return ""
    if found is None:  # It is about to be made.
        return _template_annotations(live).get(names.ACCOUNT_SINCE, "")
    since: str = found["metadata"].get("creationTimestamp", "")
    return since if since > live["metadata"].get("creationTimestamp", since) else ""


def _template_annotations(live: Object | None) -> Mapping[str, str]:
    template = live["spec"]["template"]["metadata"] if live is not None else {}
    return template.get("annotations") or {}


def _suspended(observed: Observed, images: Images, defaults: Defaults) -> Plan:
    """Return what would be changed, and change nothing."""
    at_once = RolloutSpec(max_servers_at_once="100%")
    spec = msgspec.structs.replace(observed.proxy.spec, suspend=False, rollout=at_once)
    resumed = msgspec.structs.replace(observed.proxy, spec=spec)
    steps = plan(replace(observed, proxy=resumed), images, defaults)
    patched = [key_of(patch.item) for patch in steps.patches]
    withheld = (*map(key_of, steps.apply), *patched, *steps.delete)
    return Plan(withheld=withheld, is_held=steps.is_held)


def _deletion(observed: Observed) -> Plan:
    """Return the changes after the resource was deleted: its servers drain."""
    draining = draining_servers(observed)
    drained = [server.name for server in draining if is_drained(observed, server)]
    obsolete = _obsolete(observed, (), (), drained)
    if len(drained) < len(draining):  # The others still need what they share.
        obsolete = [key for key in obsolete if labels_of(observed.children[key]).get(names.SERVER)]
    return Plan(
        delete=tuple(obsolete),
        patches=_final_ingests(observed, draining, drained),
        is_held=len(drained) < len(draining),
        recheck_seconds=RECHECK_SECONDS,
    )


def _final_ingests(
    observed: Observed, draining: Sequence[DrainingServer], drained: Sequence[str]
) -> tuple[Patch, ...]:
    undrained = [server for server in draining if server.name not in drained]
    return tuple(final_ingests(observed, desired_servers(observed), undrained))


def _changeable(observed: Observed, refusals: Mapping[ObjectKey, Refusal]) -> list[DesiredServer]:
    """Return the servers that have all that a new pod of them would need."""
    name = observed.proxy.metadata.name
    return [
        server
        for server in desired_servers(observed)
        if secrets.missing(observed, server) is None
        and server.server_id not in observed.rivals
        and not any(_deployment_key(name, item, server) in refusals for item in COMPONENTS)
    ]


def _deployment_key(proxy: str, component: Component, server: DesiredServer) -> ObjectKey:
    return ObjectKey("Deployment", names.workload(proxy, component, server.name))


def _awaiting(observed: Observed, draining: Sequence[DrainingServer]) -> dict[ObjectKey, Refusal]:
    """Return the Deployments of servers that wait for the drain of another one."""
    name = observed.proxy.metadata.name
    return {
        _deployment_key(name, component, server): refusal
        for server in desired_servers(observed)
        if (refusal := awaited(observed, server, draining)) is not None
        for component in COMPONENTS
    }


def _invalid_templates(
    observed: Observed, images: Images, defaults: Defaults
) -> dict[ObjectKey, Refusal]:
    """Return the Deployments whose podTemplate has a wrong form."""
    servers = desired_servers(observed)
    found: dict[ObjectKey, Refusal] = {}
    for item in components_of(observed, servers[0], images, defaults) if servers else ():
        try:
            pod_template(item)
        except PodTemplateError as error:
            refusal = Refusal("PodTemplateInvalid", f"spec.{item.component}.{error}")
            name = observed.proxy.metadata.name
            found |= {_deployment_key(name, item.component, server): refusal for server in servers}
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
    observed: Observed, components: Sequence[DesiredComponent], drained: Sequence[str]
) -> list[str]:
    """Return the names of the Leases that ingests may use.

    They include those of servers that lack a Secret or are draining: their standbys could not take
    over.
    """
    desired = {item.name for item in components if item.has_lease}
    kept = {
        key.name
        for key, item in observed.children.items()
        if key.kind == "Lease" and labels_of(item).get(names.SERVER) not in drained
    }
    return sorted(desired | kept)


def _of_servers(observed: Observed, components: Sequence[DesiredComponent]) -> list[Object]:
    found: list[Object] = []
    # Those of one kind differ by their server alone.
    common = {item.component: item for item in components}
    templates = {component: common_template(item) for component, item in common.items()}
    for item in components:
        live = observed.children.get(ObjectKey("Deployment", item.name))
        scaler = autoscaler(item)
        children = (
            config_map(item),
            asterisk_config_map(item),
            lease(item),
            service(item),
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


def _rollout(observed: Observed, objects: Sequence[Object], elsewhere: Elsewhere) -> Rollout:
    """Return which servers get a new pod template now."""
    deployments: dict[str, dict[Component, Object]] = {}
    for item in objects:
        if item["kind"] == "Deployment":
            labels = labels_of(item)
            of_server = deployments.setdefault(labels[names.SERVER], {})
            of_server["ingest" if labels[names.COMPONENT] == "ingest" else "command"] = item
    servers = server_rollouts(observed, deployments)
    limit = limit_of(observed.proxy.spec.rollout.max_servers_at_once, len(servers))
    return rollout(servers, limit, elsewhere)


def _touched(components: Sequence[DesiredComponent], steps: Rollout) -> list[DesiredComponent]:
    return [item for item in components if item.server.name not in steps.waiting]


def _changed_now(observed: Observed, objects: Sequence[Object], steps: Rollout) -> list[Object]:
    """Leave out what waits; what has been deleted of it is needed by the former pods."""
    return [
        item
        for item in objects
        if labels_of(item)[names.SERVER] not in steps.waiting
        or key_of(item) not in observed.children
    ]


def _obsolete(
    observed: Observed,
    desired: Sequence[Object],
    components: Sequence[DesiredComponent],
    drained: Sequence[str],
) -> list[ObjectKey]:
    """Return the children to delete: of drained servers, or no longer desired."""
    desired_keys = {key_of(item) for item in desired}
    decided = {item.server.name for item in components} | set(drained)
    return [
        key
        for key, item in observed.children.items()
        if key not in desired_keys and _is_decided(item, decided)
    ]


def _is_decided(item: Object, servers: set[str]) -> bool:
    """Return whether the plan covers an object's server; shared objects have none."""
    server = labels_of(item).get(names.SERVER)
    if server is None:
        # ServiceAccounts stay while the resource exists; the access goes with the last Lease.
        return item["kind"] in {"Role", "RoleBinding", "NetworkPolicy", "PodMonitor"}
    return server in servers
