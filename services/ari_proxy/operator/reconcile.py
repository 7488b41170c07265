"""Reconciles one resource: observe, plan, apply, report. `decide` and `report` do the thinking."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import structlog

from ari_proxy.aio import first_leaf
from ari_proxy.operator.decide import deletion
from ari_proxy.operator.decide.additions import additions, without_additions
from ari_proxy.operator.decide.children.component import Images
from ari_proxy.operator.decide.defaults import Defaults
from ari_proxy.operator.decide.plan import Plan, plan
from ari_proxy.operator.decide.query_failures import QueryFailures
from ari_proxy.operator.decide.refusals import Refusal, conditional, foreign, lacks_a_part
from ari_proxy.operator.decide.rollout import Rollout
from ari_proxy.operator.decide.server_rollouts import rolling_servers
from ari_proxy.operator.observe.gather import observe
from ari_proxy.operator.observe.secret_keys import SecretKeys
from ari_proxy.operator.report import events
from ari_proxy.operator.report.status import status, unreconciled
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from .cache import Cache
from .errors import KubernetesError, NameTakenError
from .kubernetes import Kubernetes
from .model import KIND, Metadata, metadata_of
from .objects import Object, ObjectKey, ResourceKey, key_of
from .rollouts import Rollouts
from .state import Observed

_log = structlog.get_logger()

#: Interval of reconciliations without any event.
RESYNC_SECONDS: Final = 600.0
#: The same while something is missing or not ready: its change may cause no event here (a Secret's,
#: or a readiness check's).
UNSETTLED_SECONDS: Final = 10.0
#: Kinds that a cluster may lack.
_OPTIONAL: Final = frozenset({"PodMonitor"})

#: By object that was not applied: the error.
_Failures = dict[ObjectKey, KubernetesError | NameTakenError]


class Reconciler:
    """Brings the cluster to the state that the resources specify."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        cache: Cache,
        leads: Callable[[str], bool],
        images: Images,
        defaults: Defaults,
        metrics: Metrics,
    ) -> None:
        """Initialise it; `leads` returns whether this operator may write in a namespace."""
        self._kubernetes = kubernetes
        self._cache = cache
        self._leads = leads
        self._secret_keys = SecretKeys(kubernetes, time.monotonic)
        self._images = images
        self._defaults = defaults
        self._metrics = metrics
        self._rollouts = Rollouts(defaults.max_servers_at_once, cache.changed)
        #: The namespaces in which this operator acts, and knows what others have begun.
        self._recalled: set[str] = set()
        self._measured: set[ResourceKey] = set()
        self._query_failures = QueryFailures()

    def recall(self) -> None:
        """Recall the roll-outs that others have begun, where this operator acts from now on.

        The cache has to be complete.
        """
        keys = sorted(self._cache.proxies.keys())
        led = {namespace for namespace in {key.namespace for key in keys} if self._leads(namespace)}
        for key in keys:
            if key.namespace in led - self._recalled:
                rolling = rolling_servers(self._cache.children(key))
                self._rollouts.note(key, Rollout(rolling=rolling))
        self._recalled = led

    async def reconcile(self, key: ResourceKey) -> float | None:
        """Reconcile a resource.

        Returns:
            Seconds until the next reconciliation; None if the resource is gone, or another
            operator looks after it.

        Raises:
            KubernetesError: a request failed and is worth a retry; also in an ExceptionGroup.
        """
        if not self._leads(key.namespace):
            self._recalled.discard(key.namespace)
            self._forget(key)
            return None
        if key.namespace not in self._recalled:
            self.recall()
        try:
            return await self._reconcile(key)
        except Exception as error:
            self._rollouts.pass_over(key, rolling_servers(self._cache.children(key)))
            await self._tell(key, first_leaf(error))
            raise

    async def _reconcile(self, key: ResourceKey) -> float | None:
        observed = await observe(self._cache, self._secret_keys, key)
        if observed is None or deletion.is_over(observed.proxy.metadata):
            self._forget(key)
            return None
        self._log_query_failures(key, observed)
        elsewhere = self._rollouts.elsewhere(key)
        steps = plan(observed, self._images, self._defaults, elsewhere)
        self._rollouts.note(key, steps.rollout)
        observed, failures = await self._execute(observed, steps)
        if failures:
            replacing = rolling_servers(observed.children.values())
            self._rollouts.note(key, steps.rollout.of_applied(replacing))
        refused = {
            item: _refusal(item, error) for item, error in failures.items() if not _may_pass(error)
        }
        current = status(observed, {**steps.refusals, **refused}, steps.withheld, steps.rollout)
        await self._report(observed, current)
        self._measure(key, current)
        for error in filter(_may_pass, failures.values()):
            raise error
        await self._hold(observed.proxy.metadata, is_held=steps.is_held)
        return self._again_seconds(steps, current)

    async def _hold(self, metadata: Metadata, *, is_held: bool) -> None:
        """Hold the resource's deletion until its dialogs are over, or let it go on."""
        if is_held == deletion.is_held(metadata):
            return
        self._ensure_led(metadata.namespace)
        written = await self._kubernetes.apply(deletion.with_finalizer(metadata, is_held=is_held))
        self._cache.status_written(written)
        _log.info(
            "resource.held" if is_held else "resource.released",
            namespace=metadata.namespace,
            name=metadata.name,
        )

    async def _execute(self, observed: Observed, steps: Plan) -> tuple[Observed, _Failures]:
        """Execute a plan; return the new state, and the errors of objects that were not applied."""
        namespace = observed.proxy.metadata.namespace
        children = dict(observed.children)
        failures: _Failures = {}
        refused: list[Object] = []
        for item in steps.apply:
            if lacks_a_part(item, refused):
                continue
            key = key_of(item)
            try:
                applied = await self._apply(item, children.get(key))
                children[key] = await self._without_additions(applied, item)
            except (KubernetesError, NameTakenError) as error:
                failures[key] = error
                refused.append(item)
        for patch in steps.patches:
            self._ensure_led(namespace)
            children[key_of(patch.item)] = patched = await self._kubernetes.patch(*patch)
            self._cache.written(patched)
            _log.info("ingest.made_final", namespace=namespace, name=key_of(patch.item).name)
        for key in steps.delete:
            self._ensure_led(namespace)
            await self._kubernetes.delete(key.kind, namespace, key.name)
            self._cache.deleted(key.kind, namespace, key.name)
            children.pop(key, None)
            _log.info("object.deleted", kind=key.kind, namespace=namespace, name=key.name)
        return replace(observed, children=children), failures

    async def _apply(self, item: Object, live: Object | None) -> Object:
        kind, metadata = item["kind"], item["metadata"]
        self._ensure_led(metadata["namespace"])
        where = {"kind": kind, "namespace": metadata["namespace"], "name": metadata["name"]}
        try:
            applied = await self._apply_own(item, live)
        except (KubernetesError, NameTakenError) as error:
            self._metrics.counter(table.OPERATOR_APPLIES, kind, "failed").inc()
            _log.warning("object.refused", **where, error=str(error))
            raise
        self._cache.written(applied)
        self._metrics.counter(table.OPERATOR_APPLIES, kind, "applied").inc()
        _log.info("object.applied", **where)
        return applied

    async def _without_additions(self, live: Object, item: Object) -> Object:
        """Remove what others have added to an object, and tell it."""
        operations = without_additions(live, item)
        if not operations:
            return live
        self._ensure_led(live["metadata"]["namespace"])
        restored = await self._kubernetes.patch(item, operations)
        self._cache.written(restored)
        metadata = restored["metadata"]
        if metadata["resourceVersion"] != live["metadata"]["resourceVersion"]:
            _log.warning(
                "object.additions_removed",
                kind=item["kind"],
                namespace=metadata["namespace"],
                name=metadata["name"],
                fields=[str(addition) for addition in additions(live, item)],
            )
        return restored

    async def _apply_own(self, item: Object, live: Object | None) -> Object:
        """Apply an object; one of somebody else with its name is left alone.

        Raises:
            NameTakenError: there is one.
            KubernetesError: the request failed.
        """
        try:
            return await self._kubernetes.apply(conditional(item, live))
        except KubernetesError as error:
            if live is not None or error.status != HTTPStatus.CONFLICT:
                raise
            namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
            existing = await self._kubernetes.get(item["kind"], namespace, name)
            if existing is None:  # It was deleted meanwhile.
                raise
        if refusal := foreign(item, existing):
            raise NameTakenError(f"apply {item['kind']} {namespace}/{name}", refusal.message)
        self._ensure_led(namespace)
        # Our own, without the labels by which children are found.
        return await self._kubernetes.apply(conditional(item, existing))

    async def _report(self, observed: Observed, current: dict[str, Any]) -> None:
        """Write the status if it differs, and an Event for each changed condition."""
        await self._write(observed.proxy.metadata, observed.proxy.status, current, observed.now)

    async def _tell(self, key: ResourceKey, error: BaseException) -> None:
        """Write into the status that a reconciliation failed, unless a retry may succeed.

        A deletion that is overdue goes on, whatever failed.
        """
        # Without an answer the error is still logged.
        with contextlib.suppress(KubernetesError):
            resource = await self._kubernetes.get(KIND, *key)
            if resource is not None:
                now = datetime.now(UTC).replace(microsecond=0)
                metadata, former = metadata_of(resource), resource.get("status") or {}
                if deletion.is_overdue(resource, metadata, now):
                    await self._hold(metadata, is_held=False)
                elif not _may_pass(error):
                    current = unreconciled(former, metadata.generation, error, now)
                    await self._write(metadata, former, current, now)

    async def _write(
        self, metadata: Metadata, status: Mapping[str, Any], current: dict[str, Any], now: datetime
    ) -> None:
        if current == status:
            return
        self._ensure_led(metadata.namespace)
        written = await self._kubernetes.set_status(metadata.namespace, metadata.name, current)
        self._cache.status_written(written)
        former = status.get("conditions") or ()
        for condition in events.changed(former, current["conditions"]):
            _log.info(
                "resource.condition",
                namespace=metadata.namespace,
                name=metadata.name,
                **{field: condition[field] for field in ("type", "status", "reason", "message")},
            )
            self._ensure_led(metadata.namespace)
            await self._kubernetes.apply(events.event(metadata, condition, now))

    def _ensure_led(self, namespace: str) -> None:
        """Check before each write that no other operator has taken over meanwhile."""
        if not self._leads(namespace):
            raise KubernetesError(f"write in {namespace}", "another operator looks after it now")

    def _log_query_failures(self, key: ResourceKey, observed: Observed) -> None:
        for query, pod, reason in self._query_failures.new(key, observed):
            where = {"namespace": key.namespace, "name": key.name, "pod": pod}
            if query == "dialogs":
                # Its server keeps its objects until the pod reports, or the drain times out.
                _log.warning("pod.dialogs_unknown", **where, reason=reason)
            else:
                # Usually the pod is starting.
                _log.info("pod.complaint_unknown", **where, reason=reason)

    @staticmethod
    def _again_seconds(steps: Plan, current: Mapping[str, Any]) -> float:
        if steps.recheck_seconds is not None:
            return steps.recheck_seconds
        found = {item["type"]: item for item in current["conditions"]}
        is_ready, progress = found["Ready"]["status"] == "True", found["Progressing"]["reason"]
        # Of those that wait for others, some are woken when there is room.
        is_settled = is_ready and progress in {"Settled", "RolloutQueued"}
        return RESYNC_SECONDS if is_settled else UNSETTLED_SECONDS

    # State kept between reconciliations: none that a restart could lose

    def _forget(self, key: ResourceKey) -> None:
        self._cache.forget(key)
        self._query_failures.forget(key)
        self._rollouts.forget(key)
        if key in self._measured:
            self._measured.discard(key)
            self._metrics.forget(table.OPERATOR_READY, *key)
            for state in ("ready", "not_ready"):
                self._metrics.forget(table.OPERATOR_SERVERS, *key, state)

    def _measure(self, key: ResourceKey, current: Mapping[str, Any]) -> None:
        self._measured.add(key)
        total, ready = current["serverCount"], current["readyServerCount"]
        states = {item["type"]: item["status"] for item in current["conditions"]}
        self._metrics.gauge(table.OPERATOR_READY, *key).set(states["Ready"] == "True")
        self._metrics.gauge(table.OPERATOR_SERVERS, *key, "ready").set(ready)
        self._metrics.gauge(table.OPERATOR_SERVERS, *key, "not_ready").set(total - ready)


def _may_pass(error: BaseException) -> bool:
    """Return whether a retry may succeed."""
    return isinstance(error, KubernetesError) and not error.is_refusal


def _refusal(key: ObjectKey, error: KubernetesError | NameTakenError) -> Refusal:
    if isinstance(error, NameTakenError):
        return Refusal("NameTaken", error.reason)
    if key.kind in _OPTIONAL and error.status == HTTPStatus.NOT_FOUND:
        message = "the cluster lacks this kind; install it, or set podMonitor.enabled to false"
        return Refusal("KindMissing", message)
    return Refusal("ApplyFailed", error.reason)
