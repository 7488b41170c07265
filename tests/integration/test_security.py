"""TLS, client certificates and logins of real servers, and secrets that change while we run."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from ari_proxy.aio import run_until_first
from ari_proxy.ari.errors import UnreachableError
from ari_proxy.bus.base import opened
from ari_proxy.connections import factories
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import Settings, load
from tests.support import nats_accounts, process
from tests.support.certificates import Certificates
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitMqServer
from tests.support.round_trip import nats_server, works
from tests.support.running import until
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import PASSWORD, Asterisk


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def is_refused(settings: Settings) -> bool:
    """Return whether no connection comes about, in some attempts."""
    async with opened(factories.bus(settings, "test")) as bus:
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
        async with opened(factories.bus(right, "test")) as bus:
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
        async with opened(factories.bus(right, "test")) as bus:
            assert await works(bus)
        assert "hush" not in repr(right) + repr(bus)
        assert await is_refused(load(bus={"urls": [server.url]}))


@pytest.mark.parametrize("kind", ["credentials", "nkey"])
async def test_account_of_nats_that_is_none_yet_is_told_and_read_again(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "account"
    if kind == "nkey":
        text = f"authorization {{ users: [ {{ nkey: {nats_accounts.user_key(file)} }} ] }}"
    else:
        text = nats_accounts.account(file)
    right = file.read_bytes()
    setting = {"credentials": "credentials_file", "nkey": "nkey_seed_file"}[kind]
    with nats_server("-c", nats_config(tmp_path, text)) as server:
        settings = load(bus={"urls": [server.url], setting: str(file)})
        file.write_bytes(right[:20])
        async with opened(factories.bus(settings, "test")) as bus:
            told = ""

            def is_told() -> bool:
                nonlocal told
                told += capsys.readouterr().out
                return f"bus.{setting} {file}: it" in told

            await until(is_told)
            file.write_bytes(right)
            assert await works(bus)


async def test_password_of_nats_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old")
    config = 'authorization {{ user: "ari", password: "{}" }}'
    with nats_server("-c", nats_config(tmp_path, config.format("old"))) as server:
        settings = load(bus={"urls": [server.url], "user": "ari", "password_file": str(file)})
        async with opened(factories.bus(settings, "test")) as bus:
            assert await works(bus)
            nats_config(tmp_path, config.format("new"))
            file.write_text("new")
            server.stop()
            server.start()
            await until(lambda: bus.reconnects)
            assert await works(bus)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("amqp://ari:hush@localhost", "must begin with one of nats://"),
        ("\n", "names no server"),
        ("nats://ari:hu#sh-hush@localhost", "# as %23"),
    ],
)
def test_file_with_another_url_is_refused_without_its_password(
    tmp_path: Path, content: str, problem: str
) -> None:
    file = tmp_path / "url"
    file.write_text(content)

    with pytest.raises(SettingsError, match=problem) as refused:
        factories.bus(load(bus={"url_file": str(file)}), "test")

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
        async with opened(factories.bus(settings, "test")) as bus:
            assert await works(bus)
            await asyncio.to_thread(control, "change_password", "rotating", "new")
            write("new")
            await asyncio.to_thread(control, "close_all_connections", "rotated")
            await until(lambda: bus.reconnects)
            assert await works(bus)
    finally:
        await asyncio.to_thread(control, "delete_user", "rotating")


# Passwords that no URL holds as they are

ODD_PASSWORD = "hush#/?[]@:, %+&'\u00fchush"


@asynccontextmanager
async def bus_with_an_account(
    request: pytest.FixtureRequest, directory: Path, kind: str
) -> AsyncIterator[tuple[str, Callable[[], object]]]:
    """Run a bus whose user `odd` has the password; yield its URL and what ends its connections."""
    if kind == "NATS":
        text = f'authorization {{ user: "odd", password: "{ODD_PASSWORD}" }}'
        with nats_server("-c", nats_config(directory, text)) as nats:

            def restart() -> None:
                nats.stop()
                nats.start()

            yield nats.url, restart
        return
    rabbitmq: RabbitMqServer = request.getfixturevalue("rabbitmq_server")
    await asyncio.to_thread(rabbitmq.control, "add_user", "odd", ODD_PASSWORD)
    await asyncio.to_thread(rabbitmq.control, "set_permissions", "odd", ".*", ".*", ".*")
    try:
        yield rabbitmq.url, lambda: rabbitmq.control("close_all_connections", "rotated")
    finally:
        await asyncio.to_thread(rabbitmq.control, "delete_user", "odd")


@pytest.mark.parametrize("kind", ["NATS", "RABBITMQ"])
async def test_last_good_url_stays_in_force(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """One with an odd password logs in when it is encoded; when it is not it replaces nothing."""
    async with bus_with_an_account(request, tmp_path, kind) as (url, end_connections):
        file = tmp_path / "url"
        file.write_text(url.replace("//", f"//odd:{quote(ODD_PASSWORD, safe='')}@"))
        settings = load(bus={"kind": kind, "url_file": str(file)})
        with capture_logs() as logs:
            async with opened(factories.bus(settings, "test")) as bus:
                assert await works(bus)
                file.write_text(url.replace("//", f"//odd:{ODD_PASSWORD}@"))
                with pytest.raises(SettingsError, match="# as %23") as refused:
                    factories.bus(settings, "test")
                await asyncio.to_thread(end_connections)
                await until(lambda: bus.reconnects)
                assert await works(bus)

    (line,) = [line for line in logs if line["event"] == "settings.kept"]
    assert f"bus.url_file {file}" in line["problem"]
    assert "hush" not in f"{logs}{refused.value}{bus!r}"


@pytest.mark.timeout(120)  # Eight processes, one after another.
@pytest.mark.parametrize("kind", ["NATS", "RABBITMQ"])
def test_command_line_shows_no_part_of_an_odd_password(tmp_path: Path, kind: str) -> None:
    scheme = {"NATS": "nats", "RABBITMQ": "amqp"}[kind]
    config = tmp_path / "config.json"
    url = f"{scheme}://odd:{ODD_PASSWORD}@127.0.0.1:1"
    config.write_text(json.dumps({"message_bus": kind, "bus_config": {"url": url}}))
    file = tmp_path / "url"
    file.write_text(url)
    common = {"ARI_PROXY_BUS__KIND": kind, "ARI_PROXY_ADMIN__PORT": "0"}
    from_file = {**common, "ARI_PROXY_BUS__URL_FILE": str(file)}
    from_environment = {**common, "ARI_PROXY_BUS__URLS": url}

    told = [process.run("check-config", "--config", str(config))]
    # A file is read again while a bus is in use, so each command has its own way to it.
    commands = ("check-config", "doctor", "command", "ingest", "standalone", "tail")
    told += [process.run(command, **from_file) for command in commands]
    told.append(process.run("standalone", **from_environment))

    for ended in told:
        assert ended.returncode in {1, 2}
        assert "hush" not in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        # It is one of doctor's findings.
        assert "bus.url" in (ended.stdout if "doctor" in ended.args else ended.stderr)


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
        async with factories.rest_client(right) as rest:
            assert (await rest.request("GET", "/asterisk/ping")).status == 200
        async for connection in factories.event_socket(right).connections():
            assert connection.subprotocol == "ari"
            break
        async with factories.rest_client(load(ari=_ari(port))) as rest:
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


# What is wrong with a certificate, and what to do about it


async def until_untrusted(settings: Settings, cause: str) -> None:
    """Wait until the events websocket is refused for a fault of the certificate."""
    socket = factories.event_socket(settings)
    refused = asyncio.create_task(anext(socket.connections()))
    await until(lambda: cause in socket.untrusted)
    refused.cancel()


NOW = datetime.now(UTC)
WRONG: dict[str, tuple[list[str], dict[str, datetime], str]] = {
    "name": (["pbx.example"], {}, "does not name the host but pbx.example; set {}.server_name"),
    "nameless": ([], {}, "does not name the host: it has no subjectAltName"),
    "expired": (["localhost"], {"not_after": NOW - timedelta(days=1)}, "has expired"),
    "early": (["localhost"], {"not_before": NOW + timedelta(days=1)}, "is not yet valid"),
    "authority": (["localhost"], {}, "an unknown authority; put its certificate"),
}


@pytest.mark.parametrize("fault", WRONG)
async def test_fault_of_asterisks_certificate_is_named(
    certificates: Certificates, fault: str, tmp_path: Path
) -> None:
    names, dates, cause = WRONG[fault]
    certificate, key = certificates.issue("wrong", *names, **dates)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    trust = {} if fault == "authority" else certificates.settings(with_client=False)
    async with scripted_asterisk(tls=context) as asterisk:
        port = int(asterisk.url.split(":")[2].partition("/")[0])
        settings = load(ari=_ari(port, **trust))
        async with factories.rest_client(settings) as rest:
            with pytest.raises(UnreachableError, match=cause.format("ari")):
                await rest.request("POST", "/channels/c/answer")
        environment = process.environment_of(settings) | {
            "ARI_PROXY_ARI__CA_FILE": settings.ari.ca_file,
            "ARI_PROXY_BUS__URLS": f"nats://127.0.0.1:{free_port()}",
        }
        async with process.running(tmp_path / "doctor", "doctor", **environment) as doctor:
            await doctor.ended()
        assert doctor.log.count(cause.format("ari")) == 2, doctor.log
        await until_untrusted(settings, cause.format("ari"))
        if fault == "name":
            right = load(ari=_ari(port, server_name="pbx.example", **trust))
            async with factories.rest_client(right) as rest:
                assert (await rest.request("POST", "/channels/c/answer")).status == 204
            async for _ in factories.event_socket(right).connections():
                break


@pytest.mark.parametrize("fault", WRONG)
async def test_fault_of_the_certificate_of_nats_is_named(
    certificates: Certificates, fault: str
) -> None:
    names, dates, cause = WRONG[fault]
    certificate, key = certificates.issue("wrong", *names, **dates)
    trust = {} if fault == "authority" else certificates.settings(with_client=False)
    with nats_server("--tls", "--tlscert", str(certificate), "--tlskey", str(key)) as server:
        bus_settings = {"urls": [f"tls://localhost:{server.port}"], **trust}
        with capture_logs() as logs:
            async with opened(factories.bus(load(bus=bus_settings), "test")) as bus:
                await until(lambda: bus.problem and bus.problem.kind == "refused")
                assert bus.problem is not None
                assert cause.format("bus") in bus.problem.reason
                await until(lambda: [x for x in logs if x["event"] == "bus.refused"])
        assert cause.format("bus") in next(x for x in logs if x["event"] == "bus.refused")["error"]
        if fault == "name":
            right = load(bus={**bus_settings, "server_name": "pbx.example"})
            async with opened(factories.bus(right, "test")) as bus:
                assert await works(bus)


async def test_fault_of_a_certificate_is_the_reason_while_attempts_fail_for_it(
    certificates: Certificates,
) -> None:
    certificate, key = certificates.issue("served", "pbx.example")
    options = ["--tls", "--tlscert", str(certificate), "--tlskey", str(key)]
    with nats_server(*options) as server:
        settings = load(
            bus={
                "urls": [f"tls://localhost:{server.port}"],
                **certificates.settings(with_client=False),
            }
        )
        async with opened(factories.bus(settings, "test")) as bus:
            await until(lambda: bus.problem and bus.problem.kind == "refused")
            named = bus.problem
            server.stop()
            await until(lambda: bus.problem and bus.problem.kind == "away")
            certificates.issue("served", "localhost")
            server.start()
            await bus.wait_connected()
            served = bus.problem
            server.stop()
            await until(lambda: bus.problem)
            afterwards = bus.problem

    assert named is not None
    assert "does not name the host" in named.reason
    assert served is None
    assert afterwards is not None
    assert afterwards.kind == "away"


@pytest.mark.parametrize("kind", ["NATS", "RABBITMQ"])
async def test_wrong_password_is_told_as_a_refusal(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    async with bus_with_an_account(request, tmp_path, kind) as (url, _):
        settings = load(bus={"kind": kind, "urls": [url], "user": "odd", "password": "hush-not"})
        async with opened(factories.bus(settings, "test")) as bus:
            reason = await bus.wait_tried()
            problem = bus.problem

    assert problem is not None
    assert problem.kind == "refused"
    assert reason in problem.reason
    assert {"NATS": "Authorization Violation", "RABBITMQ": "ACCESS_REFUSED"}[kind] in reason
    assert "hush" not in reason


async def test_fault_of_the_certificate_of_rabbitmq_is_named(
    certificates: Certificates, rabbitmq_server: RabbitMqServer
) -> None:
    """Of an authority that we don't know: RabbitMQ's own is another one."""
    settings = load(
        bus={
            "kind": "RABBITMQ",
            "urls": [rabbitmq_server.tls_url],
            **certificates.settings(with_client=False),
        }
    )
    async with opened(factories.bus(settings, "test")) as bus:
        await until(lambda: bus.problem and bus.problem.kind == "refused")
        assert bus.problem is not None
        assert "issued by an unknown authority" in bus.problem.reason
        assert "bus.ca_file" in bus.problem.reason


async def test_name_of_the_certificate_of_rabbitmq_may_be_told(
    rabbitmq_server: RabbitMqServer,
) -> None:
    """Its certificate is for localhost and 127.0.0.1; 127.1 is another way to write that."""
    bus_settings = {
        "kind": "RABBITMQ",
        "urls": [rabbitmq_server.tls_url.replace("localhost", "127.1")],
        **rabbitmq_server.certificates.settings(with_client=True),
    }
    async with opened(factories.bus(load(bus=bus_settings), "test")) as bus:
        reason = await bus.wait_tried()
        problem = bus.problem
    right = load(bus={**bus_settings, "server_name": "localhost"})
    async with opened(factories.bus(right, "test")) as bus:
        assert await works(bus)

    assert "does not name the host but localhost, 127.0.0.1; set bus.server_name" in reason
    assert problem is not None
    assert problem.kind == "refused"


@pytest.mark.parametrize("fault", WRONG)
async def test_fault_of_the_certificate_of_a_real_asterisk_is_named(
    certificates: Certificates, fault: str, tmp_path: Path
) -> None:
    names, dates, cause = WRONG[fault]
    certificate, key = certificates.issue("wrong", *names, **dates)
    port = free_port()
    extra = tmp_path / "http.conf"
    extra.write_text(
        f"tlsenable=yes\ntlsbindaddr=127.0.0.1:{port}\n"
        f"tlscertfile={certificate}\ntlsprivatekey={key}\n"
    )
    trust = {} if fault == "authority" else certificates.settings(with_client=False)
    settings = load(ari=_ari(port, **trust))
    server = Asterisk("22", extra=extra)
    server.start()
    try:
        async with factories.rest_client(settings) as rest:
            with pytest.raises(UnreachableError, match=cause.format("ari")):
                await rest.request("GET", "/asterisk/ping")
        await until_untrusted(settings, cause.format("ari"))
        if fault == "name":
            right = load(ari=_ari(port, server_name="pbx.example", **trust))
            async with factories.rest_client(right) as rest:
                assert (await rest.request("GET", "/asterisk/ping")).status == 200
    finally:
        server.remove()


async def test_asterisk_behind_a_proxy_that_wants_a_certificate(
    certificates: Certificates,
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority)
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.verify_mode = ssl.CERT_REQUIRED
    async with scripted_asterisk(tls=context) as asterisk:
        port = int(asterisk.url.split(":")[2].partition("/")[0])
        settings = load(ari=_ari(port, **certificates.settings(with_client=True)))
        async with factories.rest_client(settings) as rest:
            assert (await rest.request("POST", "/channels/c/answer")).status == 204
        got: list[bytes] = []
        async for connection in factories.event_socket(settings).connections():
            await asterisk.push(channel_event("StasisStart", "c"))
            await run_until_first(connection.read(got.append), until(lambda: got))
            assert b"StasisStart" in got[0]
            break
        without = load(ari=_ari(port, **certificates.settings(with_client=False)))
        async with factories.rest_client(without) as rest:
            with pytest.raises(UnreachableError):
                await rest.request("POST", "/channels/c/answer")


async def test_secret_shows_nowhere() -> None:
    secret = "correct-horse-battery-staple"
    groups: dict[str, Any] = {
        "ari": {"password": secret},
        "bus": {"user": "u", "password": secret, "token": secret},
    }
    settings = load(**groups)
    async with factories.rest_client(settings) as rest:
        shown = [repr(settings), str(settings), settings.model_dump_json(), repr(rest)]
        shown += [repr(factories.bus(settings, "test")), repr(factories.event_socket(settings))]
        with pytest.raises(UnreachableError) as error:
            await rest.request("GET", "/asterisk/ping")
        shown.append(repr(error.value))

    assert not [text for text in shown if secret in text]
