"""TLS, client certificates and logins of real servers, and secrets that change while we run."""

import asyncio
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ari_proxy import connections
from ari_proxy.ari.errors import UnreachableError
from ari_proxy.ari.websocket import frames
from ari_proxy.bus.base import Bus, opened
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import Settings, load
from tests.support import nats_accounts
from tests.support.certificates import Certificates
from tests.support.rabbitmq import RabbitMqServer
from tests.support.running import until
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import PASSWORD, Asterisk, NatsServer, free_port


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@contextmanager
def nats_server(*options: str) -> Iterator[NatsServer]:
    server = NatsServer(*options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def works(bus: Bus) -> bool:
    """Return whether a message goes there and back."""
    got: list[bytes] = []
    await bus.wait_connected()
    subscription = await bus.subscribe("events_security", lambda m: got.append(m.payload))
    bus.publish("events_security", b"x")
    await bus.flush(timeout_seconds=5)
    await until(lambda: got)
    await subscription.unsubscribe()
    return got == [b"x"]


async def is_refused(settings: Settings) -> bool:
    """Return whether no connection comes about, in some attempts."""
    async with opened(connections.bus(settings, "test")) as bus:
        try:
            async with asyncio.timeout(1):
                await bus.wait_connected()
        except TimeoutError:
            return True
    return False


# NATS


@pytest.mark.parametrize("with_client", [False, True], ids=["tls", "mtls"])
async def test_nats_over_tls(certificates: Certificates, with_client: bool) -> None:
    options = ["--tls", "--tlscert", str(certificates.server)]
    options += ["--tlskey", str(certificates.server_key)]
    if with_client:
        options += ["--tlsverify", "--tlscacert", str(certificates.authority)]
    with nats_server(*options) as server:
        urls = [f"tls://localhost:{server.port}"]
        right = load(bus={"urls": urls, **certificates.settings(with_client=with_client)})
        async with opened(connections.bus(right, "test")) as bus:
            assert await works(bus)
        wrong = certificates.settings(with_client=False) if with_client else {}
        assert await is_refused(load(bus={"urls": urls, **wrong}))


def nats_config(directory: Path, text: str) -> str:
    file = directory / "nats.conf"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("kind", ["password", "token", "nkey", "credentials", "url"])
async def test_nats_with_a_login(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "secret"
    file.write_text("hush\n")
    if kind == "nkey":
        text = f"authorization {{ users: [ {{ nkey: {nats_accounts.user_key(file)} }} ] }}"
    elif kind == "credentials":
        text = nats_accounts.account(file)
    else:
        login = 'token: "hush"' if kind == "token" else 'user: "ari", password: "hush"'
        text = f"authorization {{ {login} }}"
    fields = {
        "password": {"user": "ari", "password_file": str(file)},
        "token": {"token_file": str(file)},
        "nkey": {"nkey_seed_file": str(file)},
        "credentials": {"credentials_file": str(file)},
        "url": {"url_file": str(file)},
    }[kind]
    with nats_server("-c", nats_config(tmp_path, text)) as server:
        if kind == "url":
            file.write_text(server.url.replace("//", "//ari:hush@"))
        right = load(bus={"urls": [server.url], **fields})
        async with opened(connections.bus(right, "test")) as bus:
            assert await works(bus)
        assert "hush" not in repr(right) + repr(bus)
        assert await is_refused(load(bus={"urls": [server.url]}))


async def test_password_of_nats_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old")
    config = 'authorization {{ user: "ari", password: "{}" }}'
    with nats_server("-c", nats_config(tmp_path, config.format("old"))) as server:
        settings = load(bus={"urls": [server.url], "user": "ari", "password_file": str(file)})
        async with opened(connections.bus(settings, "test")) as bus:
            assert await works(bus)
            nats_config(tmp_path, config.format("new"))
            file.write_text("new")
            server.stop()
            server.start()
            await until(lambda: bus.reconnects)
            assert await works(bus)


@pytest.mark.parametrize(
    ("content", "problem"),
    [("amqp://ari:hush@localhost", "NATS is reached by"), ("\n", "NATS is reached by")],
)
def test_file_with_another_url_is_refused_without_its_password(
    tmp_path: Path, content: str, problem: str
) -> None:
    file = tmp_path / "url"
    file.write_text(content)

    with pytest.raises(SettingsError, match=problem) as refused:
        connections.bus(load(bus={"url_file": str(file)}), "test")

    assert "hush" not in str(refused.value)
    assert "bus.url_file" in str(refused.value)


# RabbitMQ; TLS with a client's certificate stands in test_rabbitmq.py


@pytest.mark.parametrize("form", ["files", "url"])
async def test_password_of_rabbitmq_that_changes_is_read_again(
    rabbitmq_server: RabbitMqServer, tmp_path: Path, form: str
) -> None:
    control = rabbitmq_server.control
    await asyncio.to_thread(control, "add_user", "rotating", "old")
    await asyncio.to_thread(control, "set_permissions", "rotating", ".*", ".*", ".*")
    file, user = tmp_path / "password", tmp_path / "user"
    user.write_text("rotating\n")

    def write(password: str) -> None:
        url = rabbitmq_server.url.replace("//", f"//rotating:{password}@") + "/"
        file.write_text(url if form == "url" else password)

    write("old")
    files = {"urls": [rabbitmq_server.url], "user_file": str(user), "password_file": str(file)}
    settings = load(
        bus={"kind": "RABBITMQ", **({"url_file": str(file)} if form == "url" else files)}
    )
    try:
        async with opened(connections.bus(settings, "test")) as bus:
            assert await works(bus)
            await asyncio.to_thread(control, "change_password", "rotating", "new")
            write("new")
            await asyncio.to_thread(control, "close_all_connections", "rotated")
            await until(lambda: bus.reconnects)
            assert await works(bus)
    finally:
        await asyncio.to_thread(control, "delete_user", "rotating")


# Asterisk


@pytest.mark.parametrize("version", ["22", "16"])
async def test_asterisk_over_tls(certificates: Certificates, version: str, tmp_path: Path) -> None:
    port = free_port()
    extra = tmp_path / "http.conf"
    extra.write_text(
        f"tlsenable=yes\ntlsbindaddr=127.0.0.1:{port}\n"
        f"tlscertfile={certificates.server}\ntlsprivatekey={certificates.server_key}\n"
    )
    server = Asterisk(version, extra=extra)
    server.start()
    try:
        right = load(ari=_ari(port, **certificates.settings(with_client=False)))
        async with connections.rest_client(right) as rest:
            assert (await rest.request("GET", "/asterisk/ping")).status == 200
        async for connection in connections.event_socket(right).connections():
            assert connection.subprotocol == "ari"
            break
        async with connections.rest_client(load(ari=_ari(port))) as rest:
            with pytest.raises(UnreachableError):
                await rest.request("GET", "/asterisk/ping")
    finally:
        server.remove()


def _ari(port: int, **fields: str) -> dict[str, str]:
    return {
        "rest_url": f"https://localhost:{port}/ari",
        "websocket_url": f"wss://localhost:{port}/ari/events",
        "password": PASSWORD,
        **fields,
    }


async def test_asterisk_behind_a_proxy_that_wants_a_certificate(
    certificates: Certificates,
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority)
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.verify_mode = ssl.CERT_REQUIRED
    async with scripted_asterisk(tls=context) as asterisk:
        port = int(asterisk.url.split(":")[2].partition("/")[0])
        settings = load(ari=_ari(port, **certificates.settings(with_client=True)))
        async with connections.rest_client(settings) as rest:
            assert (await rest.request("POST", "/channels/c/answer")).status == 204
        async for connection in connections.event_socket(settings).connections():
            await asterisk.push(channel_event("StasisStart", "c"))
            async for frame in frames(connection):
                assert b"StasisStart" in frame
                break
            break
        without = load(ari=_ari(port, **certificates.settings(with_client=False)))
        async with connections.rest_client(without) as rest:
            with pytest.raises(UnreachableError):
                await rest.request("POST", "/channels/c/answer")


def test_certificates_are_read_again_when_they_change(certificates: Certificates) -> None:
    settings = load(ari=certificates.settings(with_client=True)).ari
    tls = connections.RotatingTls("ari", settings)
    first = tls()
    assert tls() is first

    later = certificates.client.stat().st_mtime_ns + 1_000_000_000
    os.utime(certificates.client, ns=(later, later))
    second = tls()
    assert second is not first
    # One that is being replaced: the last that worked serves on.
    certificates.client.write_text("half a certificate")
    assert tls() is second


def test_certificate_that_is_none_is_refused_at_the_start(certificates: Certificates) -> None:
    certificates.authority.write_text("nonsense")
    settings = load(bus=certificates.settings(with_client=False))

    with pytest.raises(SettingsError, match="authority"):
        connections.bus(settings, "test")


def test_without_files_the_systems_authorities_vouch() -> None:
    assert connections.tls_context("bus", load().bus) is None


async def test_secret_shows_nowhere() -> None:
    secret = "correct-horse-battery-staple"
    groups: dict[str, Any] = {
        "ari": {"password": secret},
        "bus": {"user": "u", "password": secret, "token": secret},
    }
    settings = load(**groups)
    async with connections.rest_client(settings) as rest:
        shown = [repr(settings), str(settings), settings.model_dump_json(), repr(rest)]
        shown += [repr(connections.bus(settings, "test")), repr(connections.event_socket(settings))]
        with pytest.raises(UnreachableError) as error:
            await rest.request("GET", "/asterisk/ping")
        shown.append(repr(error.value))

    assert not [text for text in shown if secret in text]
