"""Which servers have an ingest and a command Deployment together: a slot. Sans-I/O.

A slot of `spec.pods: PerServer` has the name of its server, a shared one a number. A server that
changes its slot stays in the former one until the new one serves it. Without a Lease the former one
is left as it is until then: its new pods would take the dialogs back.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ari_proxy.operator import names
from ari_proxy.operator.names import COMPONENTS, Component
from ari_proxy.operator.objects import annotations_of, is_ready, is_rolled_out
from ari_proxy.operator.state import Deployed, Observed, query_name

from .placement import placed
from .servers import DesiredServer, desired_servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What is served by the same pods."""

    name: str
    is_shared: bool = False
    #: Servers that get the settings of the spec.
    servers: tuple[DesiredServer, ...] = ()
    #: Servers that keep their settings: they drain, or lack something.
    kept: tuple[Deployed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """The slots to apply, and what is left as it is."""

    slots: tuple[Slot, ...]
    #: Slots and servers whose objects are neither changed nor deleted.
    untouched_slots: frozenset[str]
    untouched_servers: frozenset[str]


def assigned(observed: Observed) -> dict[str, str]:
    """Return the slot of each desired server."""
    spec = observed.proxy.spec
    wanted = [server.name for server in desired_servers(observed)]
    if spec.pods == "PerServer":
        return {name: name for name in wanted}
    renamed = _renamed(observed)
    draining = [
        int(item.slot)
        for item in observed.deployed
        if item.server_id and item.server not in {*wanted, *renamed}
    ]
    former = _former(observed)
    former |= {name: former[other] for other, name in renamed.items() if other in former}
    found = placed(wanted, former, spec.servers_per_pod, draining)
    return {name: str(slot) for name, slot in found.items()}


def _renamed(observed: Observed) -> dict[str, str]:
    """Return the new names of servers that drain under a former one: they have its place."""
    servers = desired_servers(observed)
    new = {
        server.server_id: server.name
        for server in servers
        if server.name not in observed.deployed_servers
    }
    wanted = {server.name for server in servers}
    return {
        item.server: new[item.server_id]
        for item in observed.deployed
        if item.server not in wanted and item.server_id in new
    }


def _former(observed: Observed) -> dict[str, int]:
    """Return the shared slots of servers until now: those deployed, or what the status says."""
    deployed = {item.server: item.slot for item in observed.deployed if item.server_id}
    recorded = {
        item["name"]: item.get("slot", "") for item in observed.proxy.status.get("servers") or ()
    }
    found = {**deployed, **{name: slot for name, slot in recorded.items() if slot}}
    return {name: int(slot) for name, slot in found.items() if slot.isdecimal()}


def moving_servers(observed: Observed, places: Mapping[str, str]) -> list[Deployed]:
    """Return the servers that have another slot now, as they are in their former one.

    Args:
        observed: the state of the cluster.
        places: the slot of each desired server.
    """
    return [item for item in observed.deployed if places.get(item.server, item.slot) != item.slot]


def held_back(observed: Observed, places: Mapping[str, str]) -> list[Deployed]:
    """Return the moving servers that have to stay in their former slots for now."""
    server_ids = {server.name: server.server_id for server in desired_servers(observed)}
    return [
        item
        for item in moving_servers(observed, places)
        if not _is_let_go(observed, item)
        or not all(
            _serves(observed, places[item.server], component, server_ids[item.server])
            for component in COMPONENTS
        )
    ]


def _is_let_go(observed: Observed, moving: Deployed) -> bool:
    """Return whether a server's former ingest has handed its dialogs over, or will as it stops.

    Without a Lease the new one takes them as soon as it runs. An ingest that does not answer has
    nothing to hand over.
    """
    if has_lease(observed, moving.slot):
        return True
    queries = (query_name(pod, moving.server_id) for pod in observed.ingests_of(moving.slot))
    return not any(observed.dialogs.get(query) for query in queries)


def has_lease(observed: Observed, slot: str) -> bool:
    """Return whether Leases decide which of a slot's ingests is active."""
    live = observed.deployment(slot, "ingest")
    return live is not None and annotations_of(live["spec"]["template"]).get(names.LEASE) == "true"


def _serves(observed: Observed, slot: str, component: Component, server_id: str) -> bool:
    live = observed.deployment(slot, component)
    if live is None or not is_rolled_out(live):
        return False
    if observed.proxy.spec.pods == "PerServer" or live["spec"]["replicas"] == 0:
        return True
    answers = [
        observed.server_checks.get(pod["metadata"]["name"], {}).get(server_id)
        for pod in observed.pods_of(slot, component)
        if is_ready(pod)
    ]
    return "" in answers


def arrangement(
    observed: Observed,
    places: Mapping[str, str],
    changeable: Sequence[DesiredServer],
    held: Collection[Deployed],
    refused: Collection[str] = (),
) -> Arrangement:
    """Return what each slot has.

    Args:
        observed: the state of the cluster.
        places: the slot of each desired server.
        changeable: the desired servers that have all that new pods would need.
        held: servers that drain, or that their new slot does not serve yet.
        refused: slots that can't be applied.
    """
    found = {server.name for server in changeable}
    kept = _kept(observed, places, changeable, held)
    left = {
        item.slot
        for item in held
        if places.get(item.server, item.slot) != item.slot and not has_lease(observed, item.slot)
    }
    untouched = {*left, *refused}
    lacking = places.keys() - found
    if observed.proxy.spec.pods == "PerServer":
        untouched |= lacking
    untouched |= {item.slot for item in kept if not item.server_id}
    remaining = {
        item.server for item in observed.deployed if item in kept or item.slot in untouched
    }
    slots = _slots(observed, changeable, places, kept)
    return Arrangement(
        slots=tuple(slot for slot in slots if slot.name not in untouched),
        untouched_slots=frozenset(untouched),
        untouched_servers=frozenset(remaining | lacking),
    )


def without(observed: Observed, arranged: Arrangement, slots: Collection[str]) -> Arrangement:
    """Return the same with some slots left as they are."""
    remaining = {item.server for item in observed.deployed if item.slot in slots}
    return Arrangement(
        slots=tuple(slot for slot in arranged.slots if slot.name not in slots),
        untouched_slots=arranged.untouched_slots | set(slots),
        untouched_servers=arranged.untouched_servers | remaining,
    )


def _kept(
    observed: Observed,
    places: Mapping[str, str],
    changeable: Sequence[DesiredServer],
    held: Collection[Deployed],
) -> list[Deployed]:
    """Return the deployed servers that keep their settings.

    A process refuses two servers with one server_id: a new name takes the former one's place.
    """
    names_found = {server.name for server in changeable}
    taken = {(places[server.name], server.server_id) for server in changeable}
    return [
        item
        for item in observed.deployed
        if (item.slot, item.server_id) not in taken
        and (
            item in held
            or (places.get(item.server) == item.slot and item.server not in names_found)
        )
    ]


def _slots(
    observed: Observed,
    changeable: Sequence[DesiredServer],
    places: Mapping[str, str],
    kept: Sequence[Deployed],
) -> list[Slot]:
    sharing = [item for item in kept if item.server_id]
    is_shared = observed.proxy.spec.pods == "Shared"
    found = dict.fromkeys([*(places[server.name] for server in changeable)])
    found |= dict.fromkeys(item.slot for item in sharing)
    return [
        Slot(
            name=name,
            is_shared=is_shared or any(item.slot == name for item in sharing),
            servers=tuple(server for server in changeable if places[server.name] == name),
            kept=tuple(item for item in sharing if item.slot == name),
        )
        for name in found
    ]
