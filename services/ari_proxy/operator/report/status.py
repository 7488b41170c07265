"""The status of a resource: conditions, and an entry for each server. Sans-I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ari_proxy.operator import names
from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.drain import draining_servers
from ari_proxy.operator.decide.servers import DesiredServer, desired_servers
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import ObjectKey
from ari_proxy.operator.state import Observed

from .conditions import Condition, condition, merge, timestamp
from .workload_health import WorkloadHealth, health


@dataclass(frozen=True, slots=True, kw_only=True)
class _ServerState:
    """The state of one server."""

    name: str
    server_id: str
    ingest: WorkloadHealth
    command: WorkloadHealth
    conditions: tuple[Condition, ...]

    @property
    def is_ready(self) -> bool:
        return all(item.status == "True" for item in self.conditions)

    @property
    def is_settled(self) -> bool:
        return self.ingest.is_settled and self.command.is_settled

    @property
    def problem(self) -> Condition | None:
        return next((item for item in self.conditions if item.status != "True"), None)


def status(observed: Observed, failures: Mapping[ObjectKey, str]) -> dict[str, Any]:
    """Return the resource's status.

    Args:
        observed: the state after all changes.
        failures: the API server's messages by object that it refused.
    """
    found = [_server(observed, server, failures) for server in desired_servers(observed)]
    proxy = observed.proxy
    conditions = [
        _accepted(observed),
        _progressing(found, observed),
        _ready(found, failures, observed),
        _degraded(found),
        _suspended(observed),
    ]
    return {
        "observedGeneration": proxy.metadata.generation,
        "serverCount": len(found),
        "readyServerCount": sum(server.is_ready for server in found),
        "conditions": merge(
            proxy.status.get("conditions") or (),
            conditions,
            generation=proxy.metadata.generation,
            now=observed.now,
        ),
        "servers": [*(_entry(observed, item) for item in found), *_draining(observed)],
    }


# One server


def _server(
    observed: Observed, server: DesiredServer, failures: Mapping[ObjectKey, str]
) -> _ServerState:
    ingest = health(observed, server.name, "ingest")
    command = health(observed, server.name, "command")
    return _ServerState(
        name=server.name,
        server_id=server.server_id,
        ingest=ingest,
        command=command,
        conditions=(
            _unique(observed, server),
            _secrets(observed, server),
            _serving("IngestReady", ingest, _failure(observed, server, "ingest", failures)),
            _serving("CommandReady", command, _failure(observed, server, "command", failures)),
        ),
    )


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
    component: Component,
    failures: Mapping[ObjectKey, str],
) -> str:
    """Return the API server's message if it refused an object of this component."""
    own = names.workload(observed.proxy.metadata.name, component, server.name)
    refused = (f"{kind} {name}: {text}" for (kind, name), text in failures.items() if name == own)
    return next(refused, "")


def _serving(kind: str, found: WorkloadHealth, failure: str) -> Condition:
    if failure:
        return condition(kind, found.is_serving, "ApplyFailed", failure)
    if found.is_serving:
        return condition(kind, True, "Serving", f"{found.ready} of {found.replicas} pods are ready")
    return condition(kind, False, found.reason, found.message)


def _entry(observed: Observed, server: _ServerState) -> dict[str, Any]:
    former = _former(observed, server.name)
    return {
        "name": server.name,
        "serverId": server.server_id,
        "ingest": server.ingest.entry(),
        "command": server.command.entry(),
        "conditions": merge(
            former.get("conditions") or (),
            server.conditions,
            generation=observed.proxy.metadata.generation,
            now=observed.now,
        ),
    }


def _former(observed: Observed, name: str) -> Mapping[str, Any]:
    servers = observed.proxy.status.get("servers") or ()
    return next((item for item in servers if item["name"] == name), {})


def _draining(observed: Observed) -> list[dict[str, Any]]:
    return [
        {
            "name": server.name,
            "drainingSince": timestamp(server.since),
            "ingest": health(observed, server.name, "ingest").entry(),
            "command": health(observed, server.name, "command").entry(),
        }
        for server in draining_servers(observed)
    ]


# The whole resource


def _accepted(observed: Observed) -> Condition:
    server_ids = [server.server_id for server in desired_servers(observed)]
    taken = [server_id for server_id in server_ids if server_id in observed.rivals]
    if not taken:
        return condition("Accepted", True, "Valid", "the spec is valid")
    rivals = ", ".join(f"{server_id} by {observed.rivals[server_id]}" for server_id in taken)
    message = f"already served on this bus: {rivals}"
    return condition("Accepted", False, "ServerIdConflict", message)


def _progressing(found: Sequence[_ServerState], observed: Observed) -> Condition:
    unsettled = [server.name for server in found if not server.is_settled]
    draining = [server.name for server in draining_servers(observed)]
    if not unsettled and not draining:
        return condition(
            "Progressing", False, "Settled", "all Deployments are up to date and ready"
        )
    if not unsettled:
        message = f"draining until the dialogs end: {', '.join(draining)}{_unreported(observed)}"
        return condition("Progressing", True, "Draining", message)
    return condition("Progressing", True, "RollingOut", f"rolling out: {', '.join(unsettled)}")


def _unreported(observed: Observed) -> str:
    """Return which pods do not report their open dialogs, and why."""
    reasons = {item.pod: item.reason for item in observed.query_failures if item.query == "dialogs"}
    draining = draining_servers(observed)
    ingests = (pod for server in draining for pod in observed.ingests_of(server.name))
    return "".join(
        f"; {pod} does not report its open dialogs: {reasons.get(pod, 'it has not started yet')}"
        for pod in ingests
        if pod not in observed.dialogs
    )


def _ready(
    found: Sequence[_ServerState], failures: Mapping[ObjectKey, str], observed: Observed
) -> Condition:
    if not found:
        selector = observed.proxy.spec.server_selector
        match_labels = selector.match_labels if selector else {}
        labels = ",".join(f"{name}={value}" for name, value in match_labels.items())
        return condition("Ready", False, "NoServersFound", f"no ready pod has the labels {labels}")
    for server in found:
        if (problem := server.problem) is not None:
            message = f"{server.name}: {problem.message}"
            return condition("Ready", False, problem.reason, message)
    for (kind, name), message in failures.items():
        return condition("Ready", False, "ApplyFailed", f"{kind} {name}: {message}")
    return condition("Ready", True, "AllServersReady", "all servers are served")


def _degraded(found: Sequence[_ServerState]) -> Condition:
    """Return whether calls are served, but a server or a replica is missing."""
    serving = [server for server in found if server.is_ready]
    short = [item.name for item in found if not item.is_settled or not item.is_ready]
    if serving and short:
        return condition("Degraded", True, "ServersImpaired", f"impaired: {', '.join(short)}")
    return condition(
        "Degraded", False, "NotDegraded", "no server is impaired, or no server is served"
    )


def _suspended(observed: Observed) -> Condition:
    if observed.proxy.spec.suspend:
        return condition(
            "Suspended", True, "Suspended", "spec.suspend is set: the operator changes nothing"
        )
    return condition("Suspended", False, "Active", "the operator applies changes")
