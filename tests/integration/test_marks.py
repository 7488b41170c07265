"""The channel variable that tells a dialog, on a real Asterisk 22 and 16."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from urllib.parse import urlencode

import pytest

from ari_proxy.ari import snapshot
from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.ari.websocket import EventSocket
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.setup.labels import ChannelLabels
from ari_proxy.protocol.ids import DialogId
from tests.support.calls import asterisk_client
from tests.support.running import until
from tests.support.servers import PASSWORD, Asterisk


@asynccontextmanager
async def channel_in_stasis(asterisk: Asterisk, rest: RestClient) -> AsyncIterator[str]:
    socket = EventSocket(asterisk.websocket_url, ("marks",), Credentials("ari", PASSWORD))
    async with aclosing(socket.connections()) as connections:
        await anext(connections)
        query = urlencode({"endpoint": "Local/answer@default/n", "app": "marks"})
        answer = await rest.request("POST", f"/channels?{query}")
        channel: str = json.loads(answer.body)["id"]

        async def is_in_stasis() -> bool:
            found = snapshot.channels((await rest.request("GET", "/channels")).body)
            return found[channel].application == "marks"

        await until(is_in_stasis)
        yield channel
        await rest.request("DELETE", f"/channels/{channel}")


@pytest.mark.parametrize("server", ["a&b=c", "a#b", "a%41b", "a+b", "ä;?/"])
async def test_channel_tells_its_dialog_whatever_the_server_is_called(
    asterisk: Asterisk, server: str
) -> None:
    dialog = Dialog(DialogId(f"{server}.0123456789abcdef"), "demo", "", announce=True, now=0)
    async with asterisk_client(asterisk) as rest, channel_in_stasis(asterisk, rest) as channel:
        await ChannelLabels(rest).label(dialog, channel)
        query = urlencode({"variable": DIALOG_VARIABLE})

        async def told() -> str:
            answer = await rest.request("GET", f"/channels/{channel}/variable?{query}")
            return snapshot.variable(answer.body)

        await until(told)  # Asterisk 16 answers the request before it has set it.
        assert await told() == dialog.dialog_id
