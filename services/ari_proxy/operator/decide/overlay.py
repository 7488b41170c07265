"""Lays a user's part of a pod template over ours. Pure.

Objects merge; lists whose items have a key merge item by item (as Kubernetes' strategic merge
patch does, sigs.k8s.io/structured-merge-diff); any other list is replaced, and null removes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

#: By name of a list: the field that tells its items apart.
_KEYS: Final = {
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


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid over it."""
    result = dict(base)
    for name, value in over.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(result.get(name), Mapping):
            result[name] = merge(result[name], value)
        elif name in _KEYS and isinstance(result.get(name), list):
            result[name] = _merge_items(result[name], value, _KEYS[name])
        else:
            result[name] = value
    return result


def _merge_items(base: Sequence[Any], over: Sequence[Any], key: str) -> list[Any]:
    items = {item[key]: item for item in base}
    for item in over:
        items[item.get(key)] = merge(items.get(item.get(key), {}), item)
    return list(items.values())
