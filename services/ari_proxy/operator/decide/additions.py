"""What others have added to our objects, which an apply would keep. Sans-I/O.

A server-side apply restores the fields that it sets, and leaves all others to whoever set them: an
environment variable that somebody adds would stay, and could lift the command policy. The API
server records the owner of each field (`metadata.managedFields`, in the form of
sigs.k8s.io/structured-merge-diff). Every owned field that the desired object lacks is an addition;
defaults have no owner. Metadata is everybody's: `kubectl rollout restart` annotates the template.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from ari_proxy.operator.objects import Object, foreign_fields

#: By kind: the fields that belong to the operator alone. A ServiceAccount has none: registries'
#: and clouds' controllers complete it.
_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "ConfigMap": ("data", "binaryData"),
    "Deployment": ("spec",),
    "HorizontalPodAutoscaler": ("spec",),
    "PodDisruptionBudget": ("spec",),
    "Role": ("rules",),
    "RoleBinding": ("subjects",),
    "Service": ("spec",),
}
#: Paths below them that are left alone.
_SHARED: Final = frozenset({("spec", "template", "metadata"), ("spec", "replicas")})
_FIELD, _ITEM, _VALUE = "f:", "k:", "v:"

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Addition:
    """A field, or an item of a list, that somebody has added."""

    path: _Path
    #: The name under which it was added, such as kubectl-set.
    manager: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} by {self.manager}"


def additions(live: Object, desired: Object) -> list[Addition]:
    """Return what others have added to an object."""
    return list(_removed(deepcopy(live), desired))


def without_additions(live: Object, desired: Object) -> list[Object]:
    """Return the JSON patch (RFC 6902) that removes the additions, if nobody has changed `live`."""
    pruned = deepcopy(live)
    if not list(_removed(pruned, desired)):
        return []
    version = {"path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]}
    return [
        {"op": "replace", **version},
        *(_replacement(name, pruned) for name in _OWN[live["kind"]] if name in live),
    ]


def _replacement(name: str, pruned: Object) -> Object:
    if name not in pruned:
        return {"op": "remove", "path": f"/{name}"}
    return {"op": "replace", "path": f"/{name}", "value": pruned[name]}


def _removed(live: Object, desired: Object) -> Iterator[Addition]:
    """Remove the additions from `live`, and yield them."""
    own = _OWN.get(live["kind"], ())
    for entry in foreign_fields(live):
        owned = entry.get("fieldsV1") or {}
        tree = {key: below for key, below in owned.items() if key.removeprefix(_FIELD) in own}
        for path in _prune(live, desired, tree, ()):
            yield Addition(path, entry.get("manager", ""))


def _prune(live: Any, desired: Any, tree: Mapping[str, Any], path: _Path) -> Iterator[_Path]:
    for key, below in tree.items():
        place = _place(live, key)
        if place is None or (*path, _name(key)) in _SHARED:
            continue
        wanted = _place(desired, key)
        here = (*path, _name(key))
        if wanted is None:
            del live[place]
            yield here
        else:
            yield from _prune(live[place], desired[wanted], below, here)


def _place(value: Any, key: str) -> Any:
    """Return the field's name or the item's index; None if the value has no such one."""
    if key.startswith(_FIELD):
        name = key.removeprefix(_FIELD)
        return name if isinstance(value, Mapping) and value.get(name) is not None else None
    if not isinstance(value, list) or not key.startswith((_ITEM, _VALUE)):
        return None
    wanted = json.loads(key[2:])
    matching = (index for index, item in enumerate(value) if _is_item(item, wanted, key[:2]))
    return next(matching, None)


def _is_item(item: Any, wanted: Any, kind: str) -> bool:
    if kind == _VALUE:
        return bool(item == wanted)
    # A key that an item leaves out has its default, as a port's protocol.
    return all(item.get(name, value) == value for name, value in wanted.items())


def _name(key: str) -> str:
    """Return a part of a path as people read it."""
    if key.startswith(_FIELD):
        return key.removeprefix(_FIELD)
    values = json.loads(key[2:])
    return "/".join(map(str, values.values())) if isinstance(values, Mapping) else str(values)
