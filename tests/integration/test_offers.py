"""Who takes a dialog on real NATS, and what if he does not come, or declines."""

import asyncio
import json

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.support.running import LegacyClient, until
from tests.support.scripted_asterisk import channel_event
from tests.support.servers import NatsServer
from tests.support.setting import proxy_with


async def decline(client: Client, declined: list[str]) -> None:
    async def take(message: Msg) -> None:
        declined.append(json.loads(message.data)["dialog_id"])
        await message.respond(b'{"decline":true,"reason":"it is full"}')

    await client.subscribe("demo", queue="ariq", cb=take)
    await client.flush()


async def test_app_start_whose_taker_dies_goes_to_another_instance(
    nats_server: NatsServer,
) -> None:
    async with proxy_with(nats_server) as setting:
        dying = await nats.connect(nats_server.url)
        taken: list[str] = []

        async def take(message: Msg) -> None:
            taken.append(json.loads(message.data)["dialog_id"])

        await dying.subscribe("demo", queue="ariq", cb=take)
        await dying.flush()
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: taken)
        await dying.close()
        await setting.client.start()
        dialog = await setting.client.first_dialog()

    assert [dialog] == taken
    assert setting.client.types(dialog) == ["StasisStart"]
    assert setting.asterisk.requests == []


async def test_instance_that_is_full_declines_and_no_call_is_lost(nats_server: NatsServer) -> None:
    async with proxy_with(nats_server) as setting:
        full = await nats.connect(nats_server.url)
        declined: list[str] = []
        await decline(full, declined)
        await setting.client.start()
        for number in range(8):
            await setting.asterisk.push(channel_event("StasisStart", f"c{number}"))
        await setting.client.until(lambda: sum(map(bool, setting.client.events.values())) == 8)
        await full.close()

    starts = [start["dialog_id"] for start in setting.client.starts]
    assert len(set(starts)) == len(starts) == 8
    assert declined
    assert setting.asterisk.requests == []


async def test_instance_that_declines_alone_is_not_kept_busy(nats_server: NatsServer) -> None:
    async with proxy_with(nats_server, listener_seconds=2) as setting:
        full = await nats.connect(nats_server.url)
        declined: list[str] = []
        await decline(full, declined)
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: any("continue" in r.target for r in setting.asterisk.requests))
        await full.close()

    assert 2 <= len(declined) <= 10
    assert "NO_APPLICATION" in setting.asterisk.requests[0].target


async def test_taker_that_is_only_slow_keeps_its_call(nats_server: NatsServer) -> None:
    async with proxy_with(nats_server) as setting:
        slow = LegacyClient(setting.bus, "demo", subscribe_after=2)
        await slow.start()
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        dialog = await slow.first_dialog()
        await asyncio.sleep(1.5)  # Past the time in which it would be offered again.

    assert [start["dialog_id"] for start in slow.starts] == [dialog]
