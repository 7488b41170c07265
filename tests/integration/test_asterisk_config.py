"""`ari-proxy asterisk-config`: a real Asterisk with exactly the files that it prints."""

import asyncio
import base64
import json
import re
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from ari_proxy.connections import factories
from ari_proxy.settings.load import load
from tests.support import printed_files, process
from tests.support.ports import free_port
from tests.support.servers import PASSWORD, Asterisk

LOGIN = f"Basic {base64.b64encode(f'ari:{PASSWORD}'.encode()).decode()}"


async def test_asterisk_connects_as_its_printed_files_say(tmp_path: Path) -> None:
    port = free_port()
    opened: dict[str, list[str]] = {}
    credentials: set[str] = set()
    statuses: list[int] = []
    done = asyncio.Event()

    async def serve_asterisk(connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        assert connection.subprotocol == "ari"
        credentials.add(request.headers["Authorization"])
        async for frame in connection:
            message = json.loads(frame)
            if message["type"] == "ApplicationRegistered":
                opened.setdefault(request.path, []).append(message["application"])
                asked = {"type": "RESTRequest", "method": "DELETE", "uri": "channels/none"}
                if request.path.endswith("commands"):
                    await connection.send(json.dumps(asked | {"request_id": "1"}))
            if message["type"] == "RESTResponse":
                statuses.append(message["status_code"])
            if len(statuses) == 2 and "/pbx-1/events" in opened:
                done.set()

    with printed_files.asterisk(
        "22",
        tmp_path,
        {},
        *("--asterisk-version", "22.10.1"),
        ARI_PROXY_SERVER_ID="pbx-1",
        ARI_PROXY_APPLICATIONS='["demo","menu"]',
        ARI_PROXY_ARI__CONNECTION="outbound",
        ARI_PROXY_ARI__LISTEN=f"127.0.0.1:{port}",
        ARI_PROXY_COMMAND__WEBSOCKETS="2",
    ) as asterisk:
        async with serve(serve_asterisk, "127.0.0.1", port, subprotocols=[Subprotocol("ari")]):
            async with asyncio.timeout(30):
                await done.wait()
        assert await status_from("127.0.0.1", asterisk) == HTTPStatus.OK
        assert await status_from("127.0.0.2", asterisk) == HTTPStatus.FORBIDDEN

    assert {path: sorted(applications) for path, applications in opened.items()} == {
        "/pbx-1/events": ["demo", "menu"],
        "/pbx-1/commands": ["ari-proxy-command-1", "ari-proxy-command-2"],
    }
    assert credentials == {LOGIN}
    assert statuses == [404, 404]  # A user who may only read gets 403.


async def status_from(address: str, asterisk: Asterisk) -> int:
    """Ask Asterisk from an address of this machine."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with (
        aiohttp.ClientSession(connector=connector, headers={"Authorization": LOGIN}) as session,
        session.get(f"{asterisk.url}/asterisk/ping") as answer,
    ):
        return answer.status


@pytest.mark.parametrize(("version", "exact"), [("22", "22.10.1"), ("16", "16.28.0")])
async def test_inbound_connections_work_with_the_printed_files(
    version: str, exact: str, tmp_path: Path
) -> None:
    with printed_files.asterisk(version, tmp_path, {}, "--asterisk-version", exact) as asterisk:
        reached = {
            "rest_url": asterisk.url,
            "websocket_url": asterisk.websocket_url,
            "password": PASSWORD,
        }
        settings = load(applications=["demo"], ari=reached)
        async with factories.rest_client(settings) as rest:
            assert (await rest.request("DELETE", "/channels/none")).status == HTTPStatus.NOT_FOUND
        connection = await factories.event_socket(settings).connect()
        assert connection.subprotocol == "ari"
        await connection.close()


def test_commands_of_the_page_print_files(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs/asterisk.md"
    config = tmp_path / "config.json"
    config.write_text('{"ari": {"connection": "outbound", "password": "' + PASSWORD + '"}}')
    commands = re.findall(
        r"^ari-proxy (asterisk-config .*--url.*)$", page.read_text(), re.MULTILINE
    )
    assert commands

    for command in commands:
        words = [str(config) if word == "config.json" else word for word in command.split()]
        printed = process.run(*words)

        assert printed.returncode == 0, printed.stderr
        assert "uri = ws://command.example.com:8089/asterisk/commands" in printed.stdout
