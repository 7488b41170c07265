"""Which Secrets a server's pods need, and which are missing."""

from collections.abc import Mapping
from typing import Any

import pytest

from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.servers import desired_servers
from tests.support.resources import Cluster, component, proxy


def files_of(bus: dict[str, Any]) -> set[tuple[str, str, str]]:
    found = secrets.of_bus(proxy(bus=bus))
    return {(file.secret, file.key, file.setting) for file in found}


def test_server_needs_its_login() -> None:
    files = secrets.of_server(component().slot.servers[0])

    assert [(file.key, file.path) for file in files] == [
        ("username", "ari/user"),
        ("password", "ari/password"),
    ]


def test_certificates_of_the_bus() -> None:
    tls = {
        "caSecretRef": {"name": "authority", "key": "ca.crt"},
        "clientCertificateSecretRef": {"name": "certificate"},
    }

    assert files_of({"type": "NATS", "nats": {"servers": ["tls://nats:4222"], "tls": tls}}) == {
        ("authority", "ca.crt", "ca_file"),
        ("certificate", "tls.crt", "certificate_file"),
        ("certificate", "tls.key", "key_file"),
    }


@pytest.mark.parametrize(
    ("field", "ref", "found"),
    [
        ("urlSecretRef", {"name": "s"}, {("s", "url", "url_file")}),
        ("credsSecretRef", {"name": "s"}, {("s", "user.creds", "credentials_file")}),
        ("nkeySecretRef", {"name": "s"}, {("s", "user.nk", "nkey_seed_file")}),
        ("tokenSecretRef", {"name": "s", "key": "k"}, {("s", "k", "token_file")}),
        (
            "userSecretRef",
            {"name": "s"},
            {("s", "username", "user_file"), ("s", "password", "password_file")},
        ),
    ],
)
def test_login_of_nats(field: str, ref: dict[str, str], found: set[tuple[str, str, str]]) -> None:
    assert files_of({"type": "NATS", "nats": {field: ref}}) == found


def test_rabbitmq_needs_its_url() -> None:
    bus = {"type": "RabbitMQ", "rabbitmq": {"urlSecretRef": {"name": "s", "key": "amqp"}}}

    assert files_of(bus) == {("s", "amqp", "url_file")}


def test_settings_name_the_mounted_files() -> None:
    item = component("command", "rabbitmq")
    files = secrets.needed(item.proxy, item.slot.servers[0])
    volume = secrets.volume(files)
    paths = {
        f"{secrets.DIRECTORY}/{item['path']}"
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    settings = secrets.settings(files)

    assert {path for group in settings.values() for path in group.values()} == paths
    assert settings["ari"]["password_file"] == "/etc/ari-proxy/secrets/ari/password"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({}, "SecretMissing"),
        ({"asterisk-ari": None}, "SecretMissing"),
        ({"asterisk-ari": {"username": ""}}, "SecretKeyMissing"),
        ({"asterisk-ari": {"username": "", "password": ""}}, None),
    ],
)
def test_missing_secret_is_named(
    found: dict[str, Mapping[str, Any] | None], reason: str | None
) -> None:
    cluster = Cluster()
    cluster.secrets = found
    observed = cluster.observed
    missing = secrets.missing(observed, desired_servers(observed)[0])

    assert (missing[0] if missing else None) == reason
    assert missing is None or "asterisk-ari" in missing[1]
