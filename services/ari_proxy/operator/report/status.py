"""The status of a resource: what is, server by server, and in one word. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ari_proxy.operator import names
from ari_proxy.operator.decide.servers import WantedServer
from ari_proxy.operator.names import Component
from ari_proxy.operator.observe.state import Key, Observed

from .conditions import Condition, condition, merge, timestamp
from .workload_health import Health, health

_WAITS = "waits for its dialogs to end"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """One server as it is."""

    name: str
    server_id: str
    ingest: Health
    command: Health
    conditions: tuple[Condition, ...]

    @property
    def is_ready(self) -> bool:
        return all(item.status == "True" for item in self.conditions)

    @property
    def is_settled(self) -> bool:
        return self.ingest.is_settled and self.command.is_settled

    @property
    def objection(self) -> Condition | None:
        return next((item for item in self.conditions if item.status != "True"), None)


def status(observed: Observed, failures: Mapping[Key, str]) -> dict[str, Any]:
    """Return the resource's status.

    Args:
        observed: after everything has been applied.
        failures: what the API server said of objects that it did not take.
    """
    found = [_server(observed, server, failures) for server in observed.wanted]
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
        "servers": [*(_entry(observed, item) for item in found), *_leaving(observed)],
    }


# One server


def _server(observed: Observed, server: WantedServer, failures: Mapping[Key, str]) -> _Server:
    ingest = health(observed, server.name, "ingest")
    command = health(observed, server.name, "command")
    return _Server(
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


def _unique(observed: Observed, server: WantedServer) -> Condition:
    rival = observed.rivals.get(server.server_id)
    if rival is None:
        return condition("ServerIdUnique", True, "Unique", "no other resource has this server_id")
    message = f"{rival} serves the server_id {server.server_id} on this bus; choose another one"
    return condition("ServerIdUnique", False, "ServerIdConflict", message)


def _secrets(observed: Observed, server: WantedServer) -> Condition:
    missing = observed.missing(server)
    if missing is None:
        return condition("SecretsResolved", True, "Found", "all Secrets are there")
    return condition("SecretsResolved", False, *missing)


def _failure(
    observed: Observed, server: WantedServer, component: Component, failures: Mapping[Key, str]
) -> str:
    """Return what the API server said of an object of this component that it did not take."""
    own = names.workload(observed.proxy.metadata.name, component, server.name)
    said = (f"{kind} {name}: {text}" for (kind, name), text in failures.items() if name == own)
    return next(said, "")


def _serving(kind: str, found: Health, failure: str) -> Condition:
    if failure:
        return condition(kind, found.is_serving, "ApplyFailed", failure)
    if found.is_serving:
        return condition(kind, True, "Serving", f"{found.ready} of {found.replicas} pods are ready")
    return condition(kind, False, found.reason, found.message)


def _entry(observed: Observed, server: _Server) -> dict[str, Any]:
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


def _leaving(observed: Observed) -> list[dict[str, Any]]:
    return [
        {
            "name": leaving.name,
            "drainingSince": timestamp(leaving.since),
            "ingest": health(observed, leaving.name, "ingest").entry(),
            "command": health(observed, leaving.name, "command").entry(),
        }
        for leaving in observed.leaving
    ]


# The whole resource


def _accepted(observed: Observed) -> Condition:
    taken = [server.server_id for server in observed.wanted if server.server_id in observed.rivals]
    if not taken:
        return condition("Accepted", True, "Valid", "the spec is valid")
    rivals = ", ".join(f"{name} by {observed.rivals[name]}" for name in taken)
    return condition("Accepted", False, "ServerIdConflict", f"served already: {rivals}")


def _progressing(found: Sequence[_Server], observed: Observed) -> Condition:
    moving = [server.name for server in found if not server.is_settled]
    leaving = [item.name for item in observed.leaving]
    if not moving and not leaving:
        return condition("Progressing", False, "Settled", "everything is as it should be")
    if not moving:
        message = f"{', '.join(leaving)} {_WAITS}{_untold(observed)}"
        return condition("Progressing", True, "Draining", message)
    return condition("Progressing", True, "RollingOut", f"not settled: {', '.join(moving)}")


def _untold(observed: Observed) -> str:
    """Return which pods do not tell how many dialogs they have."""
    reasons = {
        silence.pod: silence.reason for silence in observed.silences if silence.asked == "dialogs"
    }
    ingests = (pod for leaving in observed.leaving for pod in observed.ingests_of(leaving.name))
    return "".join(
        f"; {pod} does not tell how many it has: {reasons.get(pod, 'it has not started yet')}"
        for pod in ingests
        if pod not in observed.dialogs
    )


def _ready(found: Sequence[_Server], failures: Mapping[Key, str], observed: Observed) -> Condition:
    if not found:
        wanted = observed.proxy.spec.server_selector
        labels = ",".join(f"{k}={v}" for k, v in (wanted.match_labels if wanted else {}).items())
        return condition("Ready", False, "NoServersFound", f"no ready pod has the labels {labels}")
    for server in found:
        if (objection := server.objection) is not None:
            message = f"{server.name}: {objection.message}"
            return condition("Ready", False, objection.reason, message)
    for (kind, name), message in failures.items():
        return condition("Ready", False, "ApplyFailed", f"{kind} {name}: {message}")
    return condition("Ready", True, "AllServersReady", "every server is served")


def _degraded(found: Sequence[_Server]) -> Condition:
    """Tell that calls are served, but not as they should be."""
    serving = [server for server in found if server.is_ready]
    short = [item.name for item in found if not item.is_settled or not item.is_ready]
    if serving and short:
        return condition("Degraded", True, "ServersImpaired", f"impaired: {', '.join(short)}")
    return condition("Degraded", False, "NotDegraded", "no server is impaired, or none is served")


def _suspended(observed: Observed) -> Condition:
    if observed.proxy.spec.suspend:
        return condition("Suspended", True, "Suspended", "spec.suspend is set: nothing is changed")
    return condition("Suspended", False, "Active", "changes are applied")
