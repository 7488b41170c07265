"""Events of a resource: told when its outcome changes, never because somebody looked again. Pure.

kubernetes/enhancements, KEP-383: `reason` says what has happened, `note` to people.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ari_proxy.operator.decide.children.wanted import Object
from ari_proxy.operator.model import GROUP, KIND, VERSION, AriProxy
from ari_proxy.operator.names import MANAGER
from ari_proxy.protocol import ids

#: By condition that is told of: the status that is good news.
_GOOD: Final = {"Accepted": "True", "Ready": "True", "Degraded": "False", "Suspended": "False"}
#: Reasons that pass by themselves in the ordinary course of things.
_PASSING: Final = frozenset({"NotCreated", "Starting"})
_NOTE_LENGTH: Final = 1024


def changed(
    former: Sequence[Mapping[str, Any]], current: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the conditions whose status or reason is another one now."""
    before = {item["type"]: (item["status"], item["reason"]) for item in former}
    return [
        item
        for item in current
        if item["type"] in _GOOD
        and item["reason"] not in _PASSING
        and (item["status"], item["reason"]) != before.get(item["type"])
        # That all is well needs no word where nothing was wrong.
        and (item["type"] in before or item["type"] == "Ready" or _is_bad(item))
    ]


def event(
    proxy: AriProxy,
    condition: Mapping[str, Any],
    now: datetime,
    random: Callable[[int], str] = ids.random_id,
) -> Object:
    """Return the Event that tells of a condition."""
    metadata = proxy.metadata
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata.name}.{random(12).lower()}",
            "namespace": metadata.namespace,
        },
        "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "type": "Warning" if _is_bad(condition) else "Normal",
        "reason": condition["reason"],
        "action": "Reconcile",
        "note": f"{condition['type']}={condition['status']}: {condition['message']}"[:_NOTE_LENGTH],
        "reportingController": f"{GROUP}/{MANAGER}",
        "reportingInstance": MANAGER,
        "regarding": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
        },
    }


def _is_bad(condition: Mapping[str, Any]) -> bool:
    return bool(condition["status"] != _GOOD[condition["type"]])
