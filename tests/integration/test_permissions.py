"""The rights on NATS that docs/reference/wire.md names are enough to serve calls, and needed."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from ari_proxy.bus.base import Bus
from ari_proxy.protocol import messages
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import Command
from ari_proxy.settings.load import Settings
from ari_proxy.tap.watcher import Watcher
from tests.support import documented_rights
from tests.support.ports import free_port
from tests.support.process import Process, environment_of, running
from tests.support.running import LegacyClient, bus_client, running_proxy, until
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import NatsServer
from tests.support.setting import settings_of


def documented() -> str:
    """Return the documented configuration, for the server of the tests."""
    return documented_rights.on_nats().replace(documented_rights.SERVER, "server-1")


@pytest.fixture
def nats_with(tmp_path: Path) -> Iterator[Any]:
    servers = []

    def start(configuration: str, *options: str) -> NatsServer:
        file = tmp_path / "nats.conf"
        file.write_text(configuration)
        server = NatsServer("-c", str(file), *options)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def as_user(user: str, settings: Settings) -> Settings:
    """Return the settings with one of the documented accounts."""
    account = {"user": user, "password": SecretStr("secret")}
    return settings.model_copy(update={"bus": settings.bus.model_copy(update=account)})


async def serve_a_call(application: Bus, asterisk: ScriptedAsterisk) -> None:
    """Serve one with commands that need ingest, and one command that belongs to no dialog."""
    client = LegacyClient(application, "demo")
    await client.start()
    await asterisk.push(channel_event("StasisStart", "c"))
    dialog = await client.first_dialog()
    for url in ("/channels/create?endpoint=Local/1&channelId=own", "/channels/own/answer"):
        assert (await client.command(dialog, "POST", url))["status_code"] < 500
    command = messages.encode(Command("1", "/asterisk/info", "GET"))
    assert await application.request("commands_server-1", command, timeout_seconds=5)


@asynccontextmanager
async def limited_services(
    server: NatsServer,
    asterisk: ScriptedAsterisk,
    *,
    scope: str,
    console_port: int = 0,
    silence_seconds: float = 60,
) -> AsyncIterator[Bus]:
    """Run each service with its own user, and yield the application's bus."""
    settings = settings_of(asterisk, server, command={"scope": scope})
    console = {"enabled": bool(console_port), "port": console_port, "console": True}
    silence = {"silence_seconds": silence_seconds}
    of_ingest = settings_of(asterisk, server, admin=console, ingest=silence)
    async with (
        bus_client(as_user("application", settings)) as application,
        running_proxy(as_user("ingest", of_ingest), ["ingest"]),
        running_proxy(as_user("command", settings), ["command"]),
    ):
        yield application


async def until_standby_is_ready(server: NatsServer, asterisk: ScriptedAsterisk) -> None:
    """Wait for an executor to which Asterisk has opened no websocket: others take commands."""
    port = free_port()
    settings = settings_of(
        asterisk,
        server,
        ari={"connection": "outbound", "listen": f"127.0.0.1:{free_port()}"},
        admin={"port": port},
    )
    async with (
        running_proxy(as_user("command", settings), ["command"]),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):

        async def is_ready() -> bool:
            try:
                async with http.get("/readyz") as answer:
                    return answer.status == HTTPStatus.OK
            except aiohttp.ClientConnectorError:
                return False

        await until(is_ready)


#: A user, "publish" or "subscribe", and a subject.
Right = tuple[str, str, str]


def rights_used(trace: str) -> set[Right]:
    """Return what each user has done, by nats-server's log of all messages (`-V`)."""
    found = re.findall(r'/user:(\w+)" - <<- \[(H?PUB|SUB) (\S+)', trace)
    return {(user, "subscribe" if verb == "SUB" else "publish", s) for user, verb, s in found}


def is_used(right: Right, used: set[Right]) -> bool:
    user, action, pattern = right
    expression = re.escape(pattern).replace(r"\*", r"[^.]+").replace(">", ".+")
    return any((user, action) == u[:2] and re.fullmatch(expression, u[2]) for u in used)


