"""Calls of an Asterisk that opens all websockets: no request of the proxy goes by HTTP."""

from pathlib import Path

from tests.support.outbound_stage import outbound_stage
from tests.support.running import running_proxy, until
from tests.support.servers import BusServer


async def test_call_that_waited_is_served_on_asterisks_websockets(
    bus_server: BusServer, tmp_path: Path
) -> None:
    command = {"transport": "websocket", "websockets": 2}
    async with outbound_stage(tmp_path, bus_server, "demo", websockets=2, command=command) as stage:
        client, calls = stage.client, stage.calls
        await calls.until_registered()
        channel = await calls.originate()  # Nobody is there yet.
        async with running_proxy(stage.settings):
            dialog = await client.first_dialog()
            asked = await client.command(dialog, "GET", f"/channels/{channel}")
            ended = await client.command(dialog, "DELETE", f"/channels/{channel}")
            await until(lambda: client.ends.get(dialog))

    assert (asked["status_code"], ended["status_code"]) == (200, 204)
    assert client.starts[0]["channel_id"] == channel
    types = client.types(dialog)
    assert "StasisStart" in types
    assert types.index("StasisStart") < types.index("StasisEnd")
