"""External media of a call."""

import asyncio
from typing import Any

import pytest

from ari_proxy.client.errors import CallEnded, InvalidParameters, NotConnected, NotSent
from ari_proxy.client.external.media import ExternalMedia
from ari_proxy.client.external.target import INCOMING, MediaTarget
from tests.support.client_events import channel, event
from tests.support.scripted_call import Request, ScriptedCall

CREATION = "POST /channels/externalMedia"
ADDING = "POST /bridges/"


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def enter(scripted: ScriptedCall, name: str) -> None:
    scripted.send(event("StasisStart", args=[], channel=channel(name)))


def connects(scripted: ScriptedCall) -> None:
    """Have the other end be there."""
    scripted.on(CREATION, lambda request: enter(scripted, request.parameters["channelId"]))


def destroy(scripted: ScriptedCall, name: str, cause: int) -> None:
    scripted.send(event("ChannelDestroyed", channel=channel(name), cause=cause, cause_txt=""))


def told(request: Request, **variables: str) -> dict[str, Any]:
    return channel(request.parameters["channelId"]) | {"channelvars": variables}


async def test_block_begins_once_it_is_connected_and_in_a_bridge(scripted: ScriptedCall) -> None:
    connects(scripted)
    async with scripted.call.external_media("websocket", connection="agents") as media:
        assert scripted.names[:2] == [CREATION, "POST /bridges"]
        room = scripted.requests[1].parameters["bridgeId"]
        assert scripted.requests[2].name == f"{ADDING}{room}/addChannel"
        assert scripted.requests[2].parameters == {"channel": f"c,{media.channel_id}"}
        assert repr(media) == f"ExternalMedia('websocket agents', channel_id='{media.channel_id}')"

    assert set(scripted.names[3:]) == {
        f"DELETE /channels/{media.channel_id}",
        f"DELETE /bridges/{room}",
    }
    assert media.is_over


async def test_request_is_in_this_dialog_and_application(scripted: ScriptedCall) -> None:
    connects(scripted)
    async with scripted.call.external_media(
        "audiosocket", host="127.0.0.1:9092", variables={"A": "b"}, is_bridged=False
    ) as media:
        asked = scripted.requests[0].parameters

    assert asked["app"] == scripted.call.application
    assert asked["channelId"] == media.channel_id
    assert asked["data"] == str(media.uuid)
    variables: Any = asked["variables"]
    assert variables == {"A": "b"}
    assert scripted.names[1:] == [f"DELETE /channels/{media.channel_id}"]


async def test_what_asterisk_tells_of_rtp(scripted: ScriptedCall) -> None:
    def answer(request: Request) -> Any:
        enter(scripted, request.parameters["channelId"])
        variables = {"UNICASTRTP_LOCAL_ADDRESS": "10.0.0.1", "UNICASTRTP_LOCAL_PORT": "4000"}
        return 200, told(request, **variables)

    scripted.answer_with(CREATION, answer)
    async with scripted.call.external_media("rtp", host="127.0.0.1:9092") as media:
        assert media.local_address == ("10.0.0.1", 4000)
        assert media.connection_id == ""


async def test_incoming_websocket_is_waited_for_in_the_block(scripted: ScriptedCall) -> None:
    scripted.answer_with(
        CREATION, lambda request: (200, told(request, MEDIA_WEBSOCKET_CONNECTION_ID="x"))
    )
    async with scripted.call.external_media("websocket", connection=INCOMING) as media:
        assert media.connection_id == "x"
        assert media.local_address is None
        assert scripted.names == [CREATION]
        enter(scripted, media.channel_id)
        await media.wait_connected()
        await media.wait_connected()
        assert len(scripted.names) == 3


async def test_nobody_comes(scripted: ScriptedCall) -> None:
    with pytest.raises(NotConnected, match=r"INCOMING is not connected: .*within 0\.01 s"):
        async with scripted.call.external_media(
            "websocket", connection=INCOMING, timeout=0.01
        ) as media:
            await media.wait_connected()
    assert scripted.names == [CREATION, f"DELETE /channels/{media.channel_id}"]


async def test_other_end_that_is_away(scripted: ScriptedCall) -> None:
    scripted.on(CREATION, lambda request: destroy(scripted, request.parameters["channelId"], 3))
    with pytest.raises(NotConnected, match="away, cause 3") as raised:
        async with scripted.call.external_media("websocket", connection="agents"):
            pass
    assert (raised.value.target, raised.value.cause) == ("websocket agents", 3)
    assert scripted.names == [CREATION]


async def test_audiosocket_that_asterisk_can_not_connect(scripted: ScriptedCall) -> None:
    scripted.answer(CREATION, 500, {"message": "An internal error"})
    with pytest.raises(NotConnected, match=r"audiosocket 127\.0\.0\.1:1 is not"):
        async with scripted.call.external_media("audiosocket", host="127.0.0.1:1"):
            pass
    assert scripted.names == [CREATION]


