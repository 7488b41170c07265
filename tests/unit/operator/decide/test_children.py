"""The objects that are made of a resource; settings are read as the services read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.children.config_map import config_map
from ari_proxy.operator.decide.children.config_map import settings as config_map_settings
from ari_proxy.operator.decide.children.deployment import deployment
from ari_proxy.operator.decide.children.wanted import Wanted
from ari_proxy.operator.decide.servers import wanted as servers_of
from ari_proxy.operator.names import Component
from ari_proxy.settings.load import Settings, load
from tests.support.resources import IMAGES, Cluster, pod, proxy, resource


def wanted(
    component: Component = "ingest",
    sample: str = "minimal",
    *,
    has_lease: bool = False,
    **spec: Any,
) -> Wanted:
    found = proxy(sample, **spec)
    return Wanted(
        proxy=found,
        server=servers_of(found, ())[0],
        component=component,
        images=IMAGES,
        has_lease=has_lease,
    )


def settings_of(item: Wanted, tmp_path: Path) -> Settings:
    """Return the settings that a pod would have."""
    file = tmp_path / "config.json"
    file.write_text(config_map(item)["data"]["config.json"])
    return load(file)


def pod_of(item: Wanted) -> dict[str, Any]:
    found: dict[str, Any] = deployment(item)["spec"]["template"]["spec"]
    return found


# Settings


@pytest.mark.parametrize("component", ["ingest", "command"])
@pytest.mark.parametrize("sample", ["minimal", "rabbitmq", "standby", "production"])
def test_settings_are_such_that_the_services_take_them(
    tmp_path: Path, component: Component, sample: str
) -> None:
    settings = settings_of(wanted(component, sample, has_lease=component == "ingest"), tmp_path)

    assert settings.ari.password_file == "/etc/ari-proxy/secrets/ari/password"
    assert settings.admin.host == "0.0.0.0"
    assert settings.ari.rest_url.endswith("/ari")
    assert settings.ari.websocket_url.endswith("/ari/events")
    assert settings.ari.websocket_url[:2] == "ws"


def test_settings_of_an_ingest(tmp_path: Path) -> None:
    item = wanted(
        sample="production",
        has_lease=True,
        ingest={
            "noListener": "Hangup",
            "listenerTimeoutSeconds": 7,
            "silenceTimeoutSeconds": 0,
            "leaseDurationSeconds": 5,
            "terminationGracePeriodSeconds": 60,
        },
    )
    settings = settings_of(item, tmp_path)

    assert settings.server_id == "ast_a"
    assert settings.ingest.no_listener == "hangup"
    assert (settings.ingest.listener_seconds, settings.ingest.silence_seconds) == (7, 0)
    assert settings.lease.kind == "kubernetes"
    assert (settings.lease.name, settings.lease.duration_seconds) == (item.name, 5)
    assert settings.runtime.drain_seconds == 50
    assert settings.ari.websocket_url == "wss://asterisk-a.voice.example.com:8089/ari/events"
    assert settings.bus.credentials_file == "/etc/ari-proxy/secrets/bus/credentials"
    assert settings.bus.ca_file == "/etc/ari-proxy/secrets/bus/ca"
    assert settings.bus.server_name == "nats.example.com"


def test_settings_of_an_executor(tmp_path: Path) -> None:
    item = wanted("command", "production", logging={"level": "Debug", "format": "Console"})
    settings = settings_of(item, tmp_path)

    assert settings.command.scope == "dialog"
    assert settings.command.stored_recordings == "own"
    assert settings.command.deny == ("* /asterisk/**", "POST /recordings/**")
    assert settings.lease.kind == "none"
    assert (settings.log.level, settings.log.format) == ("debug", "console")


@pytest.mark.parametrize("component", ["ingest", "command"])
def test_traces_go_where_the_resource_says(tmp_path: Path, component: Component) -> None:
    monitoring = {"traces": {"endpoint": "http://collector:4318", "samplingPercentage": 25}}
    traces = settings_of(wanted(component, monitoring=monitoring), tmp_path).traces

    assert (traces.enabled, traces.endpoint, traces.ratio) == (True, "http://collector:4318", 0.25)
    assert not settings_of(wanted(component), tmp_path).traces.enabled


def test_console_is_ingests_and_off(tmp_path: Path) -> None:
    def is_on(component: Component, **spec: Any) -> bool:
        return settings_of(wanted(component, **spec), tmp_path).admin.console

    assert is_on("ingest", ingest={"console": True})
    assert not is_on("ingest")
    assert not is_on("command", ingest={"console": True})


def servers_with(**tls: Any) -> list[dict[str, Any]]:
    """Return the minimal sample's server, with how it is to be known."""
    (server,) = resource()["spec"]["servers"]
    ari = {**server["ari"], "url": "https://10.0.0.7:8089/ari", "tls": tls}
    return [{**server, "ari": ari}]


