"""Services and configuration of an Asterisk that opens the websockets."""

import re
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.operator.decide.children.config_map import config_map
from ari_proxy.operator.decide.children.outbound import asterisk_config_maps, services
from ari_proxy.operator.decide.children.pod_template import pod_template
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import ObjectKey
from ari_proxy.settings.load import Settings, load
from tests.support.resources import Cluster, component, resource

CONFIG = ObjectKey("ConfigMap", "outbound-asterisk-asterisk-a")
SERVICES = {"outbound-ingest-asterisk-a", "outbound-command-asterisk-a"}


def servers_with(**ari: Any) -> list[dict[str, Any]]:
    """Return the sample's server with some fields of ARI replaced."""
    (server,) = resource("outbound")["spec"]["servers"]
    return [{**server, "ari": {**server["ari"], **ari}}]


def written(**spec: Any) -> dict[str, str]:
    """Return Asterisk's files."""
    (found,) = asterisk_config_maps(component("command", "outbound", **spec))
    data: dict[str, str] = found["data"]
    return data


def settings(kind: Component, tmp_path: Path, **spec: Any) -> Settings:
    file = tmp_path / "config.json"
    file.write_text(config_map(component(kind, "outbound", **spec))["data"]["config.json"])
    return load(file)


@pytest.mark.parametrize("kind", ["ingest", "command"])
def test_service_reaches_all_pods_of_a_component(kind: Component) -> None:
    item = component(kind, "outbound")
    (found,) = services(item)
    template = pod_template(item)
    ports = {port["name"]: port for port in template["spec"]["containers"][0]["ports"]}

    assert found["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert found["spec"]["publishNotReadyAddresses"] is True
    (port,) = found["spec"]["ports"]
    assert ports[port["targetPort"]]["containerPort"] == port["port"] == 8089


@pytest.mark.parametrize("kind", ["ingest", "command"])
def test_pods_wait_for_asterisk(kind: Component, tmp_path: Path) -> None:
    found = settings(kind, tmp_path)

    assert found.ari.connection == "outbound"
    assert found.ari.listen.endswith(":8089")
    assert found.ari.password_file == "/etc/ari-proxy/secrets/ari/password"


def test_commands_use_http_only_where_asterisk_can_be_reached(tmp_path: Path) -> None:
    reached = servers_with(url="http://asterisk-0.asterisk:8088/ari")

    assert settings("command", tmp_path).command.transport == "websocket"
    assert settings("command", tmp_path, servers=reached).command.transport == "auto"
    assert "enabled = no" in written()["http.conf"]
    assert "bindport = 8088" in written(servers=reached)["http.conf"]


def test_asterisk_connects_to_the_services() -> None:
    files = written()
    uris = re.findall(r"^uri = (.*)$", files["websocket_client.conf"], re.MULTILINE)

    assert uris == [
        "ws://outbound-ingest-asterisk-a.voice.svc:8089/asterisk-a/events",
        *(2 * 4 + 1) * ["ws://outbound-command-asterisk-a.voice.svc:8089/asterisk-a/commands"],
    ]
    assert "enable_pingpongs = yes" in files["websocket_client.conf"]
    assert '#include "ari-proxy-password.conf"' in files["ari.conf"]


def test_websockets_that_are_mostly_refused_are_tried_seldom() -> None:
    scaled = {"autoscaling": {"minReplicas": 2, "maxReplicas": 5}, "websockets": 1}
    text = written(command=scaled)["websocket_client.conf"]
    intervals = re.findall(r"^reconnect_interval = (\d+)$", text, re.MULTILINE)

    assert intervals == ["250"] * (1 + 2) + ["5000"] * (3 + 1)


def test_no_websocket_is_for_commands_that_go_by_http() -> None:
    reached = servers_with(url="http://asterisk-0.asterisk:8088/ari")
    text = written(servers=reached, command={"transport": "Http"})["websocket_client.conf"]

    assert text.count("uri = ") == 1


def test_certificates_are_those_of_the_secrets(tmp_path: Path) -> None:
    refs = {"certificateSecretRef": {"name": "ours"}, "clientCaSecretRef": {"name": "theirs"}}
    servers = servers_with(outbound=refs)
    found = settings("ingest", tmp_path, servers=servers).ari
    clients = written(servers=servers)["websocket_client.conf"]

    assert found.listen_certificate_file == "/etc/ari-proxy/secrets/ari/listen_certificate"
    assert found.listen_key_file == "/etc/ari-proxy/secrets/ari/listen_key"
    assert found.listen_client_ca_file == "/etc/ari-proxy/secrets/ari/listen_client_ca"
    assert clients.count("uri = wss://") == clients.count("cert_file = ") == 10
    assert "enable_pingpongs" not in clients  # asteriskVersion is the oldest by default.


def test_what_outbound_has_is_deleted_when_ari_proxy_connects() -> None:
    cluster = Cluster("outbound")
    cluster.settle()
    assert CONFIG in cluster.children
    assert set(cluster.named("Service")) == SERVICES

    cluster.resource["spec"]["servers"] = resource()["spec"]["servers"]
    cluster.settle()

    assert set(cluster.deleted) == {CONFIG, *(ObjectKey("Service", name) for name in SERVICES)}
    assert cluster.settle() == []


def test_inbound_needs_neither() -> None:
    cluster = Cluster()
    cluster.settle()

    assert cluster.named("Service") == []
    assert len(cluster.named("ConfigMap")) == 2
