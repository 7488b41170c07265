"""The simulator against what the real Asterisk 22 did: the recordings' requests sent to it again.

Compared are the status and the shape of every answer, the texts of refusals, and for each object
the sequence of its events with their shapes.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from yarl import URL

from ari_proxy.client import events
from ari_proxy.simulator import server
from tests.support.running import until

RECORDINGS: Final = Path(__file__).parents[1] / "data" / "recordings" / "22"
#: What the other half of a Local channel and its dialplan do is not simulated, nor are variables
#: that Asterisk sets by itself; whether BridgeDestroyed comes depends on a race in Asterisk.
NOT_SIMULATED: Final = {
    "ChannelVarset",
    "ChannelDialplan",
    "ChannelCallerId",
    "ChannelConnectedLine",
    "BridgeDestroyed",
}
#: Requests of the recordings that the simulator is too small for.
BEYOND: Final = {
    "/ari/recordings/stored/d-rec-2/file",
    "/ari/recordings/stored",  # shows what other scenarios had left
    "/ari/channels/d-chan-1/record?name=..%2F..%2Fx&format=wav",
    "/ari/channels",
    "/ari/bridges",
}


def steps(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]]:
    """Yield each request with its response and the events that came before it was sent."""
    text = (RECORDINGS / f"{name}.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    responses = {line["id"]: line for line in lines if line["dir"] == "response"}
    before: list[dict[str, Any]] = []
    for line in lines:
        if line["dir"] == "event":
            before.append(json.loads(line["frame"]))
        elif line["dir"] == "request":
            yield line, responses[line["id"]], before
    yield {}, {}, before


def owner(event: dict[str, Any]) -> str:
    """What an event is about, or '' if it is not simulated."""
    if event["type"] in NOT_SIMULATED:
        return ""
    about = event.get("playback") or event.get("recording") or event.get("channel")
    about = about or event.get("peer") or {}
    name = about.get("id") or about.get("name") or ""
    return "" if name.endswith(";2") else f"{name}"


def by_object(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if owner(event):
            found[owner(event)].append(event)
    return found


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


@pytest.fixture
async def port() -> AsyncIterator[int]:
    stop = asyncio.Event()
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        serving = server.serve(
            stop, port=0, user="ari", password="ari", listening=listening.set_result
        )
        tasks.create_task(serving)
        try:
            yield await listening
        finally:
            stop.set()


class Replay:
    """Sends requests to the simulator and keeps its events."""

    def __init__(self, http: aiohttp.ClientSession, root: str) -> None:
        self._http = http
        self._root = root
        self.events: list[dict[str, Any]] = []

    async def read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            assert not isinstance(events.decode(message.data), events.RawEvent), message.data
            self.events.append(json.loads(message.data))

    async def until_caught_up(self, expected: dict[str, list[dict[str, Any]]]) -> None:
        def is_caught_up() -> bool:
            got = by_object(self.events)
            return all(len(got[name]) >= len(one) for name, one in expected.items())

        await until(is_caught_up)

    async def compare(self, request: dict[str, Any], response: dict[str, Any]) -> None:
        url = URL(self._root + request["path"], encoded=True)
        async with self._http.request(request["method"], url, json=request["body"]) as answer:
            got = await answer.text()
        place = f"{request['method']} {request['path']}"
        assert answer.status == response["status"], place
        if answer.status >= 400:
            assert json.loads(got) == json.loads(response["body"]), place
        elif got:
            assert shape(json.loads(got)) == shape(json.loads(response["body"])), place


@pytest.mark.parametrize("name", ["a_call_play_dtmf", "b_bridge", "d_recording", "h_create_dial"])
async def test_simulator_does_what_asterisk_did(port: int, name: str) -> None:
    headers = {"Authorization": aiohttp.encode_basic_auth("ari", "ari")}
    root = f"http://127.0.0.1:{port}"
    recorded: list[dict[str, Any]] = []
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{root}/ari/events?app=demo") as socket,
        asyncio.TaskGroup() as tasks,
    ):
        replay = Replay(http, root)
        reading = tasks.create_task(replay.read(socket))
        for request, response, recorded in steps(name):
            await replay.until_caught_up(by_object(recorded))
            if request and request["path"] not in BEYOND:
                await replay.compare(request, response)
        reading.cancel()

    for about, expected in by_object(recorded).items():
        got = by_object(replay.events)[about]
        assert [event["type"] for event in got] == [event["type"] for event in expected], about
        for one, other in zip(got, expected, strict=True):
            assert shape(one) == shape(other), f"{about} {one['type']}"
