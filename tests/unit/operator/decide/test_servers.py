"""Which servers a resource means, and whose they are."""

from typing import Any

import pytest

from ari_proxy.operator.decide.rivals import rivals
from ari_proxy.operator.decide.servers import wanted
from ari_proxy.operator.model import parse
from ari_proxy.operator.names import server_name
from tests.support.resources import pod, proxy, resource


def found(*pods: dict[str, Any], known: tuple[str, ...] = (), **selector: Any) -> dict[str, str]:
    spec = resource("discovery")["spec"]["serverSelector"] | selector
    servers = wanted(proxy("discovery", serverSelector=spec), pods, known)
    return {server.server_id: server.rest_url for server in servers}


def test_server_of_the_list_has_its_name_as_id() -> None:
    (server,) = wanted(proxy("minimal"), ())

    assert (server.name, server.server_id) == ("asterisk-a", "asterisk-a")
    assert server.websocket_url == "ws://asterisk-0.asterisk:8088/ari/events"


def test_pod_of_a_stateful_set_is_known_by_its_name_in_dns() -> None:
    item = pod("asterisk-0")
    item["spec"] = {"hostname": "asterisk-0", "subdomain": "asterisk"}

    assert found(item) == {"asterisk-0": "http://asterisk-0.asterisk.voice.svc:8088/ari"}


@pytest.mark.parametrize(("address", "host"), [("10.0.0.7", "10.0.0.7"), ("fd00::7", "[fd00::7]")])
def test_any_other_pod_is_known_by_its_address(address: str, host: str) -> None:
    selected = found(pod("x", podIP=address), scheme="Https", port=8089, path="/x/ari")

    assert selected == {"x": f"https://{host}:8089/x/ari"}


def test_pod_that_is_not_ready_is_no_new_server() -> None:
    assert found(pod("x", ready=False)) == {}


def test_pod_that_is_no_longer_ready_stays_a_server() -> None:
    assert found(pod("x", ready=False), known=("x",)) == {"x": "http://10.0.0.1:8088/ari"}


@pytest.mark.parametrize("state", ["terminating", "Succeeded", "Failed", "without address"])
def test_pod_that_is_over_is_no_server(state: str) -> None:
    item = pod("x")
    if state == "terminating":
        item["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    elif state == "without address":
        item["status"]["podIP"] = ""
    else:
        item["status"]["phase"] = state

    assert found(item, known=("x",)) == {}


def test_servers_name_fits_into_a_label_and_is_its_own() -> None:
    one, other = server_name("a" * 40 + "-1"), server_name("a" * 40 + "-2")

    assert one != other
    assert len(one) == len(other) == 30
    assert server_name("asterisk.example-0") == "asterisk-example-0"


# Two resources


def named(name: str, created: str, **changes: Any) -> Any:
    item = resource(**changes)
    item["metadata"] |= {"name": name, "uid": name, "creationTimestamp": created}
    return parse(item)


def test_elder_resource_keeps_the_server_id() -> None:
    elder, younger = named("elder", "2026-01-01T00:00:00Z"), named("young", "2026-01-02T00:00:00Z")

    assert rivals(younger, [elder, younger]) == {"asterisk-a": "voice/elder"}
    assert rivals(elder, [elder, younger]) == {}


def test_same_server_id_on_another_bus_is_no_conflict() -> None:
    elder = named("elder", "2026-01-01T00:00:00Z")
    bus = {"type": "NATS", "nats": {"servers": ["nats://other:4222"]}}

    assert rivals(named("young", "2026-01-02T00:00:00Z", bus=bus), [elder]) == {}


def bus_of(kind: str, secret: str) -> dict[str, Any]:
    name = {"NATS": "nats", "RabbitMQ": "rabbitmq"}[kind]
    return {"type": kind, name: {"urlSecretRef": {"name": secret, "key": "url"}}}


@pytest.mark.parametrize("kind", ["NATS", "RabbitMQ"])
def test_bus_whose_url_is_in_a_secret_is_known_by_it(kind: str) -> None:
    elder = named("elder", "2026-01-01T00:00:00Z", bus=bus_of(kind, "bus"))

    same = named("young", "2026-01-02T00:00:00Z", bus=bus_of(kind, "bus"))
    other = named("young", "2026-01-02T00:00:00Z", bus=bus_of(kind, "other"))

    assert rivals(same, [elder]) == {"asterisk-a": "voice/elder"}
    assert rivals(other, [elder]) == {}


def test_resource_that_is_going_is_no_rival() -> None:
    item = resource()
    item["metadata"] |= {"uid": "x", "deletionTimestamp": "2026-11-24T12:00:00Z"}

    assert rivals(named("young", "2026-12-01T00:00:00Z"), [parse(item)]) == {}


def test_discovered_servers_are_those_of_the_status() -> None:
    item = resource("discovery")
    item["metadata"] |= {"uid": "elder", "creationTimestamp": "2026-01-01T00:00:00Z"}
    item["status"] = {"servers": [{"name": "asterisk-a", "serverId": "asterisk-a"}]}

    assert rivals(named("young", "2026-01-02T00:00:00Z"), [parse(item)]) == {
        "asterisk-a": "voice/discovery"
    }
