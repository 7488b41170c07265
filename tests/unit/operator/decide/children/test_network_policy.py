"""Who may reach the pods of a resource."""

from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.network_policy import network_policy
from ari_proxy.operator.decide.defaults import Defaults
from ari_proxy.operator.objects import matches
from tests.support.resources import component, proxy

PEER = {"namespaceSelector": {"matchLabels": {"metrics": "enabled"}}}


def policy(sample: str = "minimal", *peers: dict[str, Any]) -> dict[str, Any]:
    found = network_policy(proxy(sample), Defaults(admin_peers=peers))
    assert found is not None
    spec: dict[str, Any] = found["spec"]
    return spec


def test_there_is_none_unless_the_installation_says_who_may_come() -> None:
    assert network_policy(proxy(), Defaults()) is None


@pytest.mark.parametrize("part", names.COMPONENTS)
def test_it_selects_all_pods_of_the_resource(part: names.Component) -> None:
    selected = policy()["podSelector"]["matchLabels"]
    pods = names.labels("minimal", part, component(part).server.name)
    assert matches(pods, selected)
    assert not matches(names.labels("other", part, "asterisk-a"), selected)


def test_peers_reach_the_admin_api_alone() -> None:
    (rule,) = policy("minimal", PEER)["ingress"]
    assert rule == {"from": [PEER], "ports": [{"port": "admin", "protocol": "TCP"}]}


def test_without_peers_nobody_comes_in() -> None:
    """A rule with an empty `from` would be open to all."""
    assert policy()["ingress"] == []
    assert policy()["policyTypes"] == ["Ingress"]


def test_asterisk_that_opens_the_websockets_comes_from_anywhere() -> None:
    admin, ari = policy("outbound", PEER)["ingress"]
    assert admin["from"] == [PEER]
    assert ari == {"ports": [{"port": "ari", "protocol": "TCP"}]}
