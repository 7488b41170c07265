"""Calls that a real Asterisk 22 offers to several applications: StasisBroadcast, `ingest.claim`."""

import asyncio
import itertools
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.bus.base import Bus, Message
from ari_proxy.client.application import Application
from ari_proxy.client.call import Call
from ari_proxy.settings.load import Settings
from tests.support.calls import asterisk_client, body_of
from tests.support.outbound_stage import outbound_stage
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    settings_for,
    until,
    until_running,
)
from tests.support.servers import Asterisk, BusServer

PAGE = Path(__file__).parents[2] / "docs/several-ingests.md"
_numbers = itertools.count(200)


@pytest.fixture(scope="module")
def asterisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """An Asterisk 22 with the dialplan of the documentation."""
    dialplan = tmp_path_factory.mktemp("dialplan") / "extensions.conf"
    dialplan.write_text(PAGE.read_text().partition("## The dialplan")[2].split("```")[1])
    server = Asterisk("22", extra=dialplan)
    server.start()
    yield server
    server.remove()


class Caller:
    """Places calls that Asterisk offers."""

    def __init__(self, rest: RestClient) -> None:
        self.rest = rest

    async def place(self, milliseconds: int) -> str:
        """Place a call that is offered for some time; return its channel."""
        return await self.call(f"bcast-{milliseconds}@default")

    async def call(self, extension: str) -> str:
        """Place a call to an extension; return the channel there."""
        channel = secrets.token_hex(8)
        query = {
            "endpoint": f"Local/{extension}/n",
            "context": "default",
            "extension": "answer",
            "channelId": secrets.token_hex(8),
            "otherChannelId": channel,
        }
        answer = await self.rest.request("POST", f"/channels?{urlencode(query)}")
        assert answer.status == 200, answer
        return channel

    async def channels_of(self, application: str) -> list[str]:
        """Return the channels in an application."""
        answer = await self.rest.request("GET", f"/applications/{application}")
        found: list[str] = json.loads(answer.body)["channel_ids"]
        return found

    async def until_executes(self, channel: str, name: str) -> None:
        """Wait until a channel executes an application of the dialplan; '' once it is gone."""

        async def executes() -> bool:
            answer = await self.rest.request("GET", f"/channels/{channel}")
            is_there = answer.status == 200
            return name == (json.loads(answer.body)["dialplan"]["app_name"] if is_there else "")

        await until(executes)

    async def until_gone(self, channel: str) -> None:
        await self.until_executes(channel, "")

    async def hang_up_all(self) -> None:
        for channel in json.loads((await self.rest.request("GET", "/channels")).body):
            await self.rest.request("DELETE", f"/channels/{channel['id']}")


def claiming(asterisk: Asterisk, bus_server: BusServer, server: str = "server-1") -> Settings:
    settings = settings_for(
        bus_server,
        rest_url=asterisk.url,
        websocket_url=asterisk.websocket_url,
        application=f"demo{next(_numbers)}",
        ingest={"claim": True},
    )
    return settings.model_copy(update={"server_id": server})


@pytest.fixture
async def caller(asterisk: Asterisk) -> AsyncIterator[Caller]:
    async with asterisk_client(asterisk) as rest:
        caller = Caller(rest)
        yield caller
        await caller.hang_up_all()


@asynccontextmanager
async def listening(settings: Settings, caller: Caller) -> AsyncIterator[None]:
    """Run a proxy whose application Asterisk knows."""
    async with running_proxy(settings):

        async def is_known() -> bool:
            path = f"/applications/{settings.applications[0]}"
            return (await caller.rest.request("GET", path)).status == 200

        await until(is_known)
        yield


async def accepted(bus: Bus, settings: Settings) -> list[dict[str, Any]]:
    """Accept the application's AppStarts; return them as they come. Nobody listens yet."""
    starts: list[dict[str, Any]] = []

    def accept(message: Message) -> None:
        starts.append(json.loads(message.payload))

    await bus.subscribe(settings.applications[0], accept, group="ariq")
    return starts


def dialog_of(client: LegacyClient, channel: str) -> str:
    """Return the dialog that was announced for a channel, or ''."""
    return next((s["dialog_id"] for s in client.starts if s["channel_id"] == channel), "")


