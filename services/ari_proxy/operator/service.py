"""Runs the operator: kopf watches, workers reconcile, the admin API reports."""

import asyncio
import contextlib
import os
import socket
import time
from typing import Final

import kopf
import structlog

from ari_proxy.__about__ import __version__
from ari_proxy.admin import api as admin_api
from ari_proxy.admin.api import AdminApi
from ari_proxy.aio import first_leaf
from ari_proxy.operator.decide.children.component import Images
from ari_proxy.operator.decide.defaults import Defaults, WorkloadDefaults
from ari_proxy.operator.model import PodTemplateSpec
from ari_proxy.protocol import ids
from ari_proxy.settings.operator import OperatorSettings, WorkloadSettings
from ari_proxy.telemetry import loop_lag
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from . import handlers, kubernetes, names
from .cache import Cache
from .errors import KubernetesError
from .leadership import Leadership
from .objects import ResourceKey
from .reconcile import Reconciler
from .work_queue import WorkQueue

_log = structlog.get_logger()

#: Interval of checks for the CRD before it can be read.
RETRY_SECONDS: Final = 5.0


async def serve(settings: OperatorSettings, stop: asyncio.Event) -> None:
    """Run the operator until `stop` is set.

    Raises:
        NoKubernetesError: there is no cluster.
        AdminApiError: the admin API can't listen on its address.
    """
    metrics = Metrics(prefixes=(*table.COMMON, "ariproxy_operator"))
    metrics.gauge(table.BUILD, __version__, "operator").set(1)
    loop = asyncio.get_running_loop()
    metrics.read(table.TASKS, lambda: len(asyncio.all_tasks(loop)))
    images = Images(ingest=settings.ingest_image, command=settings.command_image)
    async with kubernetes.opened() as cluster:
        queue = WorkQueue(time.monotonic)
        cache = Cache(cluster, settings.namespaces, queue.put)
        leadership = Leadership(
            cluster,
            settings.namespaces,
            settings.lease_namespace,
            f"{cluster.own_namespace}/{socket.gethostname()}_{ids.random_id(8)}",
            settings.lease_seconds,
        )
        reconciler = Reconciler(
            cluster, cache, leadership.leads, images, _defaults(settings), metrics
        )
        operator = Operator(reconciler, cache, leadership, queue, metrics)
        try:
            await operator.run(settings, stop)
        finally:
            await leadership.release()


def _defaults(settings: OperatorSettings) -> Defaults:
    return Defaults(
        ingest=_workload(settings.ingest_defaults),
        command=_workload(settings.command_defaults),
        admin_peers=settings.admin_peers,
        max_servers_at_once=settings.max_servers_at_once,
        calls_peers=settings.calls_peers,
    )


def _workload(settings: WorkloadSettings) -> WorkloadDefaults:
    template = settings.pod_template
    return WorkloadDefaults(
        resources=settings.resources,
        pod_template=PodTemplateSpec(metadata=template.metadata, spec=template.spec),
        service_account_annotations=settings.service_account_annotations,
    )


class Operator:
    """Runs kopf's watches and the workers that they enqueue resources for."""

    def __init__(
        self,
        reconciler: Reconciler,
        cache: Cache,
        leadership: Leadership,
        queue: WorkQueue,
        metrics: Metrics,
    ) -> None:
        self._reconciler = reconciler
        self._cache = cache
        self._leadership = leadership
        self._queue = queue
        self._metrics = metrics
        self._problem = "Kubernetes is not watched yet"
        self._readable = asyncio.Event()
        self._known = asyncio.Event()
        for result in ("ok", "failed"):  # Initialised to 0 so that rate() sees the first failure.
            metrics.counter(table.RECONCILES, result)

    async def run(self, settings: OperatorSettings, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then cancel the workers; a reconciliation can be repeated."""
        checks = {"kubernetes": self._check, "lease": self._check_lease}
        api = AdminApi(checks=checks, metrics=self._metrics)
        async with asyncio.TaskGroup() as tasks:
            # Started before kopf, which at its end cancels the tasks that it did not find at its
            # start.
            lag = self._metrics.histogram(table.LOOP_LAG)
            others = [tasks.create_task(loop_lag.measure(lag))]
            others += [tasks.create_task(self._cache.run())]
            others += [tasks.create_task(self._know())]
            others += [tasks.create_task(self._own())]
            others += [tasks.create_task(self._work()) for _ in range(settings.workers)]
            if settings.admin.enabled:
                serving = admin_api.serve(api, settings.admin.host, settings.admin.port)
                others.append(tasks.create_task(serving))
            await asyncio.sleep(0)
            if await self._until_readable(stop):
                self._problem = ""
                self._readable.set()
                await self._watch(settings, stop)
            for task in others:
                task.cancel()

    async def _watch(self, settings: OperatorSettings, stop: asyncio.Event) -> None:
        # kopf identifies itself by a user name; a container's user has none.
        os.environ.setdefault("USER", names.MANAGER)
        registry = handlers.Handlers(self._cache.proxies, self._queue.put).registry()
        await kopf.operator(
            registry=registry,
            settings=handlers.settings(),
            namespaces=settings.namespaces,
            clusterwide=not settings.namespaces,
            stop_flag=stop,
        )

    async def _until_readable(self, stop: asyncio.Event) -> bool:
        """Return True once the CRD exists and may be read; False when `stop` is set.

        kopf looks up kinds once, at its start, and never finds a CRD that is installed later.
        """
        while not stop.is_set():
            try:
                await self._cache.list_proxies()
            except KubernetesError as error:
                self._problem = str(error)
                _log.warning("kubernetes.not_ready", error=self._problem)
            else:
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await stop.wait()
        return False

    async def _know(self) -> None:
        await self._readable.wait()
        await self._cache.complete()
        self._known.set()

    async def _work(self) -> None:
        """Reconcile what is enqueued, once everything is known that it depends on."""
        await self._known.wait()
        while True:
            await self._reconcile(await self._queue.get())

    async def _own(self) -> None:
        """Claim the Leases once it is known what there is to look after."""
        await self._known.wait()
        await self._leadership.run(self._enqueue_all)

    def _enqueue_all(self) -> None:
        self._reconciler.recall()
        keys = self._cache.proxies.keys()
        for key in keys:
            self._queue.put(key)

    async def _reconcile(self, key: ResourceKey) -> None:
        begun_at = time.monotonic()
        try:
            again_seconds = await self._reconciler.reconcile(key)
        except* KubernetesError as errors:
            self._failed(key, errors)
        except* Exception as errors:  # noqa: BLE001  one resource must not stop the others
            _log.exception("resource.broken", namespace=key.namespace, name=key.name)
            self._failed(key, errors)
        else:
            self._queue.done(key, again_seconds)
            self._metrics.counter(table.RECONCILES, "ok").inc()
            self._metrics.gauge(table.RECONCILED_AT).set(time.time())
        seconds = time.monotonic() - begun_at
        self._metrics.histogram(table.RECONCILE_SECONDS).observe(seconds)

    def _failed(self, key: ResourceKey, errors: BaseExceptionGroup[BaseException]) -> None:
        again_seconds = self._queue.failed(key)
        self._metrics.counter(table.RECONCILES, "failed").inc()
        _log.warning(
            "resource.not_reconciled",
            namespace=key.namespace,
            name=key.name,
            error=str(first_leaf(errors)),
            again_seconds=round(again_seconds, 1),
        )

    async def _check(self) -> str:
        return self._problem or self._cache.problem

    async def _check_lease(self) -> str:
        return self._leadership.problem
