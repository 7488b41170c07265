"""Commands that would crash a real Asterisk do not reach it."""

import json
from collections.abc import Iterator

import aiohttp
import pytest
import websockets

from ari_proxy.ari.fatal_parameters import LISTS, REQUIRED
from ari_proxy.client.application import call
from ari_proxy.connections import factories
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import Command
from tests.support.running import bus_client, running_proxy, settings_for, until_running
from tests.support.servers import PASSWORD, Asterisk, NatsServer

APPLICATION = "fatal"


@pytest.fixture(params=["22", "16"], ids=["asterisk22", "asterisk16"])
def own_asterisk(request: pytest.FixtureRequest) -> Iterator[Asterisk]:
    """An Asterisk of this test's own: it may crash."""
    server = Asterisk(request.param)
    server.start()
    yield server
    server.remove()


def fatal_commands() -> Iterator[Command]:
    """Every kind of command that crashes Asterisk, about objects that exist."""
    for (method, template), name in {**REQUIRED, **LISTS}.items():
        path = template.replace("{channelId}", "the-channel").replace("{bridgeId}", "the-bridge")
        path = path.replace("{applicationName}", APPLICATION).replace("{eventName}", "e")
        query = {"/events/user/e": f"?application={APPLICATION}"}.get(path, "?name=x")
        for value in (None, [5]):
            yield Command(f"{method} {path}", path + query, method, json.dumps({name: value}))
    yield Command("move", "/channels/the-channel/move", "POST")


async def test_asterisk_survives_commands_that_would_crash_it(
    own_asterisk: Asterisk, nats_server: NatsServer
) -> None:
    settings = settings_for(
        nats_server,
        rest_url=own_asterisk.url,
        websocket_url=own_asterisk.websocket_url,
        application=APPLICATION,
    )
    login = {"Authorization": aiohttp.encode_basic_auth("ari", PASSWORD)}
    events = f"{own_asterisk.websocket_url}?app={APPLICATION}"
    server = ServerId(settings.server_id)
    channel = f"/channels?endpoint=Local/answer@default/n&app={APPLICATION}&channelId=the-channel"
    async with (
        factories.rest_client(settings) as rest,
        bus_client(settings) as bus,
        running_proxy(settings, ["command"]),
        websockets.connect(events, additional_headers=login),
    ):
        await until_running(settings, ingest=False)
        for url in ("/bridges?bridgeId=the-bridge", channel):
            assert (await rest.request("POST", url)).status == 200
        refused = [await call(bus, server, command) for command in fatal_commands()]
        alive = await rest.request("GET", "/channels/the-channel")

    assert {response.status_code for response in refused} == {400}
    assert {json.loads(r.response_body)["error"] for r in refused} == {"ari_proxy.parameter"}
    assert alive.status == 200
