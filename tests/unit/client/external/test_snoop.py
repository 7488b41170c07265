"""Listening to a channel."""

import asyncio
from collections.abc import Callable

import pytest

from ari_proxy.client.errors import CallEnded, NotConnected
from ari_proxy.client.external.snoop import Snoop
from tests.support.client_events import channel, event, recording
from tests.support.scripted_call import Request, ScriptedCall

CREATION = "POST /channels/c/snoop"


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def begins(scripted: ScriptedCall) -> Callable[[Request], None]:
    def enter(request: Request) -> None:
        name = request.parameters["snoopId"]
        scripted.send(event("StasisStart", args=[], channel=channel(name)))

    return enter


async def test_it_is_there_for_a_block(scripted: ScriptedCall) -> None:
    scripted.on(CREATION, begins(scripted))
    async with scripted.call.snoop(spy="in", whisper="out") as snoop:
        assert scripted.requests[0].parameters == {
            "app": "demo",
            "spy": "in",
            "whisper": "out",
            "snoopId": snoop.channel_id,
        }
        assert repr(snoop) == f"Snoop('c', channel_id='{snoop.channel_id}')"
        assert not snoop.is_over

    assert scripted.names == [CREATION, f"DELETE /channels/{snoop.channel_id}"]


async def test_it_can_be_recorded(scripted: ScriptedCall) -> None:
    scripted.on(CREATION, begins(scripted))
    async with scripted.call.snoop(spy="both") as snoop:
        scripted.on(
            f"POST /channels/{snoop.channel_id}/record",
            lambda _: scripted.send(recording("RecordingFinished", "r", "done", duration=3)),
        )
        assert (await snoop.record("r")).seconds == 3


async def test_end_of_the_channel_that_is_heard(scripted: ScriptedCall) -> None:
    scripted.on(CREATION, begins(scripted))
    async with scripted.call.snoop(spy="in") as snoop:
        scripted.send(event("StasisEnd", channel=channel(snoop.channel_id)))
        assert (await snoop.wait_ended()).who == "peer"

    assert scripted.names == [CREATION]


async def test_channel_that_has_left_before(scripted: ScriptedCall) -> None:
    scripted.answer(CREATION, 404, {"message": "Provided channel was not found"})
    async with asyncio.TaskGroup() as tasks:

        async def listen() -> None:
            with pytest.raises(CallEnded):
                await scripted.call.snoop(spy="in").__aenter__()

        tasks.create_task(listen())
        await scripted.requested(CREATION)
        scripted.hang_up()
    assert scripted.names == [CREATION]


async def test_it_does_not_begin(scripted: ScriptedCall) -> None:
    with pytest.raises(NotConnected, match=r"snoop of channel c .*within 0\.01 s"):
        await Snoop(scripted.call, spy="in", begin_seconds=0.01).__aenter__()
    assert scripted.names[1].startswith("DELETE /channels/arip-")


async def test_neither_direction(scripted: ScriptedCall) -> None:
    with pytest.raises(ValueError, match="neither"):
        scripted.call.snoop()
