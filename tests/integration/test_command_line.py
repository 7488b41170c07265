"""`ari-proxy` as processes: what its users start, stop and read."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from ari_proxy.bus.base import Bus, opened
from ari_proxy.client.application import Application, call
from ari_proxy.connections import factories
from ari_proxy.demo.application import DigitCollector
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import Command
from ari_proxy.protocol.topics import commands
from ari_proxy.settings.load import load
from tests.support import documented_rights, process
from tests.support.foreign import foreign_client
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.running import until, until_heard
from tests.support.servers import PASSWORD, Asterisk, BusServer

ROOT = Path(__file__).parents[2]
SERVER = ServerId("asterisk-1")
CALL = Command("call-1", "/channels?endpoint=Local/dtmf-1234@default&app=demo", "POST")


def original_config(directory: Path, url: str, bus: BusServer | None, **more: object) -> Path:
    """Write the original's example with other addresses."""
    config = json.loads((ROOT / "config.example.json").read_text())
    config |= {
        "stasis_url": url,
        "websocket_url": f"ws{url.removeprefix('http')}/events",
        "message_bus": bus.kind if bus else "NATS",
        "bus_config": {"url": bus.url if bus else "nats://unused:1", "queue": "ariq"},
    }
    path = directory / "config.json"
    path.write_text(json.dumps(config | more))
    return path


def configured(
    component: str, config: Path, bus: BusServer, **environment: str
) -> AbstractAsyncContextManager[Process]:
    """Run a service with this file, on NATS with its account."""
    log = config.with_name(component)
    account = documented_rights.variables(component, bus.kind)
    return process.running(log, component, "--config", str(config), **account, **environment)


async def serve_a_call(bus: Bus) -> None:
    """Place a call and serve it with the example application, to its end."""
    await until_registered(bus)
    collector = DigitCollector()
    serving = asyncio.create_task(Application(bus, "demo", collector.serve).run())
    try:
        response = await call(bus, SERVER, CALL)
        assert response.status_code == 200, response
        await until(lambda: collector.digits)
        assert collector.digits == {response.dialog_id: "1234"}
    finally:
        serving.cancel()


async def until_registered(bus: Bus) -> None:
    """Wait until an executor is there and Asterisk knows the application."""
    await until_heard(bus, commands(SERVER), b"DUMMY")

    async def known() -> bool:
        response = await call(bus, SERVER, Command("", "/applications/demo", "GET"))
        return response.status_code == 200

    await until(known)


def client(bus: BusServer) -> Bus:
    return factories.bus(load(bus={"kind": bus.kind, "urls": [bus.url]}), "test")


def nats_client(url: str) -> Bus:
    return factories.bus(load(bus={"urls": [url]}), "test")


async def test_standalone_replaces_the_original_on_a_real_asterisk(
    asterisk: Asterisk, bus_server: BusServer, tmp_path: Path
) -> None:
    config = original_config(tmp_path, asterisk.url, bus_server, ws_password=PASSWORD)
    async with (
        configured("standalone", config, bus_server) as proxy,
        opened(client(bus_server)) as bus,
    ):
        await proxy.logged("websocket.connected")
        await serve_a_call(bus)
        proxy.signal()

        assert await proxy.ended() == 0

    assert proxy.events("drain.finished")
    assert [event["level"] for event in proxy.events("dialog.started")] == ["info"]


async def test_ingest_and_command_apart_on_a_simulated_asterisk(
    bus_server: BusServer, tmp_path: Path
) -> None:
    port = free_port()
    config = original_config(tmp_path, f"http://127.0.0.1:{port}/ari", bus_server)
    async with (
        process.running(tmp_path / "simulate", "simulate", "--port", f"{port}") as simulated,
        configured("ingest", config, bus_server) as ingest,
        configured("command", config, bus_server) as command,
        opened(client(bus_server)) as bus,
    ):
        for running in (ingest, command):
            await running.logged("bus.connected")
        await ingest.logged("websocket.connected")
        await serve_a_call(bus)
        for running in (ingest, command, simulated):
            running.signal()

        codes = [await running.ended() for running in (ingest, command, simulated)]

    assert codes == [0, 0, 0]


