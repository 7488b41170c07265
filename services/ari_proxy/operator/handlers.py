"""What kopf tells us: that something about a resource has changed. What, we look at ourselves.

Only `on.event`: kopf's other handlers write their progress into the user's object, and daemons and
timers put a finalizer there, which nobody would remove once the operator is gone
(docs.kopf.dev, "Critiques" and "Finalizers").
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import kopf

from ari_proxy.operator.decide.servers import matches

from . import names
from .model import GROUP, PLURAL, VERSION, ServerSelector
from .schedule import Key

#: Kinds whose objects come back when somebody deletes or changes them. Not Leases: those change
#: all the time.
_WATCHED: Final = (
    ("apps", "v1", "deployments"),
    ("", "v1", "configmaps"),
    ("", "v1", "serviceaccounts"),
    ("policy", "v1", "poddisruptionbudgets"),
    ("autoscaling", "v2", "horizontalpodautoscalers"),
    ("rbac.authorization.k8s.io", "v1", "roles"),
    ("rbac.authorization.k8s.io", "v1", "rolebindings"),
)
_OURS: Final = {names.MANAGED_BY: names.MANAGER}


class Handlers:
    """Have resources looked at, whatever happens to them or theirs."""

    def __init__(
        self, put: Callable[[Key], None], selectors: Callable[[], Mapping[Key, ServerSelector]]
    ) -> None:
        """Make them.

        Args:
            put: has a resource looked at.
            selectors: by resource, which pods it takes for Asterisk servers.
        """
        self._put = put
        self._selectors = selectors

    def registry(self) -> kopf.OperatorRegistry:
        """Return them as kopf takes them."""
        found = kopf.OperatorRegistry()
        kopf.on.login(registry=found)(_log_in)
        kopf.on.event(GROUP, VERSION, PLURAL, registry=found)(self.on_resource)
        for group, version, plural in _WATCHED:
            kopf.on.event(group, version, plural, labels=_OURS, registry=found)(self.on_child)
        kopf.on.event("", "v1", "pods", registry=found)(self.on_pod)
        return found

    def on_resource(self, namespace: str | None, name: str, **_: Any) -> None:
        """Something about a resource has changed."""
        self._put((namespace or "", name))

    def on_child(self, namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        """Something has happened to an object that we have made."""
        self._put((namespace or "", labels.get(names.INSTANCE, "")))

    def on_pod(self, namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        """Something has happened to a pod: ours, an Asterisk, or of no interest."""
        if labels.get(names.MANAGED_BY) == names.MANAGER:
            self.on_child(namespace, labels)
        for key, selector in self._selectors().items():
            if key[0] == namespace and matches(labels, selector.match_labels):
                self._put(key)


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings: it watches, and does nothing else."""
    found = kopf.OperatorSettings()
    found.posting.enabled = False
    found.peering.standalone = True
    # Namespaced rights don't reach to the kinds and namespaces of the cluster; it looks once.
    found.scanning.disabled = True
    # A watch that hangs is noticed, and begun anew.
    found.watching.server_timeout = 300
    found.watching.client_timeout = 310
    found.watching.connect_timeout = 30
    found.networking.request_timeout = 60
    return found


def _log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
