"""What could not be applied, and what depends on it. Sans-I/O.

An object of somebody else that has the name of one of ours is left alone: to take it over would
change it, and delete it with the resource.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, NamedTuple

from ari_proxy.operator import names
from ari_proxy.operator.objects import Object, labels_of, slot_of

#: A resourceVersion that no object has: the apply creates the object, or is refused as a conflict.
_ABSENT: Final = "1"


class Refusal(NamedTuple):
    """Why an object was not applied."""

    reason: Literal[
        "ApplyFailed",
        "AwaitingDrain",
        "KindMissing",
        "NameTaken",
        "PodTemplateInvalid",
        "ServersNotShareable",
    ]
    message: str


def conditional(item: Object, live: Object | None) -> Object:
    """Return an object whose apply changes `live` and no other one, or creates it if that is None.

    Otherwise it would change whatever has the name.
    """
    is_created = {"resourceVersion": _ABSENT} if live is None else {"uid": _uid(live)}
    return {**item, "metadata": {**item["metadata"], **is_created}}


def foreign(desired: Object, existing: Object) -> Refusal | None:
    """Return why an existing object must not be changed; None if the resource controls it."""
    (owner,) = desired["metadata"]["ownerReferences"]
    controller = _controller(existing)
    if controller.get("uid") == owner["uid"]:
        return None
    holder = f"{controller['kind']} {controller['name']}" if controller else "nobody"
    message = (
        f"it exists and is controlled by {holder}, not by this {owner['kind']}; "
        f"delete it, or use another name for this resource or its server"
    )
    return Refusal("NameTaken", message)


def lacks_a_part(item: Object, refused: Collection[Object]) -> bool:
    """Return whether pods of a Deployment would need one of the objects that were refused.

    They would get settings or rights of somebody else, or their former ones.
    """
    if item["kind"] != "Deployment":
        return False
    labels = labels_of(item)
    return any(
        labels_of(other).get(names.COMPONENT) == labels[names.COMPONENT]
        and slot_of(other) in {"", slot_of(item)}
        for other in refused
    )


def _controller(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reference to an object's controller, or an empty one."""
    owners = item["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), {})


def _uid(item: Mapping[str, Any]) -> str:
    found: str = item["metadata"]["uid"]
    return found
