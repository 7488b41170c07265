"""The simulated Asterisk's REST interface, without a server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ari_proxy.simulator.ari import SimulatedAri
from ari_proxy.simulator.exchange import Exchange


@asynccontextmanager
async def asterisk() -> AsyncIterator[tuple[SimulatedAri, list[str]]]:
    """An Asterisk with the application `demo`, and the types of its events."""
    events: list[str] = []

    async def emit(_app: str, event_type: str, **_fields: Any) -> None:
        events.append(event_type)

    async with asyncio.TaskGroup() as tasks:
        yield SimulatedAri(Exchange(tasks, emit), emit, {"demo"}), events


async def test_request_is_answered_in_this_process() -> None:
    async with asterisk() as (ari, events):
        created = await ari.request("POST", "/bridges/one%20more?name=hall")
        shown = await ari.request("GET", "/bridges/one%20more")
        sent = await ari.request("POST", "/events/user/hello?application=demo")

    assert created == shown
    assert json.loads(shown.body)["id"] == "one more"
    assert (sent.status, sent.body, events) == (204, "", ["ChannelUserevent"])


@pytest.mark.parametrize(
    ("method", "url", "status", "text"),
    [
        ("GET", "/channels/none", 404, "Channel not found"),
        ("GET", "/nothing/at/all", 404, "Resource not found"),
        ("GET", "/channels/", 404, "ARI URLs do not end with a slash. Try /ari/channels"),
        ("PUT", "/channels/none", 405, "Invalid method"),
        ("POST", "/channels/create", 400, "Endpoint must be specified"),
        ("GET", "/channels/create", 405, "Invalid method"),
        ("POST", "/channels/none/move", 501, "POST /channels/{channelId}/move is not simulated"),
    ],
)
async def test_refusal_has_asterisks_status_and_text(
    method: str, url: str, status: int, text: str
) -> None:
    async with asterisk() as (ari, _):
        answer = await ari.request(method, url)

    assert (answer.status, json.loads(answer.body)) == (status, {"message": text})


@pytest.mark.parametrize(
    ("states", "status"), [("channel_answered", 204), ("answered", 400), ("", 400)]
)
async def test_progress_of_a_transfer_has_a_few_states(states: str, status: int) -> None:
    async with asterisk() as (ari, _):
        made = await ari.request("POST", "/channels/create?endpoint=Local/answer&app=demo")
        name = json.loads(made.body)["id"]
        answer = await ari.request("POST", f"/channels/{name}/transfer_progress?states={states}")

    assert answer.status == status


async def test_parameters_of_the_body_win() -> None:
    async with asterisk() as (ari, _):
        answer = await ari.request("POST", "/bridges?name=query", '{"name": "body"}')

    assert json.loads(answer.body)["name"] == "body"


async def test_new_channel_has_the_variables_that_were_asked_for() -> None:
    variables = {"WHO": "Ann", "TOLD": {"value": "b", "report_events": True}, "ODD": 1}
    async with asterisk() as (ari, _):
        body = json.dumps({"variables": variables})
        url = "/channels?endpoint=Local/answer@default&app=demo&channelId=1"
        assert (await ari.request("POST", url, body)).status == 200
        answers = [
            await ari.request("GET", f"/channels/1/variable?variable={name}") for name in variables
        ]

    assert [answer.status for answer in answers] == [200, 200, 404]
    assert [json.loads(answer.body)["value"] for answer in answers[:2]] == ["Ann", "b"]
