"""The settings that a pod mounts, read as the services read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.operator.decide.children.component import DesiredComponent
from ari_proxy.operator.decide.children.config_map import config_map, settings
from ari_proxy.operator.decide.servers import desired_servers
from ari_proxy.operator.decide.slots import Slot
from ari_proxy.operator.names import Component
from ari_proxy.settings.load import Settings, load
from tests.support.resources import IMAGES, Cluster, component, pod, resource


def loaded(item: DesiredComponent, tmp_path: Path) -> Settings:
    """Return the settings that the component's pods load."""
    file = tmp_path / "config.json"
    file.write_text(config_map(item)["data"]["config.json"])
    return load(file)


@pytest.mark.parametrize("kind", ["ingest", "command"])
@pytest.mark.parametrize("sample", ["minimal", "rabbitmq", "standby", "production"])
def test_services_load_the_settings_of_every_sample(
    tmp_path: Path, kind: Component, sample: str
) -> None:
    found = loaded(component(kind, sample, has_lease=kind == "ingest"), tmp_path)

    assert found.ari.password_file == "/etc/ari-proxy/secrets/ari/password"
    assert found.admin.host == "::"
    assert found.ari.rest_url.endswith("/ari")
    assert found.ari.websocket_url.endswith("/ari/events")
    assert found.ari.websocket_url[:2] == "ws"


def test_settings_of_ingest(tmp_path: Path) -> None:
    item = component(
        sample="production",
        has_lease=True,
        ingest={
            "noListener": "Hangup",
            "listenerTimeoutSeconds": 7,
            "silenceTimeoutSeconds": 0,
            "claim": True,
            "leaseDurationSeconds": 5,
            "terminationGracePeriodSeconds": 60,
        },
    )
    found = loaded(item, tmp_path)

    assert found.server_id == "ast_a"
    assert found.ingest.no_listener == "hangup"
    assert found.ingest.claim
    assert (found.ingest.listener_seconds, found.ingest.silence_seconds) == (7, 0)
    assert found.lease.kind == "kubernetes"
    assert (found.lease.name, found.lease.duration_seconds) == (item.name, 5)
    assert found.runtime.drain_seconds == 50
    assert found.ari.websocket_url == "wss://asterisk-a.voice.example.com:8089/ari/events"
    assert found.bus.credentials_file == "/etc/ari-proxy/secrets/bus/credentials"
    assert found.bus.ca_file == "/etc/ari-proxy/secrets/bus/ca"
    assert found.bus.server_name == "nats.example.com"


def test_settings_of_command(tmp_path: Path) -> None:
    item = component("command", "production", logging={"level": "Debug", "format": "Console"})
    found = loaded(item, tmp_path)

    assert found.command.scope == "dialog"
    assert found.command.stored_recordings == "own"
    assert found.command.deny == ("* /asterisk/**", "POST /recordings/**")
    assert found.lease.kind == "none"
    assert (found.log.level, found.log.format) == ("debug", "console")


@pytest.mark.parametrize("kind", ["ingest", "command"])
def test_traces_are_exported_to_the_given_endpoint(tmp_path: Path, kind: Component) -> None:
    monitoring = {"traces": {"endpoint": "http://collector:4318", "samplingPercentage": 25}}
    traces = loaded(component(kind, monitoring=monitoring), tmp_path).traces

    assert (traces.enabled, traces.endpoint, traces.ratio) == (True, "http://collector:4318", 0.25)
    assert not loaded(component(kind), tmp_path).traces.enabled


def test_console_is_off_by_default_and_only_for_ingest(tmp_path: Path) -> None:
    def is_on(kind: Component, **spec: Any) -> bool:
        return loaded(component(kind, **spec), tmp_path).admin.console

    assert is_on("ingest", ingest={"console": True})
    assert not is_on("ingest")
    assert not is_on("command", ingest={"console": True})


