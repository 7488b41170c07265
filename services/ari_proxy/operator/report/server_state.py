"""The state of one server, and its conditions. Sans-I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from ari_proxy.operator import names
from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.refusals import Refusal
from ari_proxy.operator.decide.servers import DesiredServer, desired_servers
from ari_proxy.operator.decide.slots import assigned, moving_servers
from ari_proxy.operator.decide.workload_health import WorkloadHealth, health
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import ObjectKey
from ari_proxy.operator.state import Deployed, Observed

from .conditions import Condition, condition


class Place(NamedTuple):
    """Where a server is served."""

    slot: str
    #: Its former slot, while it moves.
    former: Deployed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """The state of one server."""

    name: str
    server_id: str
    slot: str
    ingest: WorkloadHealth
    command: WorkloadHealth
    conditions: tuple[Condition, ...]

    @property
    def is_ready(self) -> bool:
        """True if the server is served, and nothing hinders a change."""
        return all(item.status == "True" for item in self.conditions)

    @property
    def is_settled(self) -> bool:
        """True if all pods are ready and of the newest template."""
        return self.ingest.is_settled and self.command.is_settled

    @property
    def is_impaired(self) -> bool:
        """True if it is not served, lacks a pod, or its roll-out is stuck."""
        return not self.is_ready or any(
            item.is_stuck or item.ready < item.replicas for item in (self.ingest, self.command)
        )

    @property
    def problem(self) -> Condition | None:
        """The first condition that does not hold."""
        return next((item for item in self.conditions if item.status != "True"), None)

    @property
    def lacking(self) -> list[tuple[str, str]]:
        """Reasons and messages of what somebody has to provide: a Secret, another server_id."""
        return [
            (item.reason, f"{self.name}: {item.message}")
            for item in self.conditions
            if item.type in {"ServerIdUnique", "SecretsResolved"} and item.status == "False"
        ]

    @property
    def stuck(self) -> tuple[str, str] | None:
        """Reason and message of a roll-out that does not go on by itself, or None."""
        for component, found in (("ingest", self.ingest), ("command", self.command)):
            if found.is_stuck:
                return found.reason, f"{self.name}: {component}: {found.message}"
        return None


def server_states(observed: Observed, failures: Mapping[ObjectKey, Refusal]) -> list[ServerState]:
    """Return the states of the desired servers; the arguments are those of `server_state`."""
    places = assigned(observed)
    former = {item.server: item for item in moving_servers(observed, places)}
    return [
        server_state(
            observed, server, Place(places[server.name], former.get(server.name)), failures
        )
        for server in desired_servers(observed)
    ]


def server_state(
    observed: Observed,
    server: DesiredServer,
    place: Place,
    failures: Mapping[ObjectKey, Refusal],
) -> ServerState:
    """Return the state of a server.

    Args:
        observed: the state after all changes.
        server: the server.
        place: where it is served.
        failures: why objects were not applied.
    """
    ingest = _health(observed, server, place, "ingest")
    command = _health(observed, server, place, "command")
    return ServerState(
        name=server.name,
        server_id=server.server_id,
        slot=place.slot,
        ingest=ingest,
        command=command,
        conditions=(
            _unique(observed, server),
            _secrets(observed, server),
            _serving("IngestReady", ingest, _failure(observed, server, place, "ingest", failures)),
            _serving(
                "CommandReady", command, _failure(observed, server, place, "command", failures)
            ),
        ),
    )


def _health(
    observed: Observed, server: DesiredServer, place: Place, component: Component
) -> WorkloadHealth:
    """Return the health of a server's component: in its former slot until the new one serves it."""
    is_shared = observed.proxy.spec.pods == "Shared"
    found = health(observed, place.slot, component, server.server_id if is_shared else "")
    if place.former is None or found.is_serving:
        return found
    former = health(observed, place.former.slot, component, place.former.server_id)
    return replace(former, is_settled=False) if former.is_serving else found


def _unique(observed: Observed, server: DesiredServer) -> Condition:
    rival = observed.rivals.get(server.server_id)
    if rival is None:
        return condition(
            "ServerIdUnique", True, "Unique", "no other resource serves this server_id"
        )
    message = f"{rival} already serves server_id {server.server_id} on this bus; choose another"
    return condition("ServerIdUnique", False, "ServerIdConflict", message)


def _secrets(observed: Observed, server: DesiredServer) -> Condition:
    missing = secrets.missing(observed, server)
    if missing is None:
        return condition("SecretsResolved", True, "Found", "all referenced Secrets exist")
    return condition("SecretsResolved", False, *missing)


def _failure(
    observed: Observed,
    server: DesiredServer,
    place: Place,
    component: Component,
    failures: Mapping[ObjectKey, Refusal],
) -> Refusal | None:
    """Return why an object of this component, or one that its servers share, was not applied."""
    proxy = observed.proxy.metadata.name
    workloads = {names.workload(proxy, component, name) for name in (place.slot, server.name)}
    own = workloads | {names.account(proxy, component)}
    return next((named(key, item) for key, item in failures.items() if key.name in own), None)


def named(key: ObjectKey, refusal: Refusal) -> Refusal:
    """Return a refusal whose message names the object."""
    return refusal._replace(message=f"{key.kind} {key.name}: {refusal.message}")


def _serving(kind: str, found: WorkloadHealth, failure: Refusal | None) -> Condition:
    if failure is not None:
        return condition(kind, found.is_serving, *failure)
    if found.is_serving:
        message = f"{found.ready} of {found.replicas} pods are ready"
        stuck = f"; {found.message}" if found.is_stuck else ""
        return condition(kind, True, "Serving", message + stuck)
    return condition(kind, False, found.reason, found.message)