async def test_documented_rights_on_nats_are_enough_and_each_is_used(
    nats_with: Any, tmp_path: Path
) -> None:
    log, port = tmp_path / "trace", free_port()
    server = nats_with(documented(), "-V", "-l", str(log))
    async with (
        scripted_asterisk() as asterisk,
        limited_services(
            server, asterisk, scope="dialog", console_port=port, silence_seconds=2
        ) as application,
        bus_client(as_user("watcher", settings_of(asterisk, server))) as watcher,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as console,
    ):
        await until(asterisk.connected.is_set)
        await until_standby_is_ready(server, asterisk)
        async with (
            Watcher(watcher, ServerId("server-1")).watching() as copies,
            console.get("/console/copies?dialog=any") as watched,
        ):
            assert watched.status == 200
            listening = LegacyClient(application, "demo")
            await listening.listen("server-1")
            recovered: list[object] = []
            await application.subscribe("recovered_demo", recovered.append)
            of_dying = as_user("application", settings_of(asterisk, server))
            async with bus_client(of_dying) as dying:
                await serve_a_call(dying, asterisk)
            await until(lambda: recovered)
            await asterisk.push('{"type":"DeviceStateChanged","device_state":{}}')
            await listening.until(lambda: listening.events["server-1"])
            await listening.until(lambda: listening.responses["server-1"])
            kinds = {"app_start", "response"}  # Of ingest, and of command.
            while kinds:
                kinds.discard((await anext(copies)).kind)

    documented_ones = {
        (user, action, subject.replace(documented_rights.SERVER, "server-1"))
        for user in ("ingest", "command", "application", "watcher")
        for action, subjects in documented_rights.subjects_on_nats(user).items()
        for subject in subjects
    }
    trace = log.read_text()
    assert re.findall("^.* Violation - .*$", trace, re.MULTILINE) == []
    used = rights_used(trace)
    assert {right for right in documented_ones if not is_used(right, used)} == set()


@pytest.mark.parametrize("subject", ["owners_server-1", "handover_server-1", "watching_server-1"])
async def test_right_that_is_missing_is_told(
    nats_with: Any, capsys: pytest.CaptureFixture[str], subject: str
) -> None:
    configuration = documented()
    server = nats_with(configuration.replace(f'"{subject}",', ""))
    async with (
        scripted_asterisk() as asterisk,
        limited_services(server, asterisk, scope="server") as application,
    ):
        await serve_a_call(application, asterisk)

    said = capsys.readouterr().out
    assert "bus.subscription_refused" in said
    assert subject in said


# As processes


@asynccontextmanager
async def limited(
    name: str, server: NatsServer, asterisk: ScriptedAsterisk, log: Path
) -> AsyncIterator[Process]:
    """Run a service with its own user; its password is that of the documentation."""
    environment = environment_of(settings_of(asterisk, server)) | {
        "ARI_PROXY_BUS__USER": name,
        "ARI_PROXY_BUS__PASSWORD": "secret",
        "ARI_PROXY_INGEST__LISTENER_SECONDS": "1",
    }
    async with running(log, name, **environment) as process:
        yield process


async def reason(process: Process) -> str:
    """Return what `/readyz` has against the bus, once it has something."""
    found = ""

    async def is_told() -> bool:
        nonlocal found
        status, text = await process.admin("/readyz")
        found = json.loads(text)["checks"]["bus"]
        return status == 503 and found not in {"ok", "no connection to the bus"}

    await until(is_told)
    return found


async def refusals(process: Process) -> float:
    """Return how much the bus has refused; it still does."""
    _, text = await process.admin("/metrics")
    lines = [line for line in text.splitlines() if line.startswith("ariproxy_bus_refus")]
    values = {line.partition("{")[0]: float(line.split()[-1]) for line in lines}
    assert values["ariproxy_bus_refused"] == values["ariproxy_bus_refusals_total"]
    return values["ariproxy_bus_refusals_total"]


async def test_executor_that_may_not_subscribe_commands_is_not_ready(
    nats_with: Any, tmp_path: Path
) -> None:
    subject = "commands_server-1.*"
    allowed = f'subscribe: [ "commands_server-1", "{subject}",'
    assert allowed in documented()
    server = nats_with(documented().replace(allowed, 'subscribe: [ "commands_server-1",'))
    async with (
        scripted_asterisk() as asterisk,
        limited("command", server, asterisk, tmp_path / "log") as process,
    ):
        told = await reason(process)
        count = await refusals(process)

    assert told == f"the account may not subscribe to {subject}"
    assert count == 1
    (line,) = process.events("bus.subscription_refused")
    assert (line["level"], line["topic"]) == ("error", subject)


async def test_denied_app_start_is_told_and_the_reason_that_the_dialplan_is_told(
    nats_with: Any, tmp_path: Path
) -> None:
    assert 'publish: [ "demo", ' in documented()
    server = nats_with(documented().replace('publish: [ "demo", ', "publish: [ "))
    async with (
        scripted_asterisk() as asterisk,
        limited("ingest", server, asterisk, tmp_path / "log") as process,
        bus_client(as_user("application", settings_of(asterisk, server))) as application,
    ):
        await LegacyClient(application, "demo").start()
        await process.logged("websocket.connected")
        await asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: len(asterisk.requests) >= 2)
        told = await reason(process)
        count = await refusals(process)

    assert asterisk.requests[0].target.endswith("?variable=ARI_PROXY_STATUS&value=BUS_REFUSED")
    assert asterisk.requests[1].target == "/ari/channels/c/continue"
    assert told == "the account may not publish to demo"
    assert count == 1
    (line,) = process.events("bus.publishing_refused")
    assert (line["level"], line["topic"]) == ("error", "demo")
