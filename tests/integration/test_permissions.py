"""The rights that docs/reference/wire.md names are enough to serve calls."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.protocol import messages
from ari_proxy.protocol.messages import Command
from tests.support.running import LegacyClient, bus_client, running_proxy
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import NatsServer
from tests.support.setting import settings_of

WIRE = Path(__file__).parents[2] / "docs/reference/wire.md"


def documented() -> str:
    """Return the server's configuration with the rights that are documented."""
    section = WIRE.read_text().partition("## Permissions")[2].partition("\n## ")[0]
    return section.split("```")[1].replace("asterisk-1", "server-1")


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


async def refusals_of_a_call(server: NatsServer) -> dict[str, str]:
    """Serve a call, each process and the application with its own user; return what is refused."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, server)

        def of(user: str) -> Any:
            bus = settings.bus.model_copy(
                update={"user": user, "password": type(settings.bus.password)("secret")}
            )
            return settings.model_copy(update={"bus": bus})

        async with (
            bus_client(of("application")) as application,
            running_proxy(of("ingest"), ["ingest"]),
            running_proxy(of("command"), ["command"]),
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
