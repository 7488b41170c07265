"""Calls that an App places: simulated and on Asterisk 22, on real buses and without one."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from ari_proxy import App, Call
from ari_proxy.ari.rest import RestClient
from ari_proxy.client.errors import Busy, CallEnded, InvalidParameters, NoAnswer, Rejected
from ari_proxy.client.events import ChannelStateChange, Event
from tests.support.calls import asterisk_client
from tests.support.coverage import ROOT
from tests.support.memory_proxy import simulator
from tests.support.running import running_proxy, settings_for, until, until_running
from tests.support.servers import PASSWORD, Asterisk, BusServer

_numbers = itertools.count()


#: With all that Asterisk has a meaning of its own for.
ARGUMENTS = ["a", "b, c", 'say "d"', "(e", "f]", "\\", "", ""]


def local(extension: str) -> str:
    return f"Local/{extension}@default/n"


class Placing:
    """An App that only places calls, and the Asterisk that it places them on."""

    def __init__(self, url: str, rest: RestClient) -> None:
        self.url = url
        self.app = App(f"placing{next(_numbers)}", url)
        self.rest = rest
        #: The channels of the calls.
        self.channels: list[str] = []

    def listen(self, event: Event) -> None:
        if event.channel_id not in self.channels:
            self.channels.append(event.channel_id)

    async def until_gone(self) -> None:
        """Wait until Asterisk has no channel of the calls."""

        async def are_gone() -> bool:
            answers = [await self.rest.request("GET", f"/channels/{n}") for n in self.channels]
            return all(answer.status == 404 for answer in answers)

        assert self.channels
        await until(are_gone)


@pytest.fixture(params=["simulator", "asterisk22"])
async def placing(request: pytest.FixtureRequest) -> AsyncIterator[Placing]:
    """An App without a bus."""
    if request.param == "asterisk22":
        asterisk: Asterisk = request.getfixturevalue("asterisk_22")
        async with _placing(asterisk.url) as found:
            yield found
    else:
        async with simulator() as simulated, _placing(simulated.url) as found:
            yield found


@asynccontextmanager
async def _placing(url: str) -> AsyncIterator[Placing]:
    class At:
        def __init__(self) -> None:
            self.url = url

    async with asterisk_client(At()) as rest:
        placing = Placing(f"ari://ari:{PASSWORD}@{urlsplit(url).netloc}", rest)
        async with placing.app:
            yield placing


async def test_answered_call_has_all_that_a_call_has_and_ends_with_its_block(
    placing: Placing,
) -> None:
    async with placing.app.originate(
        local("answer"), variables={"WHO": "Ann"}, arguments=ARGUMENTS, listener=placing.listen
    ) as call:
        assert (await anext(call.events())).type != ""
        assert call.args == (*ARGUMENTS,)
        assert (await call.play("sound:beep")).state == "done"
        who = await call.ari.channels.get_variable(call.channel_id, "WHO")
        leg = await call.dial(local("answer"))
        placing.channels += [call.channel_id, leg.channel_id]
    await placing.until_gone()

    assert who.value == "Ann"


async def test_called_one_hangs_up(placing: Placing) -> None:
    async with placing.app.originate(local("answer")) as call:
        placing.channels.append(call.channel_id)
        await placing.rest.request("DELETE", f"/channels/{call.channel_id}")
        await until(lambda: call.is_over)
        with pytest.raises(CallEnded):
            await call.play("sound:beep")
    await placing.until_gone()


async def test_busy(placing: Placing) -> None:
    with pytest.raises(Busy):
        await placing.app.originate(local("busy"), listener=placing.listen)
    await placing.until_gone()


async def test_nobody_answers(placing: Placing) -> None:
    rings: list[str] = []

    def listen(event: Event) -> None:
        placing.listen(event)
        if isinstance(event, ChannelStateChange):
            rings.append(event.channel.state)

    with pytest.raises(NoAnswer):
        await placing.app.originate(local("ring"), timeout=1, listener=listen)
    await placing.until_gone()

    assert rings == ["Ringing"]


async def test_cancelled_while_it_rings(placing: Placing) -> None:
    rings = asyncio.Event()

    def listen(event: Event) -> None:
        placing.listen(event)
        rings.set()

    async def place() -> None:
        async with placing.app.originate(local("ring"), listener=listen):
            pytest.fail("it was answered")

    async with asyncio.TaskGroup() as tasks:
        ringing = tasks.create_task(place())
        await rings.wait()
        ringing.cancel()
    await placing.until_gone()


async def test_request_that_asterisk_does_not_take(placing: Placing) -> None:
    with pytest.raises(InvalidParameters):
        await placing.app.originate("")


async def test_documented_reminders(placing: Placing) -> None:
    page = (ROOT / "docs/applications.md").read_text().partition("## Placing calls")[2]
    program = page.split("```")[1].removeprefix("python\n")
    shown = 'App("demo", "nats://127.0.0.1:4222")'
    assert shown in program
    names: dict[str, Any] = {"App": App}
    exec(program.replace(shown, f"App('reminders', {placing.url!r})"), names)  # noqa: S102  shown

    endpoints = [local("answer"), local("busy"), local("answer")]
    assert await names["remind_all"](endpoints, at_once=2) == ["reminded", "busy", "reminded"]


async def test_endpoint_that_there_is_not(asterisk_22: Asterisk) -> None:
    async with _placing(asterisk_22.url) as placing:
        with pytest.raises(Rejected):
            await placing.app.originate("NoSuchTechnology/1")
        with pytest.raises(Rejected):
            await placing.app.originate("PJSIP/nobody")


async def test_placed_calls_come_to_the_instance_that_has_placed_them(
    bus_server: BusServer, asterisk_22: Asterisk
) -> None:
    name = f"demo{next(_numbers)}"
    settings = settings_for(
        bus_server,
        rest_url=asterisk_22.url,
        websocket_url=asterisk_22.websocket_url,
        application=name,
    )
    announced: list[str] = []

    async def serve(call: Call) -> None:
        announced.append(call.channel_id)

    async def place(app: App) -> str:
        async with app.originate(local("answer"), server="server-1") as call:
            first = await anext(call.events())
            assert (await call.play("sound:beep")).state == "done"
            assert first.sequence == 1
            return call.channel_id

    instances = [App(name, bus_server.url), App(name, bus_server.url)]
    for app in instances:
        app.call(serve)
    async with running_proxy(settings), asterisk_client(asterisk_22) as rest:
        await until_running(settings)

        async def is_registered() -> bool:
            return (await rest.request("GET", f"/applications/{name}")).status == 200

        await until(is_registered)
        async with instances[0], instances[1], asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(place(app)) for app in instances * 3]

    assert len({call.result() for call in calls}) == len(calls)
    assert announced == []
