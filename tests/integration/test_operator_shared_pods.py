"""Servers that share pods, at an API server in memory."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.api_server import ApiServer
from tests.support.operator_process import (
    NAMESPACE,
    cluster_with_secret,
    condition,
    is_ready,
    resource,
    served,
)
from tests.support.running import until
from tests.support.shared_pods import listed


def shared(*servers: str, **spec: Any) -> dict[str, Any]:
    found = resource("shared")
    own = {"servers": listed(*servers), "pods": "Shared", "serversPerPod": 2}
    # No pod answers here.
    found["spec"] |= own | {"drainTimeoutSeconds": 0} | spec
    return found


def change(api: ApiServer, *servers: str) -> None:
    (found,) = api.of("ariproxies")
    api.create("ariproxies", {**found, "spec": {**found["spec"], "servers": listed(*servers)}})


def names(api: ApiServer, plural: str) -> list[str]:
    return sorted(item["metadata"]["name"] for item in api.of(plural))


def slots(api: ApiServer) -> dict[str, str]:
    (found,) = api.of("ariproxies")
    servers = found.get("status", {}).get("servers", ())
    return {item["name"]: item["slot"] for item in servers}


async def test_servers_come_and_go_without_moving_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = cluster_with_secret()
    async with served(api, tmp_path, monkeypatch) as cluster, cluster.operator():
        api.create("ariproxies", shared("a", "b", "c"))
        await until(lambda: is_ready(api, "shared"))
        assert slots(api) == {"a": "0", "b": "0", "c": "1"}
        assert names(api, "deployments") == [
            f"shared-{kind}-{slot}" for kind in ("command", "ingest") for slot in (0, 1)
        ]

        change(api, "b", "c", "d")
        await until(lambda: slots(api).keys() == {"b", "c", "d"})
        # One of the two slots has room for d: which one depends on when a has left.
        assert slots(api) == {"b": "0", "c": "1", "d": slots(api)["d"]}
        change(api, "c")
        await until(lambda: slots(api) == {"c": "1"})
        await until(lambda: names(api, "deployments") == ["shared-command-1", "shared-ingest-1"])

    # The operator is started again: all stays where it is.
    before = {key: item for key, item in api.objects.items() if key.plural == "deployments"}
    async with served(api, tmp_path, monkeypatch) as cluster, cluster.operator():
        change(api, "c", "e")
        await until(lambda: slots(api) == {"c": "1", "e": "0"})
        await until(lambda: len(api.of("deployments")) == 4)

    assert before.items() <= api.objects.items()
    assert condition(api, "shared", "Accepted")["status"] == "True"
    assert {key.namespace for key in before} == {NAMESPACE}
