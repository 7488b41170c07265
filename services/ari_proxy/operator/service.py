"""The operator put together: kopf watches, workers look, the admin API tells."""

import asyncio
import contextlib
import os
import time
from typing import Final

import kopf
import structlog

from ari_proxy.__about__ import __version__
from ari_proxy.admin import api as health
from ari_proxy.admin.api import AdminApi
from ari_proxy.aio import first_leaf
from ari_proxy.operator.decide.children.wanted import Images
from ari_proxy.settings.operator import OperatorSettings
from ari_proxy.telemetry import loop_lag
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics

from . import handlers, kubernetes, names
from .errors import KubernetesError
from .reconcile import Reconciler
from .schedule import Key, Schedule

_log = structlog.get_logger()

#: Seconds between two looks for the kind AriProxy.
RETRY_SECONDS: Final = 5.0


async def serve(settings: OperatorSettings, stop: asyncio.Event) -> None:
    """Look after the resources until `stop`.

    Raises:
        NoKubernetesError: there is no cluster.
        AdminApiError: the admin API's address can't be listened on.
    """
    metrics = Metrics(begin=(*table.COMMON, "ariproxy_operator"))
    metrics.gauge(table.BUILD, __version__, "operator").set(1)
    loop = asyncio.get_running_loop()
    metrics.read(table.TASKS, lambda: len(asyncio.all_tasks(loop)))
    images = Images(ingest=settings.ingest_image, command=settings.command_image)
    async with kubernetes.opened() as cluster:
        reconciler = Reconciler(cluster, images, metrics, settings.namespaces)
        operator = Operator(reconciler, metrics)
        await operator.run(settings, stop)


class Operator:
    """Has workers look at whatever is due."""

    def __init__(self, reconciler: Reconciler, metrics: Metrics) -> None:
        self._reconciler = reconciler
        self._metrics = metrics
        self._schedule = Schedule(time.monotonic)
        self._changed = asyncio.Event()
        self._problem = "Kubernetes is not watched yet"
        for result in ("ok", "failed"):  # Begun at zero: the first failure is a rise, too.
            metrics.counter(table.RECONCILES, result)

    async def run(self, settings: OperatorSettings, stop: asyncio.Event) -> None:
        """Work until `stop`; what a worker has begun is finished, or given up after a moment."""
        checks = {"kubernetes": self._check}
        api = AdminApi(checks=checks, metrics=self._metrics)
        async with asyncio.TaskGroup() as tasks:
            # Before kopf: at its end it cancels the tasks that it did not find at its beginning.
            lag = self._metrics.histogram(table.LOOP_LAG)
            others = [tasks.create_task(loop_lag.measure(lag))]
            others += [tasks.create_task(self._work()) for _ in range(settings.workers)]
            if settings.admin.enabled:
                serving = health.serve(api, settings.admin.host, settings.admin.port)
                others.append(tasks.create_task(serving))
            await asyncio.sleep(0)
            if await self._is_possible(stop):
                self._problem = ""
                await self._watch(settings, stop)
            for task in others:
                task.cancel()

    async def _watch(self, settings: OperatorSettings, stop: asyncio.Event) -> None:
        # kopf looks for a name to be known by; a container's user has none.
        os.environ.setdefault("USER", names.MANAGER)
        registry = handlers.Handlers(self.put, lambda: self._reconciler.selectors).registry()
        await kopf.operator(
            registry=registry,
            settings=handlers.settings(),
            namespaces=settings.namespaces,
            clusterwide=not settings.namespaces,
            stop_flag=stop,
        )

    async def _is_possible(self, stop: asyncio.Event) -> bool:
        """Return once the kind is there and may be read; False at `stop`.

        kopf looks for kinds once, and would wait for ever for one that comes later.
        """
        while not stop.is_set():
            try:
                await self._reconciler.check()
            except KubernetesError as error:
                self._problem = str(error)
                _log.warning("kubernetes.not_ready", error=self._problem)
            else:
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await stop.wait()
        return False

    def put(self, key: Key) -> None:
        """Have a resource looked at soon."""
        self._schedule.put(key)
        self._changed.set()

    async def _work(self) -> None:
        while True:
            key = self._schedule.take()
            if key is None:
                await self._wait()
                continue
            await self._look(key)
            self._changed.set()  # Another worker may be waiting for this one's end.

    async def _wait(self) -> None:
        """Return when something is due, or has been put."""
        self._changed.clear()
        try:
            async with asyncio.timeout(self._schedule.wait_seconds()):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _look(self, key: Key) -> None:
        namespace, name = key
        begun_at = time.monotonic()
        try:
            again = await self._reconciler.reconcile(namespace, name)
        except* KubernetesError as errors:
            self._failed(key, errors)
        except* Exception as errors:  # noqa: BLE001  not the other resources' trouble
            _log.exception("resource.broken", namespace=namespace, name=name)
            self._failed(key, errors)
        else:
            self._schedule.done(key, again)
            self._metrics.counter(table.RECONCILES, "ok").inc()
            self._metrics.gauge(table.RECONCILED_AT).set(time.time())
        seconds = time.monotonic() - begun_at
        self._metrics.histogram(table.RECONCILE_SECONDS).observe(seconds)

    def _failed(self, key: Key, errors: BaseExceptionGroup[BaseException]) -> None:
        again = self._schedule.failed(key)
        self._metrics.counter(table.RECONCILES, "failed").inc()
        _log.warning(
            "resource.not_reconciled",
            namespace=key[0],
            name=key[1],
            error=str(first_leaf(errors)),
            again_seconds=round(again, 1),
        )

    async def _check(self) -> str:
        return self._problem