def servers_with(**tls: Any) -> list[dict[str, Any]]:
    """Return the minimal sample's server with TLS."""
    (server,) = resource()["spec"]["servers"]
    ari = {**server["ari"], "url": "https://10.0.0.7:8089/ari", "tls": tls}
    return [{**server, "ari": ari}]


@pytest.mark.parametrize("kind", ["ingest", "command"])
@pytest.mark.parametrize("bus", ["NATS", "RabbitMQ"])
def test_certificates_may_have_other_names(tmp_path: Path, kind: Component, bus: str) -> None:
    tls = {"caSecretRef": {"name": "ca"}, "serverName": "bus.example.com"}
    buses = {
        "NATS": {"type": bus, "nats": {"servers": ["tls://10.0.0.8:4222"], "tls": tls}},
        "RabbitMQ": {"type": bus, "rabbitmq": {"urlSecretRef": {"name": "bus"}, "tls": tls}},
    }
    servers = servers_with(serverName="asterisk.example.com")
    found = loaded(component(kind, servers=servers, bus=buses[bus]), tmp_path)

    assert found.ari.server_name == "asterisk.example.com"
    assert found.ari.ca_file == ""
    assert found.bus.server_name == "bus.example.com"
    assert found.bus.ca_file == "/etc/ari-proxy/secrets/bus/ca"


def test_discovered_servers_may_share_a_certificate(tmp_path: Path) -> None:
    selector = resource("discovery")["spec"]["serverSelector"]
    tls = {"serverName": "asterisk"}
    cluster = Cluster("discovery", serverSelector={**selector, "tls": tls})
    cluster.asterisk_pods = [pod("asterisk-0")]
    observed = cluster.observed
    (server,) = desired_servers(observed)
    slot = Slot(name=server.name, servers=(server,))
    item = DesiredComponent(proxy=observed.proxy, slot=slot, component="ingest", images=IMAGES)

    assert loaded(item, tmp_path).ari.server_name == "asterisk"


@pytest.mark.parametrize("kind", ["ingest", "command"])
def test_options_of_nats(tmp_path: Path, kind: Component) -> None:
    nats = {"servers": ["tls://nats:4222"], "tlsHandshakeFirst": True, "inboxPrefix": "voice.inbox"}
    bus = loaded(component(kind, bus={"type": "NATS", "nats": nats}), tmp_path).bus

    assert (bus.tls_handshake_first, bus.inbox_prefix) == (True, "voice.inbox")


@pytest.mark.parametrize(("form", "setting"), [("Token", "token"), ("Uuid", "uuid")])
def test_form_of_dialog_ids_on_rabbitmq(tmp_path: Path, form: str, setting: str) -> None:
    rabbitmq = {"urlSecretRef": {"name": "bus"}, "dialogIds": form}
    bus = {"type": "RabbitMQ", "rabbitmq": rabbitmq}

    assert loaded(component(bus=bus), tmp_path).bus.dialog_form == setting


@pytest.mark.parametrize("kind", ["ingest", "command"])
def test_persistent_messages_on_rabbitmq(tmp_path: Path, kind: Component) -> None:
    rabbitmq = {"urlSecretRef": {"name": "bus"}, "persistent": True}
    bus = {"type": "RabbitMQ", "rabbitmq": rabbitmq}

    assert loaded(component(kind, bus=bus), tmp_path).bus.persistent


@pytest.mark.parametrize("kind", ["ingest", "command"])
@pytest.mark.parametrize("sample", ["minimal", "rabbitmq"])
def test_later_settings_are_omitted_unless_used(kind: Component, sample: str) -> None:
    """An image of an earlier version refuses a setting that it does not know."""
    found = settings(component(kind, sample))
    later = {"server_name", "tls_handshake_first", "inbox_prefix", "dialog_ids", "persistent"}

    assert later & (set(found["ari"]) | set(found["bus"])) == set()


def test_file_is_readable_json() -> None:
    text = config_map(component())["data"]["config.json"]

    assert json.loads(text)["server_id"] == "asterisk-a"
    assert text.count("\n") > 10
