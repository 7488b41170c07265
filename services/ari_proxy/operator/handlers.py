"""kopf's handlers: enqueue a resource for every watch event that may concern it.

Only `on.event`: kopf's other handlers write their progress into the user's object, and daemons and
timers add a finalizer, which would block its deletion once the operator is gone (docs.kopf.dev,
"Critiques" and "Finalizers"). The events' content is not used; each reconciliation reads the
cluster.
"""

from collections.abc import Mapping
from typing import Any, Final

import kopf

from . import names
from .model import GROUP, PLURAL, VERSION, ServerSelector
from .objects import ResourceKey, matches
from .work_queue import WorkQueue

#: Kinds of children that are restored when somebody deletes or changes them. Leases are not among
#: them: they change all the time.
_WATCHED: Final = (
    ("apps", "v1", "deployments"),
    ("", "v1", "configmaps"),
    ("", "v1", "services"),
    ("", "v1", "serviceaccounts"),
    ("policy", "v1", "poddisruptionbudgets"),
    ("autoscaling", "v2", "horizontalpodautoscalers"),
    ("rbac.authorization.k8s.io", "v1", "roles"),
    ("rbac.authorization.k8s.io", "v1", "rolebindings"),
)
_MANAGED: Final = {names.MANAGED_BY: names.MANAGER}


class Handlers:
    """Enqueues a reconciliation for every watch event on a resource, its children and pods.

    The handlers are coroutines: kopf runs plain functions in threads, and neither the queue nor the
    selectors are thread-safe.
    """

    def __init__(self, queue: WorkQueue, selectors: Mapping[ResourceKey, ServerSelector]) -> None:
        """Initialise the handlers.

        Args:
            queue: receives the resources.
            selectors: by resource, its selector of Asterisk pods; a live view.
        """
        self._queue = queue
        self._selectors = selectors

    def registry(self) -> kopf.OperatorRegistry:
        """Return kopf's registry of these handlers."""
        found = kopf.OperatorRegistry()
        kopf.on.login(registry=found)(_log_in)
        kopf.on.event(GROUP, VERSION, PLURAL, registry=found)(self.on_resource)
        for group, version, plural in _WATCHED:
            kopf.on.event(group, version, plural, labels=_MANAGED, registry=found)(self.on_child)
        kopf.on.event("", "v1", "pods", registry=found)(self.on_pod)
        return found

    async def on_resource(self, namespace: str | None, name: str, **_: Any) -> None:
        """Handle an event of an AriProxy."""
        self._queue.put(ResourceKey(namespace or "", name))

    async def on_child(self, namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        """Handle an event of an object that the operator manages."""
        self._queue.put(ResourceKey(namespace or "", labels.get(names.INSTANCE, "")))

    async def on_pod(self, namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        """Handle an event of any pod: one of a child, an Asterisk server, or neither."""
        if labels.get(names.MANAGED_BY) == names.MANAGER:
            await self.on_child(namespace, labels)
        for key, selector in self._selectors.items():
            if key.namespace == namespace and matches(labels, selector.match_labels):
                self._queue.put(key)


def settings() -> kopf.OperatorSettings:
    """Return settings with which kopf watches and writes nothing."""
    found = kopf.OperatorSettings()
    found.posting.enabled = False
    found.peering.standalone = True
    # Namespaced rights don't cover cluster-wide lists of kinds and namespaces: scan once.
    found.scanning.disabled = True
    # Deadlines, so that a stalled watch is noticed and restarted.
    found.watching.server_timeout = 300
    found.watching.client_timeout = 310
    found.watching.connect_timeout = 30
    found.networking.request_timeout = 60
    return found


def _log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
