"""URLs and bodies are read as a real Asterisk 22 and 16, and the simulator, read them."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import quote

import pytest

from ari_proxy.ari import decoding, operations, urls
from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.rest import RestClient
from ari_proxy.command.parameters import parameter
from ari_proxy.simulator import server as simulator
from tests.support.calls import asterisk_client
from tests.support.running import until
from tests.support.servers import PASSWORD, Asterisk

NAMES = [
    "plain",
    "+4930-a",
    "a+b",
    "a%2Bb",
    "%61b",
    "%2Fx",
    "x%2fy",
    "a%00b",
    "a%4",
    "a%",
    "a%4g",
    "a%g4",
    "a%%41",
    "a%+5",
    "a%4%41",
    "%C3%A4",
    "%c3%a4",
    "a%25b",
    "a;b=c",
    "a:b,c",
    "a%0Ab",
    'a"b',
    "a%5Cb",
    "~!$()*",
]


async def is_gone(rest: RestClient, path: str) -> bool:
    """Return whether Asterisk has no such bridge any more: a busy one takes its time."""
    return (await rest.request("GET", path)).status == 404


async def read_by(rest: RestClient, name: str) -> tuple[str, str]:
    """Return what a name is read as in a path, and in a query."""
    read = []
    for url in (f"/bridges/{name}?type=mixing", f"/bridges?bridgeId={name}&type=mixing"):
        answer = await rest.request("POST", url)
        assert answer.status == 200, answer
        read.append(json.loads(answer.body)["id"])
        path = f"/bridges/{quote(read[-1], safe='')}"
        gone = await rest.request("DELETE", path)
        assert gone.status == 204, (name, gone)
        await until(partial(is_gone, rest, path))
    return read[0], read[1]


@pytest.fixture
async def simulated() -> AsyncIterator[RestClient]:
    stop, listening = asyncio.Event(), asyncio.Queue[int]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            simulator.serve(
                stop, port=0, user="ari", password=PASSWORD, listening=listening.put_nowait
            )
        )
        root = f"http://127.0.0.1:{await listening.get()}/ari"
        credentials = Credentials("ari", PASSWORD)
        async with RestClient(root, credentials, concurrency=4, timeout_seconds=10) as rest:
            yield rest
        stop.set()


async def test_names_are_read_as_asterisk_reads_them(asterisk: Asterisk) -> None:
    async with asterisk_client(asterisk) as rest:
        read = {name: await read_by(rest, name) for name in NAMES}

    assert read == {name: (decoding.decode(name),) * 2 for name in NAMES}


async def test_simulator_reads_names_as_asterisk_does(simulated: RestClient) -> None:
    read = {name: await read_by(simulated, name) for name in NAMES}

    assert read == {name: (decoding.decode(name),) * 2 for name in NAMES}


#: Bodies of a request whose query names a channel, and the parameter that counts.
BODIES = {
    "": "query",
    "{}": "query",
    "[]": "query",
    '{"app":"demo"}': "query",
    '{"ChannelId":"body"}': "query",
    '{"channelId":"body"}': "body",
    r'{"\u0063hannelId":"body"}': "body",
    '{"channelId":"first","channelId":"body"}': "body",
    '{"channelId":"body","channelId":null}': "",
    '{"channelId":null}': "",
    '{"channelId":""}': "",
    '{"channelId":5}': "",
    '{"channelId":1.5}': "",
    '{"channelId":true}': "",
    '{"channelId":[]}': "",
    '{"channelId":["body"]}': "",
    '{"channelId":{"a":"body"}}': "",
}


async def named_by(rest: RestClient, body: str) -> str:
    """Return what named a new channel, the query or the body, or '' for neither."""
    url = "/channels?endpoint=Local/answer@default/n&app=demo&channelId=query"
    answer = await rest.request("POST", url, body)
    async with asyncio.timeout(10):
        while answer.status == 409:  # A busy Asterisk keeps the last one's name for a while.
            await asyncio.sleep(0.05)
            answer = await rest.request("POST", url, body)
    assert answer.status == 200, (body, answer)
    name: str = json.loads(answer.body)["id"]
    await rest.request("DELETE", f"/channels/{name}")
    return name if name in {"query", "body"} else ""


def test_bodies_are_read_as_asterisk_reads_them() -> None:
    url = urls.parse("/channels?channelId=query")

    assert {body: parameter("channelId", url, body) for body in BODIES} == BODIES


async def test_asterisk_reads_bodies_so(asterisk: Asterisk) -> None:
    async with asterisk_client(asterisk) as rest:
        read = {body: await named_by(rest, body) for body in BODIES}

    assert read == BODIES


async def test_simulator_reads_bodies_so(simulated: RestClient) -> None:
    read = {body: await named_by(simulated, body) for body in BODIES}

    assert read == BODIES


@pytest.mark.parametrize(
    "path", ["/channels//x", "/chann%65ls", "/channels%00zz", "/recordings/st%6Fred", "/channels"]
)
async def test_paths_are_those_of_the_lists_that_they_show(asterisk: Asterisk, path: str) -> None:
    async with asterisk_client(asterisk) as rest:
        answer = await rest.request("GET", path)

    assert (answer.status, answer.body[:1]) == (200, "[")
    assert operations.template_of(path) in {"/channels", "/recordings/stored"}


@pytest.mark.parametrize("path", ["/channels%2Fx", "/Channels", "/channels%3Fx", "/nope"])
async def test_paths_of_nothing_are_those_of_nothing(asterisk: Asterisk, path: str) -> None:
    async with asterisk_client(asterisk) as rest:
        answer = await rest.request("GET", path)

    assert answer.status == 404
    assert operations.template_of(path) == operations.OTHER
