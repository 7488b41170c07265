"""Several operators at one API server: one of them acts in each namespace."""

from contextlib import AsyncExitStack
from typing import Any

import pytest

from ari_proxy.operator import names
from tests.support.api_server import ApiServer, Key
from tests.support.operator_process import (
    NAMESPACE,
    Cluster,
    cluster_with_secret,
    is_ready,
    resource,
)
from tests.support.running import until

OTHER = "other"
NEW: dict[str, Any] = {
    "ingest_image": "ingest:new",
    "command_image": "command:new",
    "lease_seconds": 3,
}
OLD: dict[str, Any] = {
    "ingest_image": "ingest:old",
    "command_image": "command:old",
    "lease_seconds": 3,
}


@pytest.fixture
def api() -> ApiServer:
    return cluster_with_secret(NAMESPACE, OTHER)


def spec(api: ApiServer, namespace: str = "kube-system") -> dict[str, Any]:
    lease = api.objects.get(Key("leases", namespace, names.MANAGER), {})
    found: dict[str, Any] = lease.get("spec", {})
    return found


def tags(api: ApiServer, namespace: str = NAMESPACE) -> set[str]:
    """Return the tags of the images that the Deployments have."""
    pods = [item["spec"]["template"]["spec"] for item in api.of("deployments", namespace)]
    return {pod["containers"][0]["image"].partition(":")[2] for pod in pods}


def reasons(api: ApiServer) -> set[str]:
    return {item["reason"] for item in api.of("events")}


async def test_second_release_waits_and_tells_so(api: ApiServer, cluster: Cluster) -> None:
    async with cluster.operator("first", **OLD):
        api.create("ariproxies", resource("a"))
        await until(lambda: is_ready(api, "a"))
        holder = spec(api)["holderIdentity"]
        async with cluster.operator("second", **NEW):
            await until(lambda: "AnotherOperatorLeads" in reasons(api))
            renewed = spec(api)["renewTime"]
            api.create("ariproxies", resource("b"))
            await until(lambda: is_ready(api, "b") and spec(api)["renewTime"] != renewed)

            assert tags(api) == {"old"}
            assert spec(api)["holderIdentity"] == holder
            assert holder.startswith("first/")


async def test_second_takes_over_when_the_first_stops(api: ApiServer, cluster: Cluster) -> None:
    api.create("ariproxies", resource("a"))
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(cluster.operator("first", **OLD))
        await until(lambda: is_ready(api, "a"))
        await second.enter_async_context(cluster.operator("second", **NEW))
        await until(lambda: "AnotherOperatorLeads" in reasons(api))
        assert tags(api) == {"old"}
        await first.aclose()

        await until(lambda: tags(api) == {"new"})
        assert spec(api)["holderIdentity"].startswith("second/")


async def test_no_lease_is_left_behind(api: ApiServer, cluster: Cluster) -> None:
    async with cluster.operator(**OLD):
        await until(lambda: spec(api).get("holderIdentity"))

    assert api.of("leases") == []


async def test_operator_that_crashed_is_replaced(api: ApiServer, cluster: Cluster) -> None:
    crashed = {"holderIdentity": "ari-proxy/gone_1", "renewTime": "x", "leaseDurationSeconds": 3}
    metadata = {"name": names.MANAGER, "namespace": "kube-system"}
    labels = {names.COMPONENT: "operator", names.PART_OF: "ari-proxy"}
    api.create("leases", {"metadata": {**metadata, "labels": labels}, "spec": crashed})
    api.create("ariproxies", resource("a"))
    async with cluster.operator(**OLD):
        await until(lambda: is_ready(api, "a"))

        assert spec(api)["leaseTransitions"] == 1


async def test_deleted_lease_is_made_anew(api: ApiServer, cluster: Cluster) -> None:
    async with cluster.operator(**OLD):
        await until(lambda: spec(api).get("holderIdentity"))
        api.delete("leases", "kube-system", names.MANAGER)

        await until(lambda: spec(api).get("holderIdentity"))


async def test_namespace_with_an_operator_of_its_own_is_left_to_it(
    api: ApiServer, cluster: Cluster
) -> None:
    api.create("ariproxies", resource("a"))
    api.create("ariproxies", resource("b", OTHER))
    async with cluster.operator("everywhere", **OLD):
        await until(lambda: is_ready(api, "a", "b"))
        async with cluster.operator("own", namespaces=(OTHER,), **NEW):
            await until(lambda: tags(api, OTHER) == {"new"})
            api.create("ariproxies", resource("c", OTHER))
            await until(lambda: is_ready(api, "c"))

            assert tags(api, OTHER) == {"new"}
            assert tags(api, NAMESPACE) == {"old"}
        await until(lambda: tags(api, OTHER) == {"old"})
