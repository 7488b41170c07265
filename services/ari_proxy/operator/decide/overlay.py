"""Merges a user's pod template into the operator's. Sans-I/O.

Objects are merged; lists with a merge key are merged item by item (like Kubernetes' strategic merge
patch, sigs.k8s.io/structured-merge-diff); any other list is replaced; null removes a field.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

#: By name of a list: the field that identifies its items.
_MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "topologySpreadConstraints": "topologyKey",
    "hostAliases": "ip",
}


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the fields of `overlay` merged into it."""
    result = dict(base)
    for name, value in overlay.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(result.get(name), Mapping):
            result[name] = merge(result[name], value)
        elif name in _MERGE_KEYS and isinstance(result.get(name), list):
            result[name] = _merge_items(result[name], value, _MERGE_KEYS[name])
        else:
            result[name] = value
    return result


def _merge_items(base: Sequence[Any], overlay: Sequence[Any], key: str) -> list[Any]:
    items = {item[key]: item for item in base}
    for item in overlay:
        items[item.get(key)] = merge(items.get(item.get(key), {}), item)
    return list(items.values())
