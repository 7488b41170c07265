"""Requests that have websockets only, with an endpoint that misbehaves as told."""

import asyncio

import pytest

from ari_proxy.ari.errors import AriTimeoutError, NeedsHttpError, UnreachableError
from tests.support.rest_websocket import websocket_door
from tests.support.running import until


async def test_lists_travel_on_a_websocket_too() -> None:
    async with websocket_door() as it:
        it.websockets.answers["channels"] = (200, "[]")
        assert (await it.client.request("GET", "/channels")).body == "[]"


async def test_list_has_its_websocket_to_itself() -> None:
    """On a slow link a long answer may end it, and with it what else is in flight there."""
    async with websocket_door(1) as it:
        held = it.websockets.held
        held |= {uri: asyncio.Event() for uri in ("channels/a", "channels")}
        first = asyncio.create_task(it.client.request("GET", "/channels/a"))
        await until(lambda: len(it.websockets.requests) == 1)
        listing = asyncio.create_task(it.client.request("GET", "/channels"))
        await asyncio.wait([listing], timeout=0.05)
        assert it.client.in_flight == 1
        held["channels/a"].set()
        await until(lambda: len(it.websockets.requests) == 2)
        assert it.sockets.free() is None
        last = asyncio.create_task(it.client.request("POST", "/channels/a/answer"))
        held["channels"].set()

        answers = await asyncio.gather(first, listing, last)
    assert {answer.status for answer in answers} == {204}


@pytest.mark.parametrize(
    ("method", "url", "said"),
    [
        ("GET", "/recordings/stored/x/file", "GET /recordings/stored/x/file: a file can't"),
        ("GET", "/events?app=x", "GET /events: a websocket can't be opened on another"),
        ("POST", "/", "the root of ARI"),
    ],
)
async def test_what_can_not_travel_on_a_websocket_is_refused_unsent(
    method: str, url: str, said: str
) -> None:
    async with websocket_door() as it:
        with pytest.raises(NeedsHttpError, match=said) as raised:
            await it.client.request(method, url)

    assert "command.transport must be auto or http" in str(raised.value)
    assert (raised.value.status_code, raised.value.sent) == (501, False)
    assert it.websockets.requests == []


async def test_request_whose_frame_is_too_large_is_refused_unsent() -> None:
    quoted = '{"value":"' + '\\"' * 19_000 + '"}'
    async with websocket_door() as it:
        with pytest.raises(NeedsHttpError, match="65535 bytes of a frame") as raised:
            await it.client.request("POST", "/channels/c/variable?variable=B", quoted)
        assert (await it.client.request("POST", "/channels/c/answer")).status == 204

    assert not raised.value.sent
    assert len(it.websockets.requests) == 1
    assert it.client.in_flight == 0


async def test_request_waits_for_a_websocket_that_is_opened_again() -> None:
    async with websocket_door() as it:
        it.websockets.is_refusing = True
        await it.websockets.drop()
        await until(lambda: it.sockets.opened == 0)
        waiting = [
            asyncio.create_task(it.client.request("POST", f"/channels/{number}/answer"))
            for number in range(40)
        ]
        await asyncio.wait(waiting, timeout=0.1)
        assert not any(task.done() for task in waiting)
        it.websockets.is_refusing = False

        assert {answer.status for answer in await asyncio.gather(*waiting)} == {204}
    assert len(it.websockets.requests) == 40


async def test_without_a_websocket_until_the_deadline_it_is_told_as_not_sent() -> None:
    async with websocket_door() as it:
        it.websockets.is_refusing = True
        await it.websockets.drop()
        await until(lambda: it.sockets.opened == 0)
        with pytest.raises(UnreachableError, match="no websocket to Asterisk is open") as raised:
            await it.client.request("POST", "/channels/c/answer", timeout_seconds=0.1)
        it.websockets.is_refusing = False
        await it.client.request("POST", "/channels/d/answer")

    assert not raised.value.sent
    assert [request["uri"] for request in it.websockets.requests] == ["channels/d/answer"]


async def test_request_waits_behind_no_slow_one_longer_than_its_deadline() -> None:
    async with websocket_door(1) as it:
        it.websockets.held["channels/slow"] = asyncio.Event()
        slow = asyncio.create_task(it.client.request("GET", "/channels/slow"))
        await until(lambda: it.sockets.free() is None)
        with pytest.raises(AriTimeoutError) as raised:
            await it.client.request("POST", "/channels/late", timeout_seconds=0.05)
        waiting = asyncio.create_task(it.client.request("POST", "/channels/c/answer"))
        it.websockets.held["channels/slow"].set()
        assert (await slow).status == (await waiting).status == 204

    assert not raised.value.sent
    assert [each["uri"] for each in it.websockets.requests] == [
        "channels/slow",
        "channels/c/answer",
    ]


@pytest.mark.parametrize(("method", "times"), [("POST", 1), ("GET", 2)])
async def test_only_a_get_is_sent_again_and_once_when_websockets_break(
    method: str, times: int
) -> None:
    async with websocket_door() as it:
        it.websockets.broken.add("channels/c")
        with pytest.raises(UnreachableError, match="the websocket broke") as raised:
            await it.client.request(method, "/channels/c")

    assert raised.value.sent
    assert len(it.websockets.requests) == times


async def test_refused_credentials_cost_no_request() -> None:
    async with websocket_door(1) as it:
        opened = len(it.websockets.applications)
        it.websockets.answers["channels/a"] = (401, "")
        asking = asyncio.create_task(it.client.request("POST", "/channels/a"))
        await until(lambda: it.websockets.requests)
        del it.websockets.answers["channels/a"]

        assert (await asking).status == 204
        assert len(it.websockets.applications) > opened


async def test_cancelled_request_leaves_its_place_to_the_next() -> None:
    async with websocket_door(1, concurrency=1) as it:
        it.websockets.held["channels/a"] = asyncio.Event()
        first = asyncio.create_task(it.client.request("GET", "/channels/a"))
        second = asyncio.create_task(it.client.request("GET", "/channels/b"))
        await until(lambda: len(it.websockets.requests) == 1)
        first.cancel()
        it.websockets.held["channels/a"].set()

        assert (await second).status == 204
        assert first.cancelled()
    assert it.client.in_flight == 0
