"""Who may reach the pods of a resource."""

import json
from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.config_map import settings
from ari_proxy.operator.decide.children.network_policy import network_policy
from ari_proxy.operator.decide.children.pod_template import pod_template
from ari_proxy.operator.decide.defaults import Defaults
from ari_proxy.operator.objects import matches
from tests.support.resources import component, proxy

PEER = {"namespaceSelector": {"matchLabels": {"metrics": "enabled"}}}
READER = {"podSelector": {"matchLabels": {"app": "support"}}}


def policy(*peers: dict[str, Any]) -> dict[str, Any]:
    found = network_policy(proxy(), Defaults(admin_peers=peers))
    assert found is not None
    spec: dict[str, Any] = found["spec"]
    return spec


def test_there_is_none_unless_the_installation_says_who_may_come() -> None:
    assert network_policy(proxy(), Defaults()) is None


@pytest.mark.parametrize("part", names.COMPONENTS)
def test_it_selects_all_pods_of_the_resource(part: names.Component) -> None:
    selected = policy()["podSelector"]["matchLabels"]
    pods = names.labels("minimal", part, component(part).slot.name)
    assert matches(pods, selected)
    assert not matches(names.labels("other", part, "asterisk-a"), selected)


def test_peers_reach_the_admin_api_alone() -> None:
    rule, _ = policy(PEER)["ingress"]
    assert rule == {"from": [PEER], "ports": [{"port": "admin", "protocol": "TCP"}]}


def test_what_shows_calls_is_open_to_peers_of_its_own_alone() -> None:
    found = network_policy(proxy(), Defaults(admin_peers=(PEER,), calls_peers=(READER,)))
    assert found is not None
    assert found["spec"]["ingress"][1] == {
        "from": [READER],
        "ports": [{"port": "calls", "protocol": "TCP"}],
    }
    assert "calls" not in json.dumps(policy(PEER))


def test_only_pods_with_dialogs_have_a_port_for_them() -> None:
    ports = {
        part: {
            port["name"]: port["containerPort"]
            for port in pod_template(component(part))["spec"]["containers"][0]["ports"]
        }
        for part in names.COMPONENTS
    }
    assert ports == {"ingest": {"admin": 9797, "calls": 9798}, "command": {"admin": 9797}}
    assert settings(component("ingest"))["admin"]["calls_port"] == 9798
    assert "calls_port" not in settings(component("command"))["admin"]


def test_without_peers_nobody_reaches_it() -> None:
    """A rule with an empty `from` would be open to all."""
    ports = [port["port"] for rule in policy()["ingress"] for port in rule["ports"]]
    assert ports == ["ari"]
    assert policy()["policyTypes"] == ["Ingress"]


def test_asterisk_comes_from_anywhere_to_the_port_of_pods_that_listen() -> None:
    """Named, so that it is that of a pod of a draining server, too, and of no other."""
    _, rule = policy(PEER)["ingress"]
    assert rule == {"ports": [{"port": "ari", "protocol": "TCP"}]}
    (listening,) = pod_template(component(sample="outbound"))["spec"]["containers"]
    (calling,) = pod_template(component())["spec"]["containers"]
    assert "ari" in {port["name"] for port in listening["ports"]}
    assert "ari" not in {port["name"] for port in calling["ports"]}