@pytest.mark.parametrize("component", ["ingest", "command"])
@pytest.mark.parametrize("kind", ["NATS", "RabbitMQ"])
def test_certificates_may_bear_other_names(tmp_path: Path, component: Component, kind: str) -> None:
    tls = {"caSecretRef": {"name": "ca"}, "serverName": "bus.example.com"}
    buses = {
        "NATS": {"type": kind, "nats": {"servers": ["tls://10.0.0.8:4222"], "tls": tls}},
        "RabbitMQ": {"type": kind, "rabbitmq": {"urlSecretRef": {"name": "bus"}, "tls": tls}},
    }
    servers = servers_with(serverName="asterisk.example.com")
    settings = settings_of(wanted(component, servers=servers, bus=buses[kind]), tmp_path)

    assert settings.ari.server_name == "asterisk.example.com"
    assert settings.ari.ca_file == ""
    assert settings.bus.server_name == "bus.example.com"
    assert settings.bus.ca_file == "/etc/ari-proxy/secrets/bus/ca"


def test_pods_of_a_stateful_set_may_share_a_name(tmp_path: Path) -> None:
    selector = resource("discovery")["spec"]["serverSelector"]
    found = proxy("discovery", serverSelector={**selector, "tls": {"serverName": "asterisk"}})
    (server,) = servers_of(found, [pod("asterisk-0")])
    item = Wanted(proxy=found, server=server, component="ingest", images=IMAGES, has_lease=False)

    assert settings_of(item, tmp_path).ari.server_name == "asterisk"


@pytest.mark.parametrize("component", ["ingest", "command"])
def test_nats_is_reached_as_its_server_and_account_want_it(
    tmp_path: Path, component: Component
) -> None:
    nats = {"servers": ["tls://nats:4222"], "tlsHandshakeFirst": True, "inboxPrefix": "voice.inbox"}
    bus = settings_of(wanted(component, bus={"type": "NATS", "nats": nats}), tmp_path).bus

    assert (bus.tls_handshake_first, bus.inbox_prefix) == (True, "voice.inbox")


@pytest.mark.parametrize(("form", "setting"), [("Token", "token"), ("Uuid", "uuid")])
def test_form_of_dialog_ids_on_rabbitmq(tmp_path: Path, form: str, setting: str) -> None:
    rabbitmq = {"urlSecretRef": {"name": "bus"}, "dialogIds": form}
    bus = {"type": "RabbitMQ", "rabbitmq": rabbitmq}

    assert settings_of(wanted(bus=bus), tmp_path).bus.dialog_form == setting


@pytest.mark.parametrize("component", ["ingest", "command"])
@pytest.mark.parametrize("sample", ["minimal", "rabbitmq"])
def test_what_nobody_asks_for_is_left_to_the_service(component: Component, sample: str) -> None:
    """An image of an earlier version refuses a setting that it does not know."""
    settings = config_map_settings(wanted(component, sample))
    later = {"server_name", "tls_handshake_first", "inbox_prefix", "dialog_ids"}

    assert later & (set(settings["ari"]) | set(settings["bus"])) == set()


def test_what_changes_for_executors_leaves_ingests_alone() -> None:
    one = deployment(wanted("ingest"))
    other = deployment(wanted("ingest", command={"maxInFlight": 5, "requestTimeoutSeconds": 3}))

    assert one == other


def test_new_settings_start_new_pods() -> None:
    one = deployment(wanted("command"))["spec"]["template"]
    other = deployment(wanted("command", command={"maxInFlight": 5}))["spec"]["template"]

    assert one["metadata"]["annotations"] != other["metadata"]["annotations"]


# Secrets


def test_secrets_are_files_and_no_environment() -> None:
    pod = pod_of(wanted("command", "rabbitmq"))

    assert [item["name"] for item in pod["containers"][0]["env"]] == ["ARI_PROXY_CONFIG"]
    sources = {
        source["secret"]["name"]: [item["path"] for item in source["secret"]["items"]]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
    }
    assert sources == {
        "asterisk-ari": ["ari/user", "ari/password"],
        "rabbitmq-default-user": ["bus/url"],
    }


def test_certificates_of_the_bus_are_files() -> None:
    tls = {
        "caSecretRef": {"name": "authority", "key": "ca.crt"},
        "clientCertificateSecretRef": {"name": "certificate"},
    }
    bus = {"type": "NATS", "nats": {"servers": ["tls://nats:4222"], "tls": tls}}

    files = secrets.of_bus(proxy(bus=bus))

    assert {(file.secret, file.key, file.setting) for file in files} == {
        ("authority", "ca.crt", "ca_file"),
        ("certificate", "tls.crt", "certificate_file"),
        ("certificate", "tls.key", "key_file"),
    }


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ({}, "SecretMissing"),
        ({"asterisk-ari": None}, "SecretMissing"),
        ({"asterisk-ari": {"username": ""}}, "SecretKeyMissing"),
        ({"asterisk-ari": {"username": "", "password": ""}}, None),
    ],
)
def test_what_is_missing_is_named(there: dict[str, Any], reason: str | None) -> None:
    missing = secrets.missing(wanted().secret_files, there)

    assert (missing[0] if missing else None) == reason
    assert missing is None or "asterisk-ari" in missing[1]


