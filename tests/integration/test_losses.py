"""Events that the bus's buffer can't hold, or the bus does not take; on real buses."""

from typing import Any

import pytest

from tests.support.calls import body_of
from tests.support.running import LegacyClient, bus_client, running_proxy, until
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer, NatsServer
from tests.support.setting import Setting, proxy_with, settings_of

#: Each event takes about 700 of its bytes.
BUFFER_BYTES = 64_000
EVENTS = 500


def gaps_of(client: LegacyClient, dialog: str) -> list[dict[str, Any]]:
    return [body_of(event) for event in client.events[dialog] if event["type"] == "ProxyGap"]


def missing(client: LegacyClient, dialog: str) -> int:
    """Return how many numbers the sequence lacks; an event may come twice."""
    sequences: set[int] = {event["sequence"] for event in client.events[dialog]}
    return max(sequences) - len(sequences)


def varset(number: int) -> str:
    return channel_event("ChannelVarset", "c", more=f'"n":{number},')


async def test_dialog_is_told_what_the_full_buffer_has_lost(
    own_bus_server: BusServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, own_bus_server)
        bus_settings = settings.bus.model_copy(update={"buffer_bytes": BUFFER_BYTES})
        settings = settings.model_copy(update={"bus": bus_settings})
        async with bus_client(settings) as bus, running_proxy(settings, ["ingest"]):
            client = LegacyClient(bus, "demo")
            dialog = await Setting(asterisk, settings, bus, client).begin()
            own_bus_server.stop()
            for number in range(EVENTS):
                await asterisk.push(varset(number))
            await until(lambda: "bus.messages_dropped" in capsys.readouterr().out)
            own_bus_server.start()
            await client.until(lambda: gaps_of(client, dialog))
            await asterisk.push(varset(EVENTS))
            await client.until(lambda: '"n":500,' in client.events[dialog][-1]["ari_body"])

    gaps = gaps_of(client, dialog)
    assert {gap["reason"] for gap in gaps} == {"buffer_full"}
    # The buffer counts as lost what the bus has had and not confirmed; that is little.
    lost = sum(gap["count"] for gap in gaps)
    assert EVENTS > lost >= missing(client, dialog) > EVENTS / 2
    for gap in gaps:
        assert gap["from"] <= gap["to"] <= gap["timestamp"]


async def test_dialog_is_told_of_an_event_that_the_bus_does_not_take(
    nats_server: NatsServer,
) -> None:
    async with proxy_with(nats_server) as setting:
        dialog = await setting.begin()
        size = setting.bus.max_message_bytes
        await setting.asterisk.push(
            channel_event("ChannelVarset", "c", more=f'"value":"{"x" * size}",')
        )
        client = setting.client
        await client.until(lambda: gaps_of(client, dialog))

    (gap,) = gaps_of(client, dialog)
    assert (gap["reason"], gap["count"]) == ("too_large", 1)
    assert [event["sequence"] for event in client.events[dialog]] == [1, 3]