def types_of(client: LegacyClient, dialog: str) -> list[str]:
    return [type_ for type_ in client.types_of(dialog) if type_ != "ChannelVarset"]


async def test_offered_call_begins_once_an_application_has_taken_it(
    asterisk: Asterisk, bus_server: BusServer, caller: Caller
) -> None:
    settings = claiming(asterisk, bus_server)
    async with bus_client(settings) as bus:
        client = LegacyClient(bus, settings.applications[0])
        starts = await accepted(bus, settings)
        async with listening(settings, caller):
            channel = await caller.place(10_000)
            await until(lambda: starts)
            assert await caller.channels_of(settings.applications[0]) == []
            dialog = starts[0]["dialog_id"]
            await client.listen(dialog)
            await client.until(lambda: "StasisStart" in client.types_of(dialog))
            answer = await client.command(dialog, "POST", f"/channels/{channel}/answer")
            variable = f"/channels/{channel}/variable?variable={DIALOG_VARIABLE}"
            label = await caller.rest.request("GET", variable)
        # Another ingest finds the call, though its channel does not show the application.
        async with listening(settings, caller):
            await client.until(lambda: "ProxyGap" in client.types_of(dialog))
            later = len(client.events[dialog])
            await caller.rest.request("POST", f"/channels/{channel}/variable?variable=V&value=1")
            await client.until(lambda: "ChannelVarset" in client.types_of(dialog)[later:])
            await caller.rest.request("POST", f"/channels/{channel}/continue")
            await client.until(lambda: client.ends.get(dialog))

    (start,) = starts
    assert start["channel_id"] == channel
    began = types_of(client, dialog)
    # Asterisk sends CallClaimed and StasisStart in either order.
    assert (began[0], set(began[1:3])) == ("CallBroadcast", {"CallClaimed", "StasisStart"})
    assert "StasisEnd" in began
    numbers = [event["sequence"] for event in client.events[dialog]]
    assert numbers[:3] == [1, 2, 3]
    assert numbers == sorted(set(numbers))
    stasis_start = next(e for e in client.events[dialog] if e["type"] == "StasisStart")
    assert body_of(stasis_start)["args"] == ["one", "two"]
    assert answer["status_code"] == 204
    assert json.loads(label.body)["value"] == dialog


async def test_offered_calls_are_claimed_on_websockets_that_asterisk_opens(
    bus_server: BusServer, tmp_path: Path
) -> None:
    groups = {
        "command": {"transport": "websocket", "websockets": 2},
        "ingest": {"claim": True},
    }
    application = f"demo{next(_numbers)}"
    async with (
        outbound_stage(tmp_path, bus_server, application, websockets=2, **groups) as stage,
        asterisk_client(stage.asterisk) as rest,
    ):
        client, caller = stage.client, Caller(rest)
        await stage.calls.until_registered()
        channels = [await caller.place(60_000)]  # Its offer waits at Asterisk.
        async with running_proxy(stage.settings):
            await until(lambda: "StasisStart" in client.types_of(dialog_of(client, channels[0])))
            channels.append(await caller.place(10_000))
            await until(lambda: "StasisStart" in client.types_of(dialog_of(client, channels[1])))
            for channel in channels:
                dialog = dialog_of(client, channel)
                ended = await client.command(dialog, "DELETE", f"/channels/{channel}")
                assert ended["status_code"] == 204
                await client.until(lambda: client.ends.get(dialog))  # noqa: B023  awaited here

    assert [start["channel_id"] for start in client.starts] == channels
    for channel in channels:
        types = types_of(client, dialog_of(client, channel))
        # Asterisk sends CallClaimed and StasisStart in either order.
        assert (types[0], set(types[1:3])) == ("CallBroadcast", {"CallClaimed", "StasisStart"})
        assert "StasisEnd" in types


async def test_call_that_nobody_takes_is_not_claimed(
    asterisk: Asterisk, bus_server: BusServer, caller: Caller
) -> None:
    settings = claiming(asterisk, bus_server)
    async with bus_client(settings) as bus, listening(settings, caller):
        channel = await caller.call("100@offered")
        await caller.until_executes(channel, "Playback")
        client = LegacyClient(bus, settings.applications[0])
        await client.start()
        # The next call shows that nothing of the first one is left.
        later = await caller.place(10_000)
        await until(lambda: "StasisStart" in client.types_of(dialog_of(client, later)))

    assert "StasisStart" not in client.types_of(dialog_of(client, channel))


