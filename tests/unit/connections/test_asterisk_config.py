"""Asterisk's configuration for settings."""

from pathlib import Path

import pytest

from ari_proxy.ari.asterisk_config import ListenerAddress
from ari_proxy.ari.errors import UnconfigurableError
from ari_proxy.connections.asterisk_config import Deployment, asterisk_config
from ari_proxy.settings.load import load

DEPLOYMENT = Deployment(version=(22, 10, 1))
OUTBOUND = {"connection": "outbound", "password": "hush", "listen": "10.0.0.5:8089"}


def test_websockets_and_connections_are_those_of_all_executors() -> None:
    inbound = load(command={"websockets": 3}, ari={"max_connections": 10})
    outbound = load(command={"websockets": 3}, ari={"max_connections": 10, **OUTBOUND})
    deployment = Deployment(version=(22, 10, 1), executors=2)

    ours = asterisk_config(inbound, deployment, with_password=False)
    theirs = asterisk_config(outbound, deployment, with_password=False)

    assert ours.listener is None
    assert ours.http is not None
    assert ours.http.connections == (10 + 3) * (2 + 1) + 2
    assert theirs.http is not None
    assert theirs.http.connections == 10 * (2 + 1) + 2
    assert theirs.listener == ListenerAddress(
        events_url="ws://10.0.0.5:8089", commands_url="ws://10.0.0.5:8089", websockets=6
    )


def test_asterisk_that_is_never_asked_by_http_needs_no_port() -> None:
    settings = load(command={"transport": "websocket"}, ari=OUTBOUND)

    assert asterisk_config(settings, DEPLOYMENT, with_password=False).http is None


@pytest.mark.parametrize("with_password", [True, False])
def test_password_of_a_file_is_given_only_if_asked_for(
    tmp_path: Path, *, with_password: bool
) -> None:
    file = tmp_path / "password"
    file.write_text("hush\n")
    settings = load(ari={"password_file": str(file)})

    found = asterisk_config(settings, DEPLOYMENT, with_password=with_password)

    assert found.password == ("hush" if with_password else None)


@pytest.mark.parametrize(
    ("ari", "url", "command_url", "said"),
    [
        ({"listen": "0.0.0.0:8089"}, "", "", "ari.listen is 0.0.0.0:8089, which names no host"),
        ({"listen": "[::]:8089"}, "", "", "names no host"),
        ({}, "http://proxy:8089", "", "--url: must be a URL"),
        ({}, "", "ws://u:p@proxy", "--command-url: must not hold credentials"),
        (
            {"listen_certificate_file": "cert.pem"},
            "ws://proxy:8089",
            "",
            "Asterisk has to use wss://",
        ),
    ],
)
def test_url_that_asterisk_could_not_use_is_refused(
    ari: dict[str, str], url: str, command_url: str, said: str
) -> None:
    settings = load(ari=OUTBOUND | ari)
    deployment = Deployment(version=(22, 10, 1), url=url, command_url=command_url)

    with pytest.raises(UnconfigurableError, match="^.*" + said):
        asterisk_config(settings, deployment, with_password=False)


def test_certificate_of_ours_makes_the_websocket_encrypted() -> None:
    files = {"listen_certificate_file": "cert.pem", "listen_client_ca_file": "ca.pem"}
    settings = load(ari=OUTBOUND | files)

    listener = asterisk_config(settings, DEPLOYMENT, with_password=False).listener

    assert listener is not None
    assert listener.events_url == "wss://10.0.0.5:8089"
    assert listener.wants_certificate
