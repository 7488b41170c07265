"""The conditions of the whole resource. Sans-I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from ari_proxy.operator.decide.drain import dialog_queries, draining_servers
from ari_proxy.operator.decide.refusals import Refusal
from ari_proxy.operator.decide.rollout import Rollout
from ari_proxy.operator.decide.servers import desired_servers
from ari_proxy.operator.objects import ObjectKey
from ari_proxy.operator.state import Observed

from .conditions import Condition, condition
from .server_state import ServerState, named

#: Refusals of the spec.
_INVALID: Final = frozenset({"PodTemplateInvalid", "ServersNotShareable"})
#: Refusals that pass by themselves, or matter little.
_PASSING: Final = frozenset({"AwaitingDrain", "KindMissing"})


def conditions(
    observed: Observed,
    found: Sequence[ServerState],
    failures: Mapping[ObjectKey, Refusal],
    withheld: Sequence[ObjectKey],
    rollout: Rollout,
) -> list[Condition]:
    """Return all conditions of a resource, given the states of its servers."""
    accepted, progressing = _accepted(observed, failures), _progressing(found, observed, rollout)
    stalled = _stalled(found, failures, accepted)
    return [
        accepted,
        progressing,
        _ready(found, failures, observed),
        _degraded(found, failures),
        _suspended(observed, withheld),
        stalled,
        _reconciling(progressing, stalled),
    ]


def _accepted(observed: Observed, failures: Mapping[ObjectKey, Refusal]) -> Condition:
    for refusal in failures.values():
        if refusal.reason in _INVALID:
            return condition("Accepted", False, *refusal)
    server_ids = [server.server_id for server in desired_servers(observed)]
    taken = [server_id for server_id in server_ids if server_id in observed.rivals]
    if not taken:
        return condition("Accepted", True, "Valid", "the spec is valid")
    rivals = ", ".join(f"{server_id} by {observed.rivals[server_id]}" for server_id in taken)
    message = f"already served on this bus: {rivals}"
    return condition("Accepted", False, "ServerIdConflict", message)


def _progressing(found: Sequence[ServerState], observed: Observed, rollout: Rollout) -> Condition:
    if (halted := _halted(found, rollout)) is not None:
        return halted
    unsettled = [server.name for server in found if not server.is_settled]
    draining = sorted({server.name for server in draining_servers(observed)})
    if not unsettled and not draining:
        return condition(
            "Progressing", False, "Settled", "all Deployments are up to date and ready"
        )
    if not unsettled:
        message = f"draining until the dialogs end: {', '.join(draining)}{_unreported(observed)}"
        return condition("Progressing", True, "Draining", message)
    message = f"rolling out: {', '.join(unsettled)}"
    if rollout.waiting:
        message += f"; then {_in(found, rollout.waiting)}"
    reason, details = _stuck(found) or ("RollingOut", "")
    return condition("Progressing", True, reason, f"{message}; {details}" if details else message)


def _halted(found: Sequence[ServerState], rollout: Rollout) -> Condition | None:
    """Return why no server is rolled out now, though some wait; None if any is."""
    if rollout.waiting and rollout.failed:
        return condition("Progressing", False, "RolloutStopped", _stopped(found, rollout))
    if rollout.is_queued and not rollout.rolling:
        message = f"waiting for the roll-outs of other resources: {_in(found, rollout.waiting)}"
        return condition("Progressing", True, "RolloutQueued", message)
    if rollout.waiting and rollout.unready and not rollout.rolling:
        return condition("Progressing", False, "RolloutStopped", _held_back(found, rollout))
    return None


def _stopped(found: Sequence[ServerState], rollout: Rollout) -> str:
    """Return which server has stopped a roll-out, why, and what makes it go on."""
    problems = [
        stuck[1] for server in found if server.slot in rollout.failed and (stuck := server.stuck)
    ]
    return (
        f"the new pods of {_in(found, rollout.failed)} do not become ready: {'; '.join(problems)}; "
        f"{_in(found, rollout.waiting)} keep the former ones until they do, or the spec is changed"
    )


def _held_back(found: Sequence[ServerState], rollout: Rollout) -> str:
    """Return which servers hold back others since they are not served any more, and why."""
    problems = [
        f"{server.name}: {problem.message}"
        for server in found
        if server.slot in rollout.unready and (problem := server.problem)
    ]
    return (
        f"{_in(found, rollout.unready)} with the new pods are not served any more: "
        f"{'; '.join(problems)}; {_in(found, rollout.waiting)} keep the former ones until they "
        "are, or the spec is changed"
    )


def _in(found: Sequence[ServerState], slots: Sequence[str]) -> str:
    """Return the names of the servers in some slots."""
    return ", ".join(server.name for server in found if server.slot in slots)


def _stuck(found: Sequence[ServerState]) -> tuple[str, str] | None:
    """Return why roll-outs do not go on by themselves: the first reason, and all messages."""
    stuck = [server.stuck for server in found if server.stuck is not None]
    return (stuck[0][0], "; ".join(message for _, message in stuck)) if stuck else None


def _unreported(observed: Observed) -> str:
    """Return which pods do not report their open dialogs, and why."""
    reasons = {item.pod: item.reason for item in observed.query_failures if item.query == "dialogs"}
    draining = draining_servers(observed)
    ingests = (pod for server in draining for pod in dialog_queries(observed, server.deployed))
    return "".join(
        f"; {pod} does not report its open dialogs: {reasons.get(pod, 'it has not started yet')}"
        for pod in ingests
        if pod not in observed.dialogs
    )


def _ready(
    found: Sequence[ServerState], failures: Mapping[ObjectKey, Refusal], observed: Observed
) -> Condition:
    if not found:
        return _without_servers(observed)
    for server in found:
        if (problem := server.problem) is not None:
            message = f"{server.name}: {problem.message}"
            return condition("Ready", False, problem.reason, message)
    for key, refusal in failures.items():
        if refusal.reason != "KindMissing":
            return condition("Ready", False, *named(key, refusal))
    return condition("Ready", True, "AllServersReady", "all servers are served")


def _without_servers(observed: Observed) -> Condition:
    if observed.proxy.metadata.deletion_timestamp:
        message = "the resource was deleted; it stays until its dialogs are over"
        return condition("Ready", False, "Deleting", message)
    selector = observed.proxy.spec.server_selector
    match_labels = selector.match_labels if selector else {}
    labels = ",".join(f"{name}={value}" for name, value in match_labels.items())
    return condition("Ready", False, "NoServersFound", f"no ready pod has the labels {labels}")


def _degraded(found: Sequence[ServerState], failures: Mapping[ObjectKey, Refusal]) -> Condition:
    """Return whether calls are served, but something is missing: a server, a replica, a kind."""
    missing = [named(*item) for item in failures.items() if item[1].reason == "KindMissing"]
    reason, message = _impaired(found) or next(iter(missing), ("", ""))
    if reason:
        return condition("Degraded", True, reason, message)
    return condition(
        "Degraded", False, "NotDegraded", "no server is impaired, or no server is served"
    )


def _impaired(found: Sequence[ServerState]) -> tuple[str, str] | None:
    """Return reason and message if a server, a replica or a new version is missing."""
    impaired = [server.name for server in found if server.is_impaired]
    if not impaired or not any(server.is_ready for server in found):
        return None
    message = f"impaired: {', '.join(impaired)}"
    reason, details = _stuck(found) or ("ServersImpaired", "")
    return reason, f"{message}; {details}" if details else message


def _stalled(
    found: Sequence[ServerState], failures: Mapping[ObjectKey, Refusal], accepted: Condition
) -> Condition:
    """Return whether somebody has to do something before the state can become the desired one.

    kstatus (sigs.k8s.io/cli-utils) takes that for a failure, and `Reconciling` for progress.
    """
    refused = [named(*item) for item in failures.items() if item[1].reason not in _PASSING]
    problems = [
        *([(accepted.reason, accepted.message)] if accepted.status == "False" else []),
        *refused,
        *(item for server in found for item in server.lacking),
    ]
    reason, message = next(iter(problems), None) or _stuck(found) or ("", "")
    if reason:
        return condition("Stalled", True, reason, message)
    return condition("Stalled", False, "NotStalled", "nothing that does not mend itself")


def _reconciling(progressing: Condition, stalled: Condition) -> Condition:
    """Return whether the state becomes the desired one by itself; what is stalled does not."""
    if stalled.status == "True":
        return condition("Reconciling", False, "Stalled", "it does not go on by itself")
    return replace(progressing, type="Reconciling")


def _suspended(observed: Observed, withheld: Sequence[ObjectKey]) -> Condition:
    if not observed.proxy.spec.suspend:
        return condition("Suspended", False, "Active", "the operator applies changes")
    message = "spec.suspend is set: the operator changes nothing"
    if withheld:
        different = ", ".join(f"{kind} {name}" for kind, name in withheld)
        message += f"; different from the spec: {different}"
    return condition("Suspended", True, "Suspended", message)
