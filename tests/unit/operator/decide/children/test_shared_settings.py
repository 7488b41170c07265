"""The settings of pods that serve several servers, as the pods read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.operator.names import Component
from ari_proxy.settings.load import Settings
from ari_proxy.settings.servers import load_servers
from tests.support.shared_pods import SharedCluster, listed


def loaded(cluster: SharedCluster, kind: Component, tmp_path: Path) -> dict[str, Settings]:
    """Return the settings of each server, as a pod of slot 0 reads them."""
    file = tmp_path / "config.json"
    file.write_text(cluster.of("ConfigMap", f"minimal-{kind}-0")["data"]["config.json"])
    return {server.server_id: server for server in load_servers(file)}


def settled(**spec: Any) -> SharedCluster:
    cluster = SharedCluster("a", "b", **spec)
    cluster.until_settled()
    return cluster


@pytest.mark.parametrize("kind", ["ingest", "command"])
def test_each_server_has_its_own_connection_and_login(kind: Component, tmp_path: Path) -> None:
    found = loaded(settled(), kind, tmp_path)

    assert sorted(found) == ["a", "b"]
    assert found["b"].ari.websocket_url == "ws://b/ari/events"
    assert found["b"].ari.user_file == "/etc/ari-proxy/secrets/servers/b/ari/user"
    assert found["b"].applications == ("demo",)
    assert found["b"].bus.urls == found["a"].bus.urls


def test_settings_of_a_component_are_those_of_all_its_servers(tmp_path: Path) -> None:
    spec = {"ingest": {"claim": True}, "command": {"maxInFlight": 7, "transport": "Http"}}
    cluster = settled(**spec)

    assert all(server.ingest.claim for server in loaded(cluster, "ingest", tmp_path).values())
    for server in loaded(cluster, "command", tmp_path).values():
        assert (server.ari.max_connections, server.command.transport) == (7, "http")


def test_server_that_http_does_not_reach_has_its_own_transport(tmp_path: Path) -> None:
    cluster = settled(command={"transport": "Http"})
    (unreached,) = listed("c")
    ari = {"connection": "Outbound", "credentialsSecretRef": {"name": "asterisk-ari"}}
    cluster.resource["spec"]["servers"].append({**unreached, "ari": ari})
    cluster.until_settled()
    found = loaded(cluster, "command", tmp_path)

    assert {name: server.command.transport for name, server in found.items()} == {
        "a": "http",
        "b": "http",
        "c": "websocket",
    }


def test_each_server_has_its_lease(tmp_path: Path) -> None:
    found = loaded(settled(ingest={"replicas": 2}), "ingest", tmp_path)

    assert {name: server.lease.name for name, server in found.items()} == {
        "a": "minimal-ingest-a",
        "b": "minimal-ingest-b",
    }


def test_a_single_ingest_has_leases_too(tmp_path: Path) -> None:
    """So that a server can move to other pods and back."""
    assert loaded(settled(), "ingest", tmp_path)["a"].lease.kind == "kubernetes"


def test_buffers_of_all_servers_fit_into_a_pod(tmp_path: Path) -> None:
    for size in (1, 32, 100):
        found = loaded(settled(serversPerPod=size), "ingest", tmp_path)
        assert found["a"].bus.buffer_bytes * size <= 400 * 1024 * 1024


def test_draining_server_can_still_be_read(tmp_path: Path) -> None:
    cluster = settled()
    cluster.calls = {"b": 1}
    cluster.run_pods()
    cluster.serve("a")
    cluster.until_settled()
    found = loaded(cluster, "ingest", tmp_path)

    assert (found["a"].ingest.final, found["b"].ingest.final) == (False, True)


def test_order_in_the_spec_is_no_difference() -> None:
    cluster = settled()
    cluster.serve("b", "a")

    assert cluster.plan().apply == ()


def test_ids_of_the_servers_stand_beside_the_settings() -> None:
    config = settled().of("ConfigMap", "minimal-command-0")
    annotation = config["metadata"]["annotations"]["ari-proxy.io/servers"]

    assert json.loads(annotation) == {"a": "a", "b": "b"}
