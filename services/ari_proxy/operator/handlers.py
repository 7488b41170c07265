"""kopf's handler: takes the events of AriProxies into the cache, and enqueues whom they concern.

Only `on.event`: kopf's other handlers write their progress into the user's object, and daemons and
timers add a finalizer, which would block its deletion once the operator is gone (docs.kopf.dev,
"Critiques" and "Finalizers").
"""

from collections.abc import Callable
from typing import Any

import kopf

from .kubernetes import PAGE_OBJECTS
from .model import GROUP, PLURAL, VERSION
from .objects import ResourceKey
from .proxies import Proxies


class Handlers:
    """Enqueues a reconciliation for every event on a resource that is news.

    An own write of the status is none: its result is in the cache before its event arrives.

    The handler is a coroutine: kopf runs plain functions in threads, and neither the queue nor the
    cache is thread-safe.
    """

    def __init__(self, proxies: Proxies, changed: Callable[[ResourceKey], None]) -> None:
        """Initialise the handlers.

        Args:
            proxies: receives the resources.
            changed: called with each resource that an event concerns.
        """
        self._proxies = proxies
        self._changed = changed

    def registry(self) -> kopf.OperatorRegistry:
        """Return kopf's registry of these handlers."""
        found = kopf.OperatorRegistry()
        kopf.on.login(registry=found)(_log_in)
        kopf.on.event(GROUP, VERSION, PLURAL, registry=found)(self.on_resource)
        return found

    async def on_resource(self, event: kopf.RawEvent, **_: Any) -> None:
        """Handle an event of an AriProxy."""
        resource = dict(event["object"])
        is_gone = event["type"] == "DELETED"
        keys = self._proxies.remove(resource) if is_gone else self._proxies.put(resource)
        for key in keys:
            self._changed(key)


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
    found.watching.chunk_size = PAGE_OBJECTS
    found.networking.request_timeout = 60
    return found


def _log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
