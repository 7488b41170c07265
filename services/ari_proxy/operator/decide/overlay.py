"""Merges a user's pod template into the operator's. Sans-I/O.

Objects are merged; lists with a merge key are merged item by item (like Kubernetes' strategic merge
patch, sigs.k8s.io/structured-merge-diff); any other list is replaced; null removes a field.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ari_proxy.operator.errors import PodTemplateError

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


def merge(
    base: Mapping[str, Any], overlay: Mapping[str, Any], path: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return `base` with the fields of `overlay` merged into it.

    Args:
        base: the operator's pod template, or a part of it.
        overlay: the user's.
        path: the place of `overlay`, for errors.

    Raises:
        PodTemplateError: a list of `overlay` is none, or has items that can't be merged.
    """
    result = dict(base)
    for name, value in overlay.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(result.get(name), Mapping):
            result[name] = merge(result[name], value, (*path, name))
        elif name in _MERGE_KEYS and isinstance(result.get(name), list):
            result[name] = _merge_items(result[name], value, _MERGE_KEYS[name], (*path, name))
        else:
            result[name] = value
    return result


def _merge_items(
    base: Sequence[Any], overlay: object, key: str, path: tuple[str, ...]
) -> list[Any]:
    if not isinstance(overlay, list):
        raise PodTemplateError(".".join(path), "must be a list")
    items = {item[key]: item for item in base}
    for index, item in enumerate(overlay):
        place = (*path[:-1], f"{path[-1]}[{index}]")
        name = _identity(item, key, place)
        items[name] = merge(items.get(name, {}), item, place)
    return list(items.values())


def _identity(item: object, key: str, path: tuple[str, ...]) -> str | int:
    if not isinstance(item, Mapping):
        raise PodTemplateError(".".join(path), "must be an object")
    found = item.get(key)
    if not isinstance(found, str | int):
        raise PodTemplateError(".".join(path), f"must have a {key}, by which it is merged")
    return found