# Pods


@pytest.mark.parametrize("component", ["ingest", "command"])
def test_pods_are_restricted(component: Component) -> None:
    pod = pod_of(wanted(component))
    container = pod["containers"][0]

    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]


def test_only_who_needs_a_lease_has_a_token() -> None:
    assert pod_of(wanted(has_lease=True))["automountServiceAccountToken"]


def test_new_pod_comes_before_the_old_one_goes() -> None:
    strategy = deployment(wanted())["spec"]["strategy"]

    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_overlay_is_laid_over_the_template() -> None:
    template = deployment(wanted("command", "production"))["spec"]["template"]

    assert template["metadata"]["annotations"]["team"] == "voice"
    assert template["spec"]["nodeSelector"] == {"pool": "voice"}
    assert template["spec"]["containers"][0]["image"] == "command:1"


def test_image_and_resources_of_the_resource_win() -> None:
    limits = {"limits": {"memory": "1Gi"}}
    item = wanted(ingest={"image": "mine:2", "resources": limits})
    container = pod_of(item)["containers"][0]

    assert (container["image"], container["resources"]) == ("mine:2", limits)


# What a resource has as a whole


def test_children_of_a_minimal_resource() -> None:
    cluster = Cluster("minimal")
    cluster.settle()

    assert sorted(cluster.children) == [
        ("ConfigMap", "minimal-command-asterisk-a"),
        ("ConfigMap", "minimal-ingest-asterisk-a"),
        ("Deployment", "minimal-command-asterisk-a"),
        ("Deployment", "minimal-ingest-asterisk-a"),
        ("ServiceAccount", "minimal-command"),
        ("ServiceAccount", "minimal-ingest"),
    ]


def test_children_of_a_resource_with_everything() -> None:
    cluster = Cluster("production")
    cluster.secrets |= {
        "nats-ari-proxy": {"user.creds": ""},
        "nats-ca": {"ca.crt": ""},
        "voice-ca": {"ca.crt": ""},
        "asterisk-a-ari": {"username": "", "password": ""},
        "asterisk-b-ari": {"username": "", "password": ""},
    }
    cluster.settle()

    count = {kind: len(cluster.named(kind)) for kind, _ in cluster.children}
    assert count == {
        "ServiceAccount": 2,
        "Role": 1,
        "RoleBinding": 1,
        "PodMonitor": 1,
        "ConfigMap": 4,
        "Lease": 2,
        "Deployment": 4,
        "PodDisruptionBudget": 4,
        "HorizontalPodAutoscaler": 2,
    }


def test_ingests_may_use_their_own_leases_and_nothing_else() -> None:
    cluster = Cluster("standby")
    cluster.settle()

    (rule,) = cluster.of("Role", "standby-ingest")["rules"]
    assert rule["resourceNames"] == cluster.named("Lease") == ["standby-ingest-asterisk-a"]
    assert rule["verbs"] == ["get", "update"]


def test_every_child_has_its_owner_and_a_name_that_fits() -> None:
    name = "n" * 20
    server = {
        "name": "s" * 30,
        "ari": {"url": "http://a/ari", "credentialsSecretRef": {"name": "asterisk-ari"}},
        "applications": ["a"],
    }
    cluster = Cluster("standby", servers=[server])
    cluster.resource["metadata"]["name"] = name
    cluster.settle()

    for (_, child), item in cluster.children.items():
        (owner,) = item["metadata"]["ownerReferences"]
        assert owner["controller"]
        assert owner["uid"] == "uid-standby"
        assert len(child) <= 63
        assert all(len(value) <= 63 for value in item["metadata"]["labels"].values())


def test_autoscalers_number_stands() -> None:
    cluster = Cluster("minimal", command={"autoscaling": {"minReplicas": 2, "maxReplicas": 5}})
    cluster.settle()
    name = "minimal-command-asterisk-a"
    assert cluster.of("Deployment", name)["spec"]["replicas"] == 2

    cluster.of("Deployment", name)["spec"]["replicas"] = 4
    assert cluster.settle() == []  # As it is, it is right.
    cluster.resource["spec"]["command"]["maxInFlight"] = 7
    version = cluster.of("Deployment", name)["metadata"]["resourceVersion"]
    (changed,) = [x for x in cluster.plan().apply if x["kind"] == "Deployment"]

    assert changed["spec"]["replicas"] == 4
    # Applied only to what was read: the autoscaler may have decided meanwhile.
    assert changed["metadata"]["resourceVersion"] == version


def test_settings_are_json_that_people_can_read() -> None:
    text = config_map(wanted())["data"]["config.json"]

    assert json.loads(text)["server_id"] == "asterisk-a"
    assert text.count("\n") > 10
