"""The status of a resource: conditions, and an entry for each server. Sans-I/O."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from ari_proxy.operator.decide.drain import draining_servers
from ari_proxy.operator.decide.refusals import Refusal
from ari_proxy.operator.decide.rollout import Rollout
from ari_proxy.operator.decide.workload_health import WorkloadHealth, health
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import ObjectKey
from ari_proxy.operator.state import Deployed, Observed

from . import summary
from .conditions import Condition, merge, timestamp
from .server_state import ServerState, server_states

#: Entries of servers, of some kilobytes each: the API server refuses a status with more (the CRD's
#: `maxItems`), and etcd an object of 1.5 MiB.
MAX_SERVERS: Final = 256
#: Conditions that a failed reconciliation changes, and their status then.
_FAILING: Final[Mapping[str, Literal["True", "False", "Unknown"]]] = {
    "Progressing": "Unknown",
    "Ready": "Unknown",
    "Stalled": "True",
    "Reconciling": "False",
}


def status(
    observed: Observed,
    failures: Mapping[ObjectKey, Refusal],
    withheld: Sequence[ObjectKey] = (),
    rollout: Rollout | None = None,
) -> dict[str, Any]:
    """Return the resource's status.

    Args:
        observed: the state after all changes.
        failures: why objects were not applied.
        withheld: objects that differ from the spec while it is suspended.
        rollout: which servers wait for a new pod template.
    """
    found = server_states(observed, failures)
    proxy = observed.proxy
    return {
        "observedGeneration": proxy.metadata.generation,
        "serverCount": len(found),
        "readyServerCount": sum(server.is_ready for server in found),
        "conditions": merge(
            proxy.status.get("conditions") or (),
            summary.conditions(observed, found, failures, withheld, rollout or Rollout()),
            generation=proxy.metadata.generation,
            now=observed.now,
        ),
        "servers": _servers(observed, found),
    }


def _servers(observed: Observed, found: Sequence[ServerState]) -> list[dict[str, Any]]:
    """Return the entries of as many servers as fit; those that drain first, by their start.

    The start of a drain is recorded nowhere else.
    """
    draining = sorted(_draining(observed), key=lambda entry: str(entry["drainingSince"]))
    draining = draining[:MAX_SERVERS]
    return [
        *(_entry(observed, item) for item in found[: MAX_SERVERS - len(draining)]),
        *draining,
    ]


def unreconciled(
    former: Mapping[str, Any], generation: int, error: BaseException, now: datetime
) -> dict[str, Any]:
    """Return the status of a resource whose reconciliation failed: what it was, and the error."""
    message = f"the operator can't reconcile this resource: {type(error).__name__}: {error}"
    failed = [
        Condition(kind, status, "ReconcileFailed", message) for kind, status in _FAILING.items()
    ]
    conditions = former.get("conditions") or ()
    return {
        **former,
        "observedGeneration": generation,
        "conditions": [
            *(item for item in conditions if item["type"] not in _FAILING),
            *merge(conditions, failed, generation=generation, now=now),
        ],
    }


def _entry(observed: Observed, server: ServerState) -> dict[str, Any]:
    former = _former(observed, server.name)
    return {
        "name": server.name,
        "serverId": server.server_id,
        **({"slot": server.slot} if observed.proxy.spec.pods == "Shared" else {}),
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
    # One that was moving is in two slots.
    found = {server.name: server for server in draining_servers(observed)}
    return [
        {
            "name": server.name,
            "drainingSince": timestamp(server.since),
            **_place(server.deployed),
            "ingest": _health(observed, server.deployed, "ingest").entry(),
            "command": _health(observed, server.deployed, "command").entry(),
        }
        for server in found.values()
    ]


def _place(server: Deployed) -> dict[str, str]:
    if not server.server_id:
        return {}
    return {"serverId": server.server_id, "slot": server.slot}


def _health(observed: Observed, server: Deployed, component: Component) -> WorkloadHealth:
    return health(observed, server.slot, component, server.server_id)
