"""One look at a resource: observe, plan, act, tell. What is decided stands in `plan`, `status`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog

from ari_proxy.operator.decide.children.wanted import Images, Object
from ari_proxy.operator.decide.plan import Plan, key_of, plan
from ari_proxy.operator.decide.silences import Silences
from ari_proxy.operator.observe.gather import observe
from ari_proxy.operator.observe.state import Key, Observed
from ari_proxy.operator.report import events as outcomes
from ari_proxy.operator.report import status
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics

from .errors import KubernetesError
from .kubernetes import Kubernetes
from .model import KIND, ServerSelector

_log = structlog.get_logger()

#: Seconds after which everything is looked at again, though nothing has happened.
RESYNC_SECONDS: Final = 600.0
#: While something is missing or not ready: its change may be no event for us (a Secret's, or what a
#: pod says of itself).
UNSETTLED_SECONDS: Final = 10.0
#: What a cluster may lack without harm.
_OPTIONAL: Final = frozenset({"PodMonitor"})
_NOT_FOUND: Final = 404


class Reconciler:
    """Has the cluster be as the resources say."""

    def __init__(
        self, kubernetes: Kubernetes, images: Images, metrics: Metrics, scope: Sequence[str]
    ) -> None:
        self._kubernetes = kubernetes
        self._images = images
        self._metrics = metrics
        self._scope = tuple(scope)
        #: By resource: which pods it takes for Asterisk servers.
        self.selectors: dict[Key, ServerSelector] = {}
        self._told: set[Key] = set()
        self._silences = Silences()

    async def check(self) -> None:
        """Return if resources can be read.

        Raises:
            KubernetesError: there is no such kind, no right to read it, or no API server.
        """
        for namespace in self._scope or (None,):
            await self._kubernetes.objects(KIND, namespace)

    async def reconcile(self, namespace: str, name: str) -> float | None:
        """Look at a resource once; return after how many seconds to look again, None for never.

        Raises:
            KubernetesError: something did not work; it is worth another try.
        """
        observed = await observe(self._kubernetes, namespace, name, self._scope)
        if observed is None or observed.proxy.metadata.deletion_timestamp:
            self._forget((namespace, name))
            return None
        self._remember((namespace, name), observed)
        self._log_silences((namespace, name), observed)
        steps = plan(observed, self._images)
        observed, failures = await self._act(observed, steps)
        current = status.status(observed, {key: error.reason for key, error in failures.items()})
        await self._tell(observed, current)
        self._count((namespace, name), current)
        if again := next((error for error in failures.values() if not error.is_refusal), None):
            raise again
        return self._again(steps, current)

    async def _act(
        self, observed: Observed, steps: Plan
    ) -> tuple[Observed, dict[Key, KubernetesError]]:
        """Do what is planned; return what is there then, and what did not work."""
        namespace = observed.proxy.metadata.namespace
        children = dict(observed.children)
        failures: dict[Key, KubernetesError] = {}
        for item in steps.apply:
            try:
                children[key_of(item)] = await self._apply(item)
            except KubernetesError as error:
                if item["kind"] in _OPTIONAL and error.status == _NOT_FOUND:
                    _log.warning("object.unknown_kind", kind=item["kind"], error=str(error))
                    continue
                failures[key_of(item)] = error
        for kind, name in steps.delete:
            await self._kubernetes.delete(kind, namespace, name)
            children.pop((kind, name), None)
            _log.info("object.deleted", kind=kind, namespace=namespace, name=name)
        return replace(observed, children=children), failures

    async def _apply(self, item: Object) -> Object:
        kind, metadata = item["kind"], item["metadata"]
        where = {"kind": kind, "namespace": metadata["namespace"], "name": metadata["name"]}
        try:
            applied = await self._kubernetes.apply(item)
        except KubernetesError as error:
            self._metrics.counter(table.OPERATOR_APPLIES, kind, "failed").inc()
            _log.warning("object.refused", **where, error=str(error))
            raise
        self._metrics.counter(table.OPERATOR_APPLIES, kind, "applied").inc()
        _log.info("object.applied", **where)
        return applied

    async def _tell(self, observed: Observed, current: dict[str, Any]) -> None:
        """Write the status, if it is another one, and tell of what has changed in it."""
        proxy = observed.proxy
        metadata = proxy.metadata
        if current == proxy.status:
            return
        await self._kubernetes.set_status(metadata.namespace, metadata.name, current)
        former = proxy.status.get("conditions") or ()
        for condition in outcomes.changed(former, current["conditions"]):
            _log.info(
                "resource.condition",
                namespace=metadata.namespace,
                name=metadata.name,
                **{k: condition[k] for k in ("type", "status", "reason", "message")},
            )
            event = outcomes.event(proxy, condition, observed.now)
            await self._kubernetes.apply(event)

    def _log_silences(self, key: Key, observed: Observed) -> None:
        namespace, name = key
        for asked, pod, reason in self._silences.news(key, observed):
            where = {"namespace": namespace, "name": name, "pod": pod}
            if asked == "dialogs":
                # Its server stays until it tells, or has had its time.
                _log.warning("pod.dialogs_unknown", **where, reason=reason)
            else:
                # It is starting, as a rule.
                _log.info("pod.complaint_unknown", **where, reason=reason)

    @staticmethod
    def _again(steps: Plan, current: Mapping[str, Any]) -> float:
        if steps.recheck_seconds is not None:
            return steps.recheck_seconds
        states = {item["type"]: item["status"] for item in current["conditions"]}
        is_settled = states["Ready"] == "True" and states["Progressing"] == "False"
        return RESYNC_SECONDS if is_settled else UNSETTLED_SECONDS

    # What is known of the resources

    def _remember(self, key: Key, observed: Observed) -> None:
        self.selectors.pop(key, None)
        if (selector := observed.proxy.spec.server_selector) is not None:
            self.selectors[key] = selector

    def _forget(self, key: Key) -> None:
        self.selectors.pop(key, None)
        self._silences.forget(key)
        if key in self._told:
            self._told.discard(key)
            self._metrics.forget(table.OPERATOR_READY, *key)
            for state in ("ready", "not_ready"):
                self._metrics.forget(table.OPERATOR_SERVERS, *key, state)

    def _count(self, key: Key, current: Mapping[str, Any]) -> None:
        self._told.add(key)
        wanted, ready = current["serverCount"], current["readyServerCount"]
        states = {item["type"]: item["status"] for item in current["conditions"]}
        self._metrics.gauge(table.OPERATOR_READY, *key).set(states["Ready"] == "True")
        self._metrics.gauge(table.OPERATOR_SERVERS, *key, "ready").set(ready)
        self._metrics.gauge(table.OPERATOR_SERVERS, *key, "not_ready").set(wanted - ready)
