"""Which servers a resource specifies."""

from typing import Any

import pytest

from ari_proxy.operator.decide.servers import desired_servers
from tests.support.resources import Cluster, pod, resource


def discovered(*pods: dict[str, Any], known: str = "", **selector: Any) -> dict[str, str]:
    """Return the URLs, by server_id, of the servers in these pods; `known` has Deployments."""
    spec = resource("discovery")["spec"]["serverSelector"] | selector
    cluster = Cluster("discovery", serverSelector=spec)
    if known:
        cluster.asterisk_pods = [pod(known)]
        cluster.settle()
    cluster.asterisk_pods = list(pods)
    return {server.server_id: server.rest_url for server in desired_servers(cluster.observed)}


def test_listed_server_has_its_name_as_server_id() -> None:
    (server,) = desired_servers(Cluster("minimal").observed)

    assert (server.name, server.server_id) == ("asterisk-a", "asterisk-a")
    assert server.websocket_url == "ws://asterisk-0.asterisk:8088/ari/events"


def test_listed_server_may_have_another_server_id() -> None:
    (server,) = resource()["spec"]["servers"]
    cluster = Cluster(servers=[{**server, "serverId": "ast_a"}])
    (found,) = desired_servers(cluster.observed)

    assert (found.name, found.server_id) == ("asterisk-a", "ast_a")


def test_pod_of_a_stateful_set_has_a_dns_name() -> None:
    item = pod("asterisk-0")
    item["spec"] = {"hostname": "asterisk-0", "subdomain": "asterisk"}

    assert discovered(item) == {"asterisk-0": "http://asterisk-0.asterisk.voice.svc:8088/ari"}


@pytest.mark.parametrize(("address", "host"), [("10.0.0.7", "10.0.0.7"), ("fd00::7", "[fd00::7]")])
def test_any_other_pod_has_its_address(address: str, host: str) -> None:
    found = discovered(pod("x", podIP=address), scheme="Https", port=8089, path="/x/ari")

    assert found == {"x": f"https://{host}:8089/x/ari"}


def test_pods_are_sorted_by_name() -> None:
    assert list(discovered(pod("b"), pod("a"))) == ["a", "b"]


def test_pod_that_is_not_ready_is_no_new_server() -> None:
    assert discovered(pod("x", ready=False)) == {}


def test_deployed_server_stays_while_its_pod_is_not_ready() -> None:
    assert discovered(pod("x", ready=False), known="x") == {"x": "http://10.0.0.1:8088/ari"}


@pytest.mark.parametrize("state", ["terminating", "Succeeded", "Failed", "without address"])
def test_finished_pod_is_no_server(state: str) -> None:
    item = pod("x")
    if state == "terminating":
        item["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    elif state == "without address":
        item["status"]["podIP"] = ""
    else:
        item["status"]["phase"] = state

    assert discovered(item, known="x") == {}
