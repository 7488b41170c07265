"""The rights on NATS that docs/reference/wire.md names are enough to serve calls, and needed."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ari_proxy.protocol import messages
from ari_proxy.protocol.messages import Command
from ari_proxy.settings.load import Settings
from tests.support import permissions
from tests.support.process import Process, environment_of, running
from tests.support.running import LegacyClient, bus_client, running_proxy, until
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import NatsServer
from tests.support.setting import settings_of


def documented() -> str:
    """Return the documented configuration, for the server of the tests."""
    return permissions.on_nats().replace(permissions.SERVER, "server-1")


@pytest.fixture
def nats_with(tmp_path: Path) -> Iterator[Any]:
    servers = []

    def start(configuration: str) -> NatsServer:
        file = tmp_path / "nats.conf"
        file.write_text(configuration)
        server = NatsServer("-c", str(file))
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


async def refusals_of_a_call(server: NatsServer) -> dict[str, str]:
    """Serve a call, each process and the application with its own user; return what is refused."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, server)

        async with (
            bus_client(as_user("application", settings)) as application,
            running_proxy(as_user("ingest", settings), ["ingest"]),
            running_proxy(as_user("command", settings), ["command"]),
        ):
            client = LegacyClient(application, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "c"))
            dialog = await client.first_dialog()
            answer = await client.command(
                dialog, "POST", "/channels/create?endpoint=Local/1&channelId=own"
            )
            assert answer["status_code"] < 500
            command = messages.encode(Command("1", "/asterisk/info", "GET"))
            assert await application.request("commands_server-1", command, timeout_seconds=5)
            problem = application.problem
            return {"application": problem.reason if problem else ""}


async def test_documented_rights_are_enough_on_nats(
    nats_with: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = await refusals_of_a_call(nats_with(documented()))

    said = capsys.readouterr().out
    assert refused == {"application": ""}
    assert "refused" not in said, said


@pytest.mark.parametrize("subject", ["owners_server-1", "handover_server-1", "watching_server-1"])
async def test_right_that_is_missing_is_told(
    nats_with: Any, capsys: pytest.CaptureFixture[str], subject: str
) -> None:
    configuration = documented()
    await refusals_of_a_call(nats_with(configuration.replace(f'"{subject}",', "")))

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