async def test_connection_that_asterisk_does_not_have(scripted: ScriptedCall) -> None:
    scripted.answer(CREATION, 400, {"message": "external_host must be a valid connection"})
    with pytest.raises(InvalidParameters, match="valid connection"):
        async with scripted.call.external_media("websocket", connection="agents"):
            pass
    assert scripted.names == [CREATION]


async def test_request_that_was_not_sent(scripted: ScriptedCall) -> None:
    body = {"error": "ari_proxy.unreachable", "message": "away", "sent": False}
    scripted.answer(CREATION, 503, body)
    with pytest.raises(NotSent):
        async with scripted.call.external_media("websocket", connection="agents"):
            pass
    assert scripted.names == [CREATION]


async def test_other_end_that_goes_before_it_is_in_the_bridge(scripted: ScriptedCall) -> None:
    connects(scripted)

    def end(request: Request) -> Any:
        scripted.send(event("StasisEnd", channel=channel(request.parameters["channel"][2:])))
        return 400, {"message": "Channel not found"}

    scripted.answer_with(ADDING, end)
    with pytest.raises(NotConnected, match="gone at once"):
        async with scripted.call.external_media("websocket", connection="agents"):
            pass
    assert scripted.names[-1].startswith("DELETE /bridges/")


async def test_caller_who_hangs_up_before_it_is_connected(scripted: ScriptedCall) -> None:
    scripted.on(CREATION, lambda _: scripted.hang_up())
    with pytest.raises(CallEnded) as raised:
        async with scripted.call.external_media("websocket", connection="agents"):
            pass
    assert raised.value.who == "peer"
    assert scripted.names[1].startswith("DELETE /channels/arip-")


async def test_caller_who_has_hung_up_before(scripted: ScriptedCall) -> None:
    scripted.hang_up()
    with pytest.raises(CallEnded):
        async with scripted.call.external_media("websocket", connection="agents"):
            pass
    assert scripted.names == []


async def test_wait_for_the_other_end_to_go(scripted: ScriptedCall) -> None:
    connects(scripted)
    async with (
        scripted.call.external_media("websocket", connection="agents") as media,
        asyncio.TaskGroup() as tasks,
    ):
        waiting = tasks.create_task(media.wait_ended())
        await asyncio.sleep(0)
        assert not waiting.done()
        scripted.send(event("StasisEnd", channel=channel(media.channel_id)))
    assert waiting.result().who == "peer"
    assert not [name for name in scripted.names if name.startswith("DELETE /channels")]


async def test_caller_who_hangs_up_ends_the_wait(scripted: ScriptedCall) -> None:
    connects(scripted)
    async with scripted.call.external_media("websocket", connection="agents") as media:
        scripted.hang_up()
        with pytest.raises(CallEnded):
            await media.wait_ended()
    assert f"DELETE /channels/{media.channel_id}" in scripted.names


@pytest.mark.parametrize("request_name", [CREATION, "POST /bridges", ADDING])
async def test_nothing_is_left_when_it_is_cancelled(
    scripted: ScriptedCall, request_name: str
) -> None:
    async def use() -> None:
        async with scripted.call.external_media("websocket", connection="agents"):
            raise AssertionError

    connects(scripted)
    scripted.ignore(request_name)
    async with asyncio.TaskGroup() as tasks:
        using = tasks.create_task(use())
        await scripted.requested(request_name)
        using.cancel()
    assert using.cancelled()
    name = scripted.requests[0].parameters["channelId"]
    assert f"DELETE /channels/{name}" in scripted.names


async def test_state_is_read_after_a_gap(scripted: ScriptedCall) -> None:
    target = MediaTarget(kind="websocket", connection="agents")
    unknown = {"error": "ari_proxy.unreachable", "message": "away"}
    gone = {"message": "Channel not found"}
    answers: list[tuple[int, Any]] = [(503, unknown), (200, None), (404, gone)]

    def answer(request: Request) -> tuple[int, Any]:
        status, body = answers.pop(0)
        return status, body or channel(request.path.rpartition("/")[2])

    scripted.on(CREATION, lambda _: scripted.send(event("ProxyGap", reason="websocket_lost")))
    scripted.answer_with("GET /channels/", answer)
    async with ExternalMedia(scripted.call, target, read_seconds=0.01) as media:
        await media.wait_ended()

    assert answers == []


async def test_it_is_awaited_in_its_block_only(scripted: ScriptedCall) -> None:
    with pytest.raises(RuntimeError, match="outside of its block"):
        await scripted.call.external_media("rtp", host="127.0.0.1:1").wait_ended()


async def test_it_may_be_put_into_another_bridge(scripted: ScriptedCall) -> None:
    connects(scripted)
    async with (
        scripted.call.bridge() as room,
        scripted.call.external_media("rtp", host="127.0.0.1:1", is_bridged=False) as media,
    ):
        await room.add(scripted.call, media)
        scripted.send(event("StasisEnd", channel=channel(media.channel_id)))
        assert await room.wait_for_leaver() is media
