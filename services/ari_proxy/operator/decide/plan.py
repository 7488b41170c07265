"""From what is seen to what is to be done. Pure.

Every look begins anew: what is done depends on the state of the cluster, never on what happened
before. Nothing of a server is touched while something is missing that a new pod of it would need:
what runs is better than what can't start.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.access import lease_access, service_account
from ari_proxy.operator.decide.children.autoscaler import autoscaler
from ari_proxy.operator.decide.children.config_map import config_map
from ari_proxy.operator.decide.children.deployment import deployment
from ari_proxy.operator.decide.children.disruption import disruption_budget
from ari_proxy.operator.decide.children.lease import lease
from ari_proxy.operator.decide.children.pod_monitor import pod_monitor
from ari_proxy.operator.decide.children.wanted import Images, Object, Wanted
from ari_proxy.operator.model import AriProxy
from ari_proxy.operator.names import COMPONENTS
from ari_proxy.operator.observe.state import Key, Observed

from . import drain
from .servers import WantedServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done."""

    #: Objects to apply, in this order.
    apply: tuple[Object, ...] = ()
    #: Objects to delete.
    delete: tuple[Key, ...] = ()
    #: Seconds after which to look again, though nothing changes by itself; None for the usual time.
    recheck_seconds: float | None = None


def plan(observed: Observed, images: Images) -> Plan:
    """Return what is to be done."""
    proxy = observed.proxy
    if proxy.spec.suspend or proxy.metadata.deletion_timestamp:
        return Plan()
    ready = [server for server in observed.wanted if _has_all(observed, server)]
    components = [item for server in ready for item in components_of(observed, server, images)]
    gone = [leaving.name for leaving in observed.leaving if _may_go(observed, leaving)]
    leases = _leases(observed, components, gone)
    desired = [*_shared(proxy, leases), *_of_servers(observed, components)]
    return Plan(
        apply=tuple(item for item in desired if not is_current(observed.children, item)),
        delete=tuple(_unwanted(observed, desired, components, gone)),
        recheck_seconds=drain.LOOK_SECONDS if observed.leaving else None,
    )


def components_of(observed: Observed, server: WantedServer, images: Images) -> list[Wanted]:
    """Return ingest and command of a server."""
    return [
        Wanted(
            proxy=observed.proxy,
            server=server,
            component=component,
            images=images,
            has_lease=component == "ingest" and _has_lease(observed, server),
        )
        for component in COMPONENTS
    ]


def _has_lease(observed: Observed, server: WantedServer) -> bool:
    """Return whether a Lease decides between a server's ingests.

    Where it once did it goes on to: an old pod that stands by would take the calls back from a new
    one that knows of no Lease.
    """
    if observed.proxy.spec.ingest.replicas > 1:
        return True
    live = observed.deployment(server.name, "ingest")
    template = live["spec"]["template"]["metadata"] if live is not None else {}
    return (template.get("annotations") or {}).get(names.LEASE) == "true"


def _has_all(observed: Observed, server: WantedServer) -> bool:
    return observed.missing(server) is None and server.server_id not in observed.rivals


def _may_go(observed: Observed, leaving: drain.Leaving) -> bool:
    spec = observed.proxy.spec
    return drain.may_go(
        leaving,
        observed.now,
        timeout_seconds=spec.drain_timeout_seconds,
        may_return=spec.server_selector is not None,
    )


def _shared(proxy: AriProxy, leases: Sequence[str]) -> list[Object]:
    """Return the objects that all servers of a resource share."""
    accounts = [service_account(proxy, component) for component in COMPONENTS]
    monitor = pod_monitor(proxy)
    return [*accounts, *lease_access(proxy, leases), *([monitor] if monitor else [])]


def _leases(observed: Observed, components: Sequence[Wanted], gone: Sequence[str]) -> list[str]:
    """Return the Leases that ingests go on to need.

    Among them those of servers that lack something now, or wait for their last calls: an ingest
    that may not renew its Lease ends its turn.
    """
    made = {item.name for item in components if item.has_lease}
    kept = {
        name
        for (kind, name), item in observed.children.items()
        if kind == "Lease" and names.labels_of(item).get(names.SERVER) not in gone
    }
    return sorted(made | kept)


def _of_servers(observed: Observed, components: Sequence[Wanted]) -> list[Object]:
    found: list[Object] = []
    for item in components:
        live = observed.children.get(("Deployment", item.name))
        scaled = autoscaler(item)
        made = (
            config_map(item),
            lease(item),
            deployment(item, live),
            disruption_budget(item),
            scaled,
        )
        found += [_stamped(child, is_scaled=scaled is not None) for child in made if child]
    return found


def _unwanted(
    observed: Observed, desired: Sequence[Object], components: Sequence[Wanted], gone: Sequence[str]
) -> list[Key]:
    """Return what is there but should not be: of servers that have gone, or of a former wish."""
    wanted = {key_of(item) for item in desired}
    settled = {item.server.name for item in components} | set(gone)
    return [
        key
        for key, item in observed.children.items()
        if key not in wanted and _is_settled(item, settled)
    ]


def _is_settled(item: Object, settled: set[str]) -> bool:
    """Return whether it is known what becomes of an object's server; shared objects have none."""
    server = names.labels_of(item).get(names.SERVER)
    if server is None:
        # Accounts stay as long as there is a resource; access goes with the last Lease.
        return item["kind"] in {"Role", "RoleBinding", "PodMonitor"}
    return server in settled


def key_of(item: Object) -> Key:
    """Return what an object is known by in its namespace."""
    return item["kind"], item["metadata"]["name"]


# Whether something has to be applied


def _stamped(item: Object, *, is_scaled: bool) -> Object:
    """Return an object with a fingerprint of itself, which tells it from a former wish."""
    wish = {**item, "metadata": {**item["metadata"], "resourceVersion": ""}}
    if item["kind"] == "Deployment" and is_scaled:
        wish["spec"] = {**item["spec"], "replicas": None}  # The autoscaler's.
    stamp = names.digest(json.dumps(wish, sort_keys=True))
    annotations = {**item["metadata"].get("annotations", {}), names.APPLIED: stamp}
    return {**item, "metadata": {**item["metadata"], "annotations": annotations}}


def is_current(children: Mapping[Key, Object], desired: Object) -> bool:
    """Return whether the cluster has all of an object's fields already."""
    live = children.get(key_of(desired))
    return live is not None and _covers(live, desired)


def _covers(live: Any, desired: Any) -> bool:
    if live is None and desired in ({}, [], ""):
        return True  # The API server leaves out what is empty.
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(
            _covers(live.get(name), value) for name, value in desired.items()
        )
    if isinstance(desired, list):
        return (
            isinstance(live, list)
            and len(live) == len(desired)
            and all(_covers(a, b) for a, b in zip(live, desired, strict=True))
        )
    return bool(live == desired)
