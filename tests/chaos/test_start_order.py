"""The services start with nothing up, say so, and get ready by themselves."""

import asyncio
import json
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import stage_settings
from tests.support import process
from tests.support.calls import Calls, asterisk_client
from tests.support.process import Process, environment_of
from tests.support.running import LegacyClient, bus_client, running_proxy, until, until_serving
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import Asterisk, BusServer
from tests.support.setting import settings_of


async def ready(service: Process) -> tuple[int, dict[str, Any]]:
    status, text = await service.admin("/readyz")
    return status, json.loads(text)["checks"]


async def is_ready(service: Process) -> bool:
    return (await ready(service))[0] == 200


@pytest.mark.parametrize("order", [["asterisk", "bus"], ["bus", "asterisk"]], ids="-".join)
async def test_services_get_ready_in_whatever_order_things_come(
    own_bus_server: BusServer, tmp_path: Path, order: list[str]
) -> None:
    own_bus_server.stop()
    asterisk = Asterisk("22")
    settings = stage_settings(own_bus_server, asterisk, asterisk.websocket_url, "early")
    environment = environment_of(settings)
    try:
        async with (
            process.running(tmp_path / "ingest", "ingest", **environment) as ingest,
            process.running(tmp_path / "command", "command", **environment) as command,
        ):
            status, checks = await ready(ingest)
            assert status == 503
            assert checks["bus"] == "no connection to the bus"
            assert checks["websocket"] == "the events websocket is not connected"
            assert (await ready(command))[0] == 503
            for number, name in enumerate(order):
                start = {"asterisk": asterisk.start, "bus": own_bus_server.start}[name]
                await asyncio.to_thread(start)
                if number == 0:
                    assert not await is_ready(ingest)
                    assert not await is_ready(command)
            await until(lambda: is_ready(ingest))
            await until(lambda: is_ready(command))
            async with bus_client(settings) as bus, asterisk_client(asterisk) as rest:
                client = LegacyClient(bus, "early")
                await client.start()
                calls = Calls(rest, "early", client)
                (channel,) = await calls.place(1)
                answer = await client.command(
                    calls.dialog_of(channel), "POST", f"/channels/{channel}/ring"
                )
    finally:
        asterisk.remove()

    assert answer["status_code"] == 204


async def test_asterisk_that_boots_is_waited_for(bus_server: BusServer) -> None:
    """It answers 404 and 503 before it takes the websocket, and a while later the lists."""
    async with scripted_asterisk() as asterisk:
        asterisk.booting = deque([404, 503, 503])
        asterisk.unlisted = 2
        settings = settings_of(asterisk, bus_server)
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_serving(bus)
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "c"))
            await client.first_dialog()

    assert not asterisk.booting
    assert len(asterisk.upgrades) == 4
