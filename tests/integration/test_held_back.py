"""Events that wait for a recovery, more of them than the bus's buffer holds; on real buses."""

import json

from tests.support.running import LegacyClient, bus_client, running_proxy
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer
from tests.support.setting import settings_of

#: Each event takes about 700 of its bytes.
BUFFER_BYTES = 200_000
EVENTS = 4000


async def test_more_than_the_buffer_holds_is_held_back_and_comes_whole_and_in_order(
    bus_server: BusServer,
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, bus={"buffer_bytes": BUFFER_BYTES})
        async with bus_client(settings) as bus, running_proxy(settings, ["ingest"]):
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "c"))
            asterisk.add_channel("c")
            dialog = await client.first_dialog()
            await client.until_events(dialog, 1)
            asterisk.unlisted = 10**6
            await asterisk.drop()
            for number in range(EVENTS):
                await asterisk.push(channel_event("ChannelVarset", "c", more=f'"n":{number},'))
            asterisk.unlisted = 0
            for number in range(EVENTS, EVENTS + 10):
                await asterisk.push(channel_event("ChannelVarset", "c", more=f'"n":{number},'))
            await client.until_events(dialog, EVENTS + 10)

    events = client.events[dialog]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    bodies = [json.loads(event["ari_body"]) for event in events]
    numbers = [body["n"] for body in bodies if body["type"] == "ChannelVarset"]
    assert numbers == list(range(EVENTS + 10))
