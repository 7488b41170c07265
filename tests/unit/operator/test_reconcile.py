"""What an operator does once it looks after a namespace, and that nothing follows after that."""

from collections.abc import Callable
from copy import deepcopy

import msgspec
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


def named(name: str, namespace: str = "voice") -> Cluster:
    """Return a resource whose server is served, and which gets a new image."""
    cluster = Cluster()
    identity = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    cluster.resource["metadata"] |= identity
    cluster.resource["spec"]["servers"][0]["serverId"] = f"{name}-a"
    cluster.settle()
    cluster.resource["spec"]["ingest"] = {"image": "ingest:2"}
    return cluster


class Takeover:
    """Two resources; another operator has begun the roll-out of one."""

    def __init__(self, namespace: str = "voice") -> None:
        """Initialise it; the roll-out that has begun is in a namespace."""
        self.api = ScriptedApi()
        self.woken: list[ResourceKey] = []
        self.cache = Cache(self.api.kubernetes, (), self.woken.append)
        self.led: set[str] = set()
        self.reconciler = Reconciler(
            self.api.kubernetes,
            self.cache,
            self.led.__contains__,
            IMAGES,
            Defaults(max_servers_at_once=1),
            Metrics(prefixes=(*table.COMMON, "ariproxy_operator")),
        )
        for name, keys in Cluster().secrets.items():
            secret = {"metadata": {"name": name, "namespace": "voice"}, "data": dict(keys or {})}
            self.api.put(f"/api/v1/namespaces/voice/secrets/{name}", secret)
        begun, waiting = named("begun", namespace), named("waiting")
        begun.settle()
        ingest = begun.of("Deployment", "begun-ingest-asterisk-a")
        ingest["status"] |= {"replicas": 2, "updatedReplicas": 1}
        for cluster in (begun, waiting):
            self.know(cluster)

    def know(self, cluster: Cluster) -> None:
        self.cache.proxies.put(cluster.resource)
        resource = cluster.resource
        version = resource["apiVersion"].rpartition("/")[2]
        namespace, name = resource["metadata"]["namespace"], resource["metadata"]["name"]
        self.api.put(f"{ROOT}/{version}/namespaces/{namespace}/ariproxies/{name}", resource)
        for item in cluster.children.values():
            item["metadata"]["uid"] = f"uid-{item['kind']}-{item['metadata']['name']}"
            self.cache.written(item)

    def end(self, name: str) -> None:
        """Make all pods of a resource ready."""
        for item in self.cache.children(ResourceKey("voice", name)):
            if item["kind"] == "Deployment":
                item["metadata"]["resourceVersion"] = "9000"
                item["status"] |= {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
                self.cache.written(item)

    async def reconcile(self, name: str) -> None:
        await self.reconciler.reconcile(ResourceKey("voice", name))

    @property
    def changed(self) -> list[str]:
        """The Deployments that were applied."""
        paths = [path for path in self.api.paths("PATCH") if "/deployments/" in path]
        return [path.rpartition("/")[2] for path in paths]


async def test_roll_outs_of_a_former_operator_count_once_this_one_leads() -> None:
    scene = Takeover()
    # What is enqueued before the Lease is held.
    for name in ("begun", "waiting"):
        await scene.reconcile(name)
    scene.led.add("voice")
    await scene.reconcile("waiting")

    assert scene.changed == []


async def test_roll_outs_of_another_operator_count_once_this_one_leads_again() -> None:
    scene = Takeover()
    scene.led.add("voice")
    scene.reconciler.recall()
    scene.led.clear()
    for name in ("begun", "waiting"):
        await scene.reconcile(name)
    scene.led.add("voice")
    await scene.reconcile("waiting")

    assert scene.changed == []


async def test_roll_outs_of_namespaces_of_other_operators_do_not_count() -> None:
    scene = Takeover(namespace="office")
    scene.led.add("voice")
    scene.reconciler.recall()
    await scene.reconcile("waiting")

    assert scene.changed == ["waiting-ingest-asterisk-a"]


async def test_resource_that_can_not_be_reconciled_lets_the_next_one_go_first() -> None:
    scene = Takeover()
    scene.led.add("voice")
    last, broken = named("last"), named("waiting")
    scene.know(last)
    for name in ("begun", "waiting", "last"):
        await scene.reconcile(name)
    broken.resource["metadata"]["resourceVersion"] = "9000"
    broken.resource["spec"]["servers"] = "none"
    scene.know(broken)
    scene.end("begun")
    scene.woken.clear()
    await scene.reconcile("begun")
    assert scene.woken == [ResourceKey("voice", "waiting")]
    with pytest.raises(msgspec.ValidationError):
        await scene.reconcile("waiting")

    assert ResourceKey("voice", "last") in scene.woken
