"""Desired objects compared with those in the cluster. Sans-I/O."""

import json
from collections.abc import Mapping
from typing import Any

from ari_proxy.operator import names
from ari_proxy.operator.objects import Object, ObjectKey, annotations_of, key_of

from .additions import additions


def stamped(item: Object, *, is_scaled: bool) -> Object:
    """Annotate an object with its fingerprint, so that a field's removal is a difference too."""
    content = {**item, "metadata": {**item["metadata"], "resourceVersion": ""}}
    if item["kind"] == "Deployment" and is_scaled:
        content["spec"] = {**item["spec"], "replicas": None}  # Somebody else's.
    return annotated(item, {names.APPLIED: fingerprint(content)})


def annotated(item: Object, annotations: Mapping[str, str]) -> Object:
    """Return an object with further annotations."""
    found = {**annotations_of(item), **annotations}
    return {**item, "metadata": {**item["metadata"], "annotations": found}}


def fingerprint(item: Object) -> str:
    """Return a short text that is another one for any difference."""
    return names.digest(json.dumps(item, sort_keys=True))


def is_current(children: Mapping[ObjectKey, Object], desired: Object) -> bool:
    """Return whether the object in the cluster has all fields of the desired one, and no others.

    Fields of others count where they are the operator's alone.
    """
    live = children.get(key_of(desired))
    return live is not None and covers(live, desired) and not additions(live, desired)


def covers(live: Any, desired: Any) -> bool:
    """Return whether `live` has all fields of `desired`, at any depth."""
    if live is None and desired in ({}, [], ""):
        return True  # The API server omits empty fields.
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(
            covers(live.get(name), value) for name, value in desired.items()
        )
    if isinstance(desired, list):
        return (
            isinstance(live, list)
            and len(live) == len(desired)
            and all(covers(a, b) for a, b in zip(live, desired, strict=True))
        )
    return bool(live == desired)
