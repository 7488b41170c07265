"""What a reconciliation sees of objects that are too large to keep."""

import time
from typing import Any

import pytest

from ari_proxy.operator.cache import Cache
from ari_proxy.operator.errors import KubernetesError
from ari_proxy.operator.objects import Object, ResourceKey
from ari_proxy.operator.observe.gather import observe
from ari_proxy.operator.observe.secret_keys import SecretKeys
from ari_proxy.operator.state import Observed
from ari_proxy.operator.store import MAX_KEPT_BYTES
from tests.support.resources import Cluster
from tests.support.scripted_api import ScriptedApi

KEY = ResourceKey("voice", "minimal")


class Scene:
    """A settled resource, one of whose objects somebody has made large."""

    def __init__(self, kind: str, plural: str) -> None:
        cluster = Cluster()
        cluster.settle()
        self.api = ScriptedApi()
        self.cache = Cache(self.api.kubernetes, (), lambda _: None)
        self.cache.proxies.put(cluster.resource)
        self.key, item = next((k, v) for k, v in cluster.children.items() if k.kind == kind)
        self.path = f"/apis/apps/v1/namespaces/voice/{plural}/{self.key.name}"
        if kind == "ConfigMap":
            self.path = f"/api/v1/namespaces/voice/{plural}/{self.key.name}"
        item["metadata"]["annotations"] = {"large": "x" * MAX_KEPT_BYTES}
        self.item = self.api.put(self.path, item)
        for child in {**cluster.children, self.key: self.item}.values():
            self.cache.written(child)

    async def observed(self) -> Observed:
        found = await observe(self.cache, SecretKeys(self.api.kubernetes, time.monotonic), KEY)
        assert found is not None
        return found


@pytest.fixture(params=[("Deployment", "deployments"), ("ConfigMap", "configmaps")])
def scene(request: Any) -> Scene:
    return Scene(*request.param)


async def test_large_object_is_read_whole(scene: Scene) -> None:
    found = await scene.observed()

    assert found.children[scene.key] == scene.item
    assert len(found.children) > 1


async def test_large_object_that_is_gone_or_of_somebody_else_is_left_out(scene: Scene) -> None:
    metadata: Object = {**scene.item["metadata"], "ownerReferences": []}
    scene.api.objects[scene.path] = {**scene.item, "metadata": metadata}
    assert scene.key not in (await scene.observed()).children

    del scene.api.objects[scene.path]
    assert scene.key not in (await scene.observed()).children


async def test_large_object_that_cannot_be_read_fails_the_reconciliation(scene: Scene) -> None:
    scene.api.before = lambda _, path: 500 if path == scene.path else None

    with pytest.raises(KubernetesError):
        await scene.observed()
