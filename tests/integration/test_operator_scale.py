"""The operator at an API server in memory: what it asks, what it keeps, and what it misses not."""

import copy
from typing import Any

import pytest

from tests.support import resources
from tests.support.api_server import RUNNING, ApiServer
from tests.support.operator_process import (
    NAMESPACE,
    Cluster,
    condition,
    is_ready,
    resource,
)
from tests.support.running import until


async def test_resource_takes_few_requests(api: ApiServer, cluster: Cluster) -> None:
    """Six objects, two statuses, an Event, and its Secret: nothing is listed for it."""
    async with cluster.operator():
        api.create("ariproxies", resource("first"))
        await until(lambda: is_ready(api, "first") and api.of("events"))
        before = api.requests.copy()
        api.create("ariproxies", resource("second"))
        await until(lambda: is_ready(api, "second") and len(api.of("events")) == 2)

        asked = api.requests - before
    assert {plural: count for (verb, plural), count in asked.items() if verb == "patch"} == {
        "serviceaccounts": 2,
        "configmaps": 2,
        "deployments": 2,
        "ariproxies": 2,
        "events": 1,
    }
    assert {plural for verb, plural in asked if verb != "patch"} <= {
        "secrets",
        "ariproxies",
        "leases",
    }


async def test_objects_of_others_are_not_even_read(api: ApiServer, cluster: Cluster) -> None:
    for number in range(40):
        metadata = {"name": f"large-{number}", "namespace": "other"}
        api.create("configmaps", {"metadata": metadata, "data": {"large": "x" * 700_000}})
        api.create("pods", {"metadata": metadata, "status": RUNNING})
    api.create("ariproxies", resource("first"))
    async with cluster.operator():
        await until(lambda: is_ready(api, "first"))
        for number in range(40):
            metadata = {"name": f"large-{number}", "namespace": "other"}
            api.create("configmaps", {"metadata": metadata, "data": {"large": "y" * 700_000}})
        api.create("ariproxies", resource("second"))
        await until(lambda: is_ready(api, "second"))

    assert api.sent_bytes < 700_000


@pytest.mark.parametrize("plural", ["deployments", "configmaps", "serviceaccounts"])
async def test_deleted_object_comes_back(api: ApiServer, cluster: Cluster, plural: str) -> None:
    api.create("ariproxies", resource("first"))
    async with cluster.operator():
        await until(lambda: is_ready(api, "first"))
        deleted = api.of(plural)[0]["metadata"]
        api.delete(plural, NAMESPACE, deleted["name"])

        await until(lambda: len(api.of(plural)) == 2)


async def test_changed_object_is_changed_back(api: ApiServer, cluster: Cluster) -> None:
    api.create("ariproxies", resource("first"))
    async with cluster.operator():
        await until(lambda: is_ready(api, "first"))
        changed = copy.deepcopy(api.of("configmaps")[0])
        data = changed["data"]
        api.create("configmaps", {**changed, "data": dict.fromkeys(data, "changed")})

        await until(lambda: api.of("configmaps")[0]["data"] == data)


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["resumed", "listed again"])
async def test_what_happens_while_the_watch_is_cut_is_not_missed(
    api: ApiServer, cluster: Cluster, is_forgotten: bool
) -> None:
    api.create("ariproxies", resource("first"))
    async with cluster.operator():
        await until(lambda: is_ready(api, "first"))
        api.refused["watch", "configmaps"] = 503
        api.cut_watches()
        watches = api.requests["watch", "configmaps"]
        await until(lambda: api.requests["watch", "configmaps"] > watches)
        name = api.of("configmaps")[0]["metadata"]["name"]
        api.delete("configmaps", NAMESPACE, name)
        if is_forgotten:
            api.forget_changes()
        del api.refused["watch", "configmaps"]

        await until(lambda: len(api.of("configmaps")) == 2)
        assert (api.requests["list", "configmaps"] == 2) is is_forgotten


@pytest.mark.parametrize("status", [404, 403])
async def test_kind_that_a_cluster_lacks_is_asked_for_once(
    api: ApiServer, cluster: Cluster, status: int
) -> None:
    api.refused["list", "podmonitors"] = status
    api.create("ariproxies", resource("first"))
    async with cluster.operator():
        await until(lambda: is_ready(api, "first"))
        api.create("ariproxies", resource("second"))
        await until(lambda: is_ready(api, "second"))

    assert api.requests["list", "podmonitors"] == 1


async def test_kind_that_may_be_listed_but_not_watched_is_known(
    api: ApiServer, cluster: Cluster
) -> None:
    api.refused["watch", "leases"] = 403
    found = resource("first")
    found["spec"]["ingest"] = {"replicas": 2}
    api.create("ariproxies", found)
    async with cluster.operator():
        await until(lambda: is_ready(api, "first"))
        applied = api.requests["patch", "leases"]
        api.create("ariproxies", resource("second"))
        await until(lambda: is_ready(api, "second"))

        assert api.requests["patch", "leases"] == applied == 1


async def test_kind_that_is_needed_and_may_not_be_read_is_awaited(
    api: ApiServer, cluster: Cluster
) -> None:
    api.refused["list", "deployments"] = 403
    api.create("ariproxies", resource("first"))
    async with cluster.operator():
        await until(lambda: api.requests["list", "deployments"] > 1)
        assert api.of("deployments") == []
        del api.refused["list", "deployments"]

        await until(lambda: is_ready(api, "first"))


def asterisk_pod(name: str, app: str = "asterisk") -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": app}}
    return {"metadata": metadata, "spec": {}, "status": RUNNING}


async def test_selected_pods_are_followed(api: ApiServer, cluster: Cluster) -> None:
    found = resources.resource("discovery")
    selector = {**found["spec"]["serverSelector"], "matchLabels": {"app": "asterisk"}}
    spec = {**found["spec"], "serverSelector": selector}
    metadata = {"name": "found", "namespace": NAMESPACE}
    api.create("pods", asterisk_pod("asterisk-0"))
    api.create("pods", asterisk_pod("other-0", app="other"))
    api.create("ariproxies", {"metadata": metadata, "spec": spec})
    async with cluster.operator():
        await until(lambda: is_ready(api, "found"))
        api.create("pods", asterisk_pod("asterisk-1"))
        await until(lambda: len(servers(api, "found")) == 2)

        assert servers(api, "found") == {"asterisk-0", "asterisk-1"}


def servers(api: ApiServer, name: str) -> set[str]:
    (found,) = [item for item in api.of("ariproxies") if item["metadata"]["name"] == name]
    return {server["name"] for server in found.get("status", {}).get("servers", ())}


async def test_younger_resource_serves_once_the_older_one_is_gone(
    api: ApiServer, cluster: Cluster
) -> None:
    older, younger = resource("older"), resource("younger")
    younger["spec"]["servers"][0]["serverId"] = "older"
    younger["metadata"]["creationTimestamp"] = "2026-11-24T11:00:00Z"
    async with cluster.operator():
        api.create("ariproxies", older)
        await until(lambda: is_ready(api, "older"))
        api.create("ariproxies", younger)
        await until(lambda: condition(api, "younger", "Accepted").get("status") == "False")
        api.delete("ariproxies", NAMESPACE, "older")

        await until(lambda: is_ready(api, "younger"))