@asynccontextmanager
async def with_embedded_nats(
    directory: Path, **settings: object
) -> AsyncIterator[tuple[Process, str]]:
    """Run `standalone --embedded-nats` on a simulated Asterisk; yield it and the bus's address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/ari"
    config = original_config(directory, url, None, **settings)
    arguments = ("standalone", "--embedded-nats", "--config", str(config))
    async with (
        process.running(directory / "simulate", "simulate", "--port", f"{port}"),
        process.running(directory / "log", *arguments) as proxy,
    ):
        address = (await proxy.logged("bus.connected"))["url"]
        await proxy.logged("websocket.connected")
        yield proxy, address


async def test_embedded_nats_serves_and_ends_with_the_proxy(tmp_path: Path) -> None:
    async with with_embedded_nats(tmp_path) as (proxy, address):
        async with opened(nats_client(f"nats://{address}")) as bus:
            await serve_a_call(bus)
        proxy.signal()

        assert await proxy.ended() == 0

    assert not is_listening(address)


async def test_second_signal_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    settings = {"ingest": {"no_listener": "keep"}, "runtime": {"drain_seconds": 3600}}
    async with with_embedded_nats(tmp_path, **settings) as (proxy, address):
        async with opened(nats_client(f"nats://{address}")) as bus:
            await until_registered(bus)
            await call(bus, SERVER, CALL)  # Nobody serves it, so that the drain waits.
            await proxy.logged("dialog.started")
        proxy.signal()
        await proxy.logged("drain.started")
        proxy.signal()

        assert await proxy.ended() == 128 + 15

    await until(lambda: not is_listening(address))


def is_listening(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


async def test_demo_on_a_running_bus_leaves_nothing_there(
    bus_server: BusServer, tmp_path: Path
) -> None:
    account = f"//demo:{documented_rights.PASSWORD}@"
    is_nats = bus_server.kind == "NATS"
    url = bus_server.url.replace("//", account) if is_nats else bus_server.url
    arguments = ("demo", "--calls", "2", "--bus", url)
    async with process.running(tmp_path / "log", *arguments) as demo:
        assert await demo.ended() == 0, demo.log

    assert "2 of 2 calls served, digits: 1234, 1234" in demo.log
    if not is_nats:
        async with foreign_client(bus_server.url) as foreign:
            dialogs = re.findall(r"^dialog (\S+)$", demo.log, re.MULTILINE)
            names = ["ari-proxy-demo", "commands_asterisk-demo", "dialogs_asterisk-demo"]
            names += [f"{kind}_{d}" for d in dialogs for kind in ("events", "commands")]
            assert len(names) == 7
            assert [name for name in names if await foreign.depth(name) is not None] == []


async def test_wrong_password_is_reported_without_it(
    asterisk: Asterisk, bus_server: BusServer, tmp_path: Path
) -> None:
    config = original_config(tmp_path, asterisk.url, bus_server, ws_password="hush-hush")
    environment = {"ARI_PROXY_LOG__LEVEL": "debug"}
    async with configured("standalone", config, bus_server, **environment) as proxy:
        line = await proxy.logged("websocket.refused")
        await proxy.logged("bus.connected")
        proxy.signal()
        assert await proxy.ended() == 0

    assert "401" in line["error"]
    assert "hush" not in proxy.log
    assert "YXJpOmh1c2" not in proxy.log  # as Authorization has it


async def test_taken_admin_port_is_an_error_with_advice(
    bus_server: BusServer, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = f"{taken.getsockname()[1]}"
        environment = {
            "ARI_PROXY_ADMIN__PORT": port,
            "ARI_PROXY_BUS__KIND": bus_server.kind,
            "ARI_PROXY_BUS__URLS": json.dumps([bus_server.url]),
        }
        async with process.running(tmp_path / "log", "command", **environment) as proxy:
            assert await proxy.ended() == 1

    assert f"error: the admin API cannot listen on 127.0.0.1:{port}" in proxy.log
    assert "admin.port" in proxy.log
    assert "Traceback" not in proxy.log


async def test_two_proxies_with_the_originals_configuration_share_a_machine(
    tmp_path: Path,
) -> None:
    """Nobody has asked for the admin port: go-ari-proxy had none."""
    config = original_config(tmp_path, "http://127.0.0.1:1/ari", None)
    arguments, default = ("standalone", "--config", str(config)), {"ARI_PROXY_ADMIN__PORT": ""}
    async with (
        process.running(tmp_path / "one", *arguments, **default) as one,
        process.running(tmp_path / "two", *arguments, **default) as two,
    ):
        ports = [(await proxy.logged("admin.listening"))["port"] for proxy in (one, two)]
        assert [(await proxy.admin("/livez"))[0] for proxy in (one, two)] == [200, 200]

        assert len(set(ports)) == 2
        for proxy, port in zip((one, two), ports, strict=True):
            taken = proxy.events("admin.port_taken")
            assert [line["level"] for line in taken] == ["warning"] * (port != 9797)
        for proxy in (one, two):
            proxy.signal()
        assert [await proxy.ended() for proxy in (one, two)] == [0, 0]


@pytest.mark.parametrize("form", ["ours", "original"])
async def test_taken_admin_port_that_was_asked_for_is_an_error(tmp_path: Path, form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        admin = {"admin": {"port": taken.getsockname()[1]}}
        config = original_config(tmp_path, "http://127.0.0.1:1/ari", None, **admin)
        if form == "ours":
            config.write_text(json.dumps(admin))
        arguments, default = ("standalone", "--config", str(config)), {"ARI_PROXY_ADMIN__PORT": ""}
        async with process.running(tmp_path / "log", *arguments, **default) as proxy:
            assert await proxy.ended() == 1

    assert "error: the admin API cannot listen on 127.0.0.1" in proxy.log


def test_every_bad_setting_is_named_and_the_status_is_2(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"server_id": "a.b", "applications": ["x"], "message_bus": "KAFKA"}')

    for command in ("check-config", "standalone", "ingest", "command"):
        ended = process.run(command, "--config", str(config), ARI_PROXY_ADMIN__PORT="many")

        assert ended.returncode == 2
        problems = ended.stderr.splitlines()
        assert [problem.partition(" (")[0] for problem in problems] == [
            "error: server_id",
            "error: bus.kind",
            "error: admin.port",
        ]
        assert "environment variable ARI_PROXY_ADMIN__PORT" in problems[2]


def test_check_config_shows_what_is_in_force_without_secrets(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-file")
    bus = {"url": "nats://u:hush@b:4222", "queue": "ariq"}
    config = original_config(tmp_path, "http://a:8088/ari", None, bus_config=bus)
    environment = {"ARI_PROXY_ARI__PASSWORD_FILE": str(secret), "ARI_PROXY_SERVER_ID": "other"}

    ended = process.run("check-config", "--config", str(config), **environment)

    shown = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert (shown["server_id"], shown["applications"]) == ("other", ["demo"])
    assert shown["ari"]["rest_url"] == "http://a:8088/ari"
    assert (shown["bus"]["urls"], shown["bus"]["user"]) == (["nats://b:4222"], "u")
    assert shown["ari"]["password_file"] == str(secret)
    assert set(shown["bus"]["password"]) == {"*"}
    assert "hush" not in ended.stdout
    assert "from-file" not in ended.stdout


async def test_unknown_key_of_the_original_is_a_warning(tmp_path: Path) -> None:
    config = original_config(tmp_path, "http://127.0.0.1:1/ari", None, nats_addr="hush")
    arguments = ("--config", str(config))

    ended = process.run("check-config", *arguments)
    async with process.running(tmp_path / "log", "standalone", *arguments) as proxy:
        line = await proxy.logged("settings.ignored")

    assert ended.returncode == 0
    told = f"{config}: nats_addr is ignored, as go-ari-proxy did: there is no such setting"
    assert ended.stderr == f"warning: {told}\n"
    assert (line["level"], line["problem"]) == ("warning", told)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bus", "nats://u:hu#sh@h"), "--bus has a port"),
        (("--bus", "amqp://u:hush@h:x"), "--bus has a port"),
        (("--asterisk", "u:hush@127.0.0.1:8088"), "--asterisk must"),
    ],
)
def test_demo_shows_no_part_of_a_bad_url(arguments: tuple[str, ...], message: str) -> None:
    ended = process.run("demo", *arguments)

    assert ended.returncode == 1
    assert message in ended.stderr
    assert "hush" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["standalone", "operator"])
def test_variable_that_names_no_setting_ends_it_at_once(command: str) -> None:
    ended = process.run(command, ARI_PROXY_LOG_LEVEL="debug")

    assert ended.returncode in {1, 2}
    assert "ARI_PROXY_LOG_LEVEL: there is no such setting" in ended.stderr
    assert "did you mean ARI_PROXY_LOG__LEVEL?" in ended.stderr


@pytest.mark.parametrize("arguments", [(), ("--help",), ("standalone", "--help")])
def test_help_is_shown(arguments: tuple[str, ...]) -> None:
    assert "Usage" in process.run(*arguments).stdout


def test_demo_serves_its_calls(tmp_path: Path) -> None:
    ended = process.run("demo", "--calls", "2", TMPDIR=str(tmp_path))

    assert ended.returncode == 0, ended.stderr
    assert "2 of 2 calls served, digits: 1234, 1234" in ended.stdout
    assert ended.stdout.count("dialog asterisk-demo.") == 2
    for shown in ("AppStart", "StasisStart", "POST /channels/", "204", "ChannelDestroyed"):
        assert shown in ended.stdout


def test_demo_runs_on_a_real_asterisk(asterisk: Asterisk) -> None:
    url = asterisk.url.removesuffix("/ari")

    ended = process.run("demo", "--asterisk", url, ARI_PROXY_ARI__PASSWORD=PASSWORD)

    assert ended.returncode == 0, ended.stderr
    assert "3 of 3 calls served, digits: 1234, 1234, 1234" in ended.stdout


@pytest.mark.parametrize(
    ("url", "message"),
    [("localhost:8088", "must be a URL"), ("http://ari:ari@x:8088", "credentials")],
)
def test_demo_refuses_a_bad_url(url: str, message: str) -> None:
    ended = process.run("demo", "--asterisk", url)

    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
