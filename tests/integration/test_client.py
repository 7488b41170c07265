"""The client library's handler that fails, on real Asterisks and buses."""

import asyncio
import itertools
import json

from ari_proxy.client.application import Application
from ari_proxy.client.call import Call
from ari_proxy.connections import factories
from tests.support.running import bus_client, running_proxy, settings_for, until
from tests.support.servers import Asterisk, BusServer

_numbers = itertools.count()


async def test_caller_is_back_in_the_dialplan_at_once_and_the_other_leg_is_hung_up(
    asterisk: Asterisk, bus_server: BusServer
) -> None:
    application = f"failing{next(_numbers)}"
    settings = settings_for(
        bus_server,
        rest_url=asterisk.url,
        websocket_url=asterisk.websocket_url,
        application=application,
    )
    legs: list[str] = []

    async def serve(call: Call) -> None:
        """Place a second leg, and fail when it is there."""
        caller = f"/channels/{call.channel_id}"
        async for event in call.events():
            if event.channel_id == call.channel_id and event.type == "StasisStart":
                await call.command("POST", f"{caller}/answer")
                where = {"endpoint": "Local/answer@default/n", "app": application}
                leg = await call.command("POST", "/channels", **where)
                legs.append(json.loads(leg.response_body)["id"])
            elif event.type == "StasisStart":
                raise RuntimeError("no database")

    async with (
        factories.rest_client(settings) as rest,
        bus_client(settings) as bus,
        running_proxy(settings),
        asyncio.TaskGroup() as tasks,
    ):
        running = tasks.create_task(Application(bus, application, serve).run())

        async def answers(path: str) -> int:
            return (await rest.request("GET", path)).status

        async def is_registered() -> bool:
            return await answers(f"/applications/{application}") == 200

        async def is_gone() -> bool:
            return bool(legs) and await answers(f"/channels/{legs[0]}") == 404

        async def is_told() -> bool:
            answer = await rest.request("GET", "/asterisk/variable?variable=LAST_PROXY_STATUS")
            return bool(json.loads(answer.body)["value"] == "FAILED")

        await until(is_registered)
        unset = "/asterisk/variable?variable=LAST_PROXY_STATUS&value=unset"
        assert (await rest.request("POST", unset)).status == 204
        call = f"/channels?endpoint=Local/app-{application}@default/n&extension=answer"
        assert (await rest.request("POST", call)).status == 200
        await until(is_gone)
        await until(is_told)
        running.cancel()