async def test_caller_that_hangs_up_during_the_offer_leaves_nothing(
    asterisk: Asterisk, bus_server: BusServer, caller: Caller
) -> None:
    settings = claiming(asterisk, bus_server)
    async with bus_client(settings) as bus, listening(settings, caller):
        client = LegacyClient(bus, settings.applications[0])
        starts = await accepted(bus, settings)
        channel = await caller.place(10_000)
        await until(lambda: starts)
        await caller.rest.request("DELETE", f"/channels/{channel}")
        await caller.until_gone(channel)
        dialog = starts[0]["dialog_id"]
        await client.listen(dialog)  # It takes the call, of which nothing is left.
        await client.until(lambda: "ProxyDialogEnded" in client.types_of(dialog))

    assert client.types_of(dialog) == ["CallBroadcast", "ProxyDialogEnded"]
    assert body_of(client.events[dialog][-1])["reason"] == "offer_over"


async def test_offer_ends_with_the_ingest_that_has_made_it(
    asterisk: Asterisk, bus_server: BusServer, caller: Caller
) -> None:
    settings = claiming(asterisk, bus_server)
    async with bus_client(settings) as bus, listening(settings, caller):
        client = LegacyClient(bus, settings.applications[0])
        starts = await accepted(bus, settings)
        channel = await caller.place(2000)
        await until(lambda: starts)
        async with running_proxy(settings):  # Takes over.
            await caller.until_gone(channel)
            later = await caller.place(10_000)
            await until(lambda: starts[-1]["channel_id"] == later)
            dropped, dialog = starts[0]["dialog_id"], starts[-1]["dialog_id"]
            await client.listen(dropped)
            await client.listen(dialog)
            await until(lambda: "StasisStart" in client.types_of(dialog))
            await until(lambda: "ProxyDialogEnded" in client.types_of(dropped))

    assert {start["channel_id"] for start in starts} == {channel, later}
    (end,) = (e for e in client.events[dropped] if e["type"] == "ProxyDialogEnded")
    assert body_of(end)["reason"] == "offer_over"
    assert "StasisStart" not in client.types_of(dropped)
    assert types_of(client, dialog)[0] == "CallBroadcast"


@dataclass
class Worker:
    """An instance of an application that hangs up after a moment."""

    bus: Bus
    name: str
    served: list[str] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    taken: int = 0

    async def serve(self, call: Call) -> None:
        self.taken += 1
        async for event in call.events():
            if event.type == "StasisStart":
                self.served.append(call.channel_id)
                await call.command("POST", f"/channels/{call.channel_id}/answer")
                await call.command("DELETE", f"/channels/{call.channel_id}")
            elif event.type == "ProxyDialogEnded":
                self.lost[event.body["reason"]] += 1

    async def run(self) -> None:
        await Application(self.bus, self.name, self.serve).run()


async def test_two_active_ingests_share_calls_without_a_leader(
    asterisk: Asterisk, bus_server: BusServer, caller: Caller
) -> None:
    calls = 40
    settings = [claiming(asterisk, bus_server, server) for server in ("server-1", "other")]
    async with (
        bus_client(settings[0]) as bus,
        listening(settings[0], caller),
        listening(settings[1], caller),
        asyncio.TaskGroup() as tasks,
    ):
        workers = [Worker(bus, known.applications[0]) for known in settings]
        serving = [tasks.create_task(worker.run()) for worker in workers]
        await until_running(settings[0])
        placed = await asyncio.gather(*(caller.place(10_000) for _ in range(calls)))
        await until(lambda: sum(len(worker.served) for worker in workers) >= calls)
        await until(lambda: sum(worker.lost.total() for worker in workers) >= calls)
        for channel in placed:
            await caller.until_gone(channel)
        for task in serving:
            task.cancel()

    served = [channel for worker in workers for channel in worker.served]
    assert sorted(served) == sorted(placed)
    assert [worker.taken for worker in workers] == [calls, calls]
    for worker, other in zip(workers, workers[::-1], strict=True):
        # A call that the other one has served to its end is offered no more.
        assert worker.lost.total() == len(other.served)
        assert worker.lost.keys() <= {"claimed_elsewhere", "offer_over"}
