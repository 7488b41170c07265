"""No write follows once another operator looks after the namespace."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from ari_proxy.operator.cache import Cache
from ari_proxy.operator.decide.defaults import Defaults
from ari_proxy.operator.errors import KubernetesError
from ari_proxy.operator.objects import Object, ObjectKey, ResourceKey
from ari_proxy.operator.reconcile import Reconciler
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics
from tests.support.resources import IMAGES, Cluster
from tests.support.scripted_api import ScriptedApi

CONFIG = ObjectKey("ConfigMap", "minimal-ingest-asterisk-a")
CONFIG_PATH = f"/api/v1/namespaces/voice/configmaps/{CONFIG.name}"
KEY = ResourceKey("voice", "minimal")
ROOT = "/apis/ari-proxy.io"


class Scene:
    """A resource in a namespace that this operator looks after up to some request."""

    def __init__(self, last: Callable[[str, str], bool]) -> None:
        self._last = last
        self._leads = True
        #: The status of the first answer to an apply of the ConfigMap.
        self.refusal: int | None = None
        #: Method and path of each write after that.
        self.late: list[tuple[str, str]] = []
        self.cluster = Cluster()
        self.api = ScriptedApi(before=self._before)
        for name, keys in self.cluster.secrets.items():
            secret = {"metadata": {"name": name, "namespace": "voice"}, "data": dict(keys or {})}
            self.api.put(f"/api/v1/namespaces/voice/secrets/{name}", secret)
        self.resource = self.cluster.resource
        self.cache = Cache(self.api.kubernetes, (), lambda _: None)
        metrics = Metrics(prefixes=(*table.COMMON, "ariproxy_operator"))
        self.reconciler = Reconciler(
            self.api.kubernetes,
            self.cache,
            lambda _: self._leads,
            IMAGES,
            Defaults(),
            metrics,
        )

    async def reconcile(self) -> None:
        self.cache.proxies.put(self.resource)
        kind = self.resource["apiVersion"].rpartition("/")[2]
        path = f"{ROOT}/{kind}/namespaces/voice/ariproxies/minimal"
        self.api.objects[path] = self.resource
        with pytest.raises(KubernetesError, match="another operator looks after it now"):
            await self.reconciler.reconcile(KEY)

    def _before(self, method: str, path: str) -> int | None:
        if not self._leads and method != "GET":
            self.late.append((method, path))
        if self._last(method, path):
            self._leads = False
        if (method, path) == ("PATCH", CONFIG_PATH):
            refusal, self.refusal = self.refusal, None
            return refusal
        return None

    def existing(self) -> Object:
        """Have the ConfigMap as the operator makes it."""
        self.cluster.settle()
        return self.api.put(CONFIG_PATH, deepcopy(self.cluster.children[CONFIG]))


async def test_no_event_follows_a_status() -> None:
    scene = Scene(lambda method, path: method == "PATCH" and path.endswith("/status"))
    scene.api.objects.clear()  # A missing Secret is told by an Event.
    await scene.reconcile()

    assert scene.late == []


async def test_object_without_its_labels_is_not_applied_again() -> None:
    scene = Scene(lambda *request: request == ("GET", CONFIG_PATH))
    scene.existing()
    scene.refusal = 409
    await scene.reconcile()

    assert scene.late == []


async def test_additions_are_not_removed() -> None:
    scene = Scene(lambda *request: request == ("PATCH", CONFIG_PATH))
    live = scene.existing()
    live["data"]["added"] = "by somebody"
    owned: Object = {"f:data": {"f:added": {}}}
    entry = {"manager": "kubectl", "operation": "Update", "fieldsV1": owned}
    live["metadata"]["managedFields"] = [entry]
    scene.cache.written(live)
    await scene.reconcile()

    assert scene.late == []
