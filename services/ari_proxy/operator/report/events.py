"""Kubernetes Events of a resource: one when a condition changes, none otherwise. Sans-I/O.

kubernetes/enhancements, KEP-383: `reason` is for machines, `note` for people.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ari_proxy.operator.model import GROUP, KIND, VERSION, Metadata
from ari_proxy.operator.names import MANAGER
from ari_proxy.operator.objects import Object
from ari_proxy.protocol import ids

#: Conditions with Events, and the status of each that is normal.
_NORMAL: Final = {"Accepted": "True", "Ready": "True", "Degraded": "False", "Suspended": "False"}
#: Reasons that every start passes through.
_TRANSIENT: Final = frozenset({"NotCreated", "Starting"})
_NOTE_LENGTH: Final = 1024


def changed(
    former: Sequence[Mapping[str, Any]], current: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the current conditions that deserve an Event: status or reason has changed."""
    before = {item["type"]: (item["status"], item["reason"]) for item in former}
    return [
        item
        for item in current
        if item["type"] in _NORMAL
        and item["reason"] not in _TRANSIENT
        and (item["status"], item["reason"]) != before.get(item["type"])
        # A new resource reports problems, and when it becomes ready.
        and (item["type"] in before or item["type"] == "Ready" or _is_warning(item))
    ]


def event(
    metadata: Metadata,
    condition: Mapping[str, Any],
    now: datetime,
    random: Callable[[int], str] = ids.random_id,
) -> Object:
    """Return an Event (events.k8s.io/v1) for a changed condition."""
    regarding = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "name": metadata.name,
        "namespace": metadata.namespace,
        "uid": metadata.uid,
    }
    return {
        **_about(regarding, now, random),
        "type": "Warning" if _is_warning(condition) else "Normal",
        "reason": condition["reason"],
        "action": "Reconcile",
        "note": f"{condition['type']}={condition['status']}: {condition['message']}"[:_NOTE_LENGTH],
    }


def of_lease(
    lease: Object, note: str, now: datetime, random: Callable[[int], str] = ids.random_id
) -> Object:
    """Return an Event of the Lease of another release of the operator."""
    metadata = lease["metadata"]
    regarding = {
        "apiVersion": lease["apiVersion"],
        "kind": lease["kind"],
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata.get("uid", ""),
    }
    return {
        **_about(regarding, now, random),
        "type": "Warning",
        "reason": "AnotherOperatorLeads",
        "action": "Wait",
        "note": note[:_NOTE_LENGTH],
    }


def _about(regarding: Object, now: datetime, random: Callable[[int], str]) -> Object:
    name = f"{regarding['name']}.{random(12).lower()}"
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": regarding["namespace"]},
        "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "reportingController": f"{GROUP}/{MANAGER}",
        "reportingInstance": MANAGER,
        "regarding": regarding,
    }


def _is_warning(condition: Mapping[str, Any]) -> bool:
    return bool(condition["status"] != _NORMAL[condition["type"]])
