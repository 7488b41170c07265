"""How long the deletion of a resource waits for its dialogs. Sans-I/O.

A finalizer holds it. It never outlasts the drain time: it is removed when the dialogs are over or
the time is, whatever else fails.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from ari_proxy.operator.model import DRAIN_TIMEOUT_SECONDS, GROUP, KIND, VERSION, Metadata
from ari_proxy.operator.objects import Object

#: On resources with `spec.drainOnDeletion`.
FINALIZER: Final = f"{GROUP}/drain"


def is_held(metadata: Metadata) -> bool:
    """Return whether the resource's deletion waits, or would wait, for the operator."""
    return FINALIZER in metadata.finalizers


def is_over(metadata: Metadata) -> bool:
    """Return whether the resource was deleted, and nothing is left to do for it."""
    return bool(metadata.deletion_timestamp) and not is_held(metadata)


def with_finalizer(metadata: Metadata, *, is_held: bool) -> Object:
    """Return what is applied to hold the resource's deletion, or to let it go on."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            # Not of a resource of the same name that was created meanwhile.
            "uid": metadata.uid,
            "finalizers": [FINALIZER] if is_held else [],
        },
    }


def is_overdue(resource: Mapping[str, Any], metadata: Metadata, now: datetime) -> bool:
    """Return whether a deletion has waited for its drain time.

    Args:
        resource: as the API server has it; its spec may have any form.
        metadata: of the resource.
        now: the time.
    """
    if not (metadata.deletion_timestamp and is_held(metadata)):
        return False
    spec = resource.get("spec")
    seconds = spec.get("drainTimeoutSeconds") if isinstance(spec, Mapping) else None
    limit = seconds if isinstance(seconds, int) else DRAIN_TIMEOUT_SECONDS
    return now - datetime.fromisoformat(metadata.deletion_timestamp) >= timedelta(seconds=limit)
