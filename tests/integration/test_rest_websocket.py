"""Requests on websockets, with an endpoint that misbehaves as told, and with real Asterisks."""

import asyncio
import json
import re

import pytest
from structlog.testing import capture_logs

from ari_proxy.ari.client import Answer, AriClient
from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.errors import AnswerTooLargeError, AriTimeoutError, UnreachableError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import EventSocket
from ari_proxy.ari.websocket_names import COMMAND_PREFIX
from ari_proxy.backoff import Backoff
from tests.support.rest_websocket import (
    clients,
    doors,
    real_doors,
    running_sockets,
    scripted_websockets,
)
from tests.support.running import until
from tests.support.servers import PASSWORD, Asterisk


async def test_request_and_answer_travel_on_a_websocket() -> None:
    async with doors() as it:
        it.websockets.answers["channels/c/play"] = (201, '{"id":"p"}')
        answer = await it.client.request("POST", "/channels/c/play", '{"media":"sound:x"}')

    assert answer == Answer(201, '{"id":"p"}')
    assert [request["message_body"] for request in it.websockets.requests] == [
        '{"media":"sound:x"}'
    ]
    assert it.http.requests == []


async def test_each_websocket_has_an_application_of_its_own_and_lets_only_answers_pass() -> None:
    async with doors(3) as it:
        names = set(it.websockets.applications)

    assert len(names) == 3
    assert all(name.startswith(COMMAND_PREFIX) for name in names)
    assert {request["uri"] for request in it.websockets.filters} == {
        f"applications/{name}/eventFilter" for name in names
    }


async def test_requests_are_spread_over_the_websockets() -> None:
    async with doors(2) as it:
        for uri in "ab":
            it.websockets.held[f"channels/{uri}"] = asyncio.Event()
        held = [asyncio.create_task(it.client.request("GET", f"/channels/{uri}")) for uri in "ab"]
        await until(lambda: len(it.websockets.requests) == 2)
        assert it.client.in_flight == 2
        for event in it.websockets.held.values():
            event.set()

        assert {answer.status for answer in await asyncio.gather(*held)} == {204}
    assert it.http.requests == []
    assert it.client.in_flight == 0


@pytest.mark.parametrize("url", ["/channels", "/recordings/stored/x/file"])
async def test_lists_and_files_go_by_http(url: str) -> None:
    async with doors() as it:
        await it.client.request("GET", url)

    assert it.websockets.requests == []


async def test_request_whose_frame_is_too_large_goes_by_http() -> None:
    # JSON in a JSON string: each quote becomes two characters.
    body = '{"value":"' + "\\u0001" * 6_000 + '"}'
    quoted = '{"value":"' + '\\"' * 19_000 + '"}'
    async with doors() as it:
        await it.client.request("POST", "/channels/c/variable?variable=A", body)
        await it.client.request("POST", "/channels/c/variable?variable=B", quoted)

    assert [len(request["message_body"]) for request in it.websockets.requests] == [len(body)]
    assert [len(request.body) for request in it.http.requests] == [len(quoted)]


async def test_no_request_waits_behind_a_slow_one() -> None:
    async with doors(1) as it:
        it.websockets.held["channels/slow"] = asyncio.Event()
        slow = asyncio.create_task(it.client.request("GET", "/channels/slow"))
        await until(lambda: it.sockets.free() is None)
        await it.client.request("POST", "/channels/c/answer")
        assert [request.target for request in it.http.requests] == ["/ari/channels/c/answer"]
        it.websockets.held["channels/slow"].set()
        assert (await slow).status == 204
        await it.client.request("POST", "/channels/d/answer")

    assert [request["uri"] for request in it.websockets.requests] == [
        "channels/slow",
        "channels/d/answer",
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_what_a_broken_websocket_may_have_taken_is_not_sent_again(method: str) -> None:
    async with doors() as it:
        it.websockets.broken.add("channels/c")
        with pytest.raises(UnreachableError) as raised:
            await it.client.request(method, "/channels/c")

    assert raised.value.sent
    assert len(it.websockets.requests) == 1
    assert it.http.requests == []


async def test_get_is_sent_again_by_http_when_the_websocket_breaks() -> None:
    async with doors() as it:
        it.websockets.broken.add("channels/c")
        answer = await it.client.request("GET", "/channels/c")

    assert answer.status == 204
    assert [request.method for request in it.http.requests] == ["GET"]


async def test_without_a_websocket_requests_go_by_http_until_there_is_one_again() -> None:
    async with doors() as it:
        it.websockets.is_refusing = True
        await it.websockets.drop()
        await until(lambda: it.sockets.opened == 0)
        await it.client.request("POST", "/channels/c/answer")
        it.websockets.is_refusing = False
        await until(lambda: it.sockets.opened == 2)
        await it.client.request("POST", "/channels/d/answer")

    assert [request.target for request in it.http.requests] == ["/ari/channels/c/answer"]
    assert [request["uri"] for request in it.websockets.requests] == ["channels/d/answer"]


async def test_one_of_several_websockets_comes_back_alone() -> None:
    async with doors(3) as it:
        opened = len(it.websockets.applications)
        next(iter(it.websockets.connections)).transport.abort()
        await until(lambda: len(it.websockets.applications) > opened)
        await until(lambda: it.sockets.opened == 3)


async def test_deadline_counts_as_sent_and_keeps_requests_away() -> None:
    async with doors(1) as it:
        it.websockets.held["channels/c"] = asyncio.Event()
        with pytest.raises(AriTimeoutError) as raised:
            await it.client.request("POST", "/channels/c", timeout_seconds=0.2)
        assert raised.value.sent
        assert it.sockets.free() is None
        assert it.client.in_flight == 0


async def test_request_that_asterisk_passes_over_has_an_unknown_outcome() -> None:
    async with doors(1) as it:
        it.websockets.unanswered.add("channels/c")
        first = asyncio.create_task(it.client.request("POST", "/channels/c"))
        await until(lambda: len(it.websockets.requests) == 1)
        await it.client.request("POST", "/channels/d")
        with pytest.raises(UnreachableError) as raised:
            await first

    assert raised.value.sent


async def test_refused_credentials_cost_no_request() -> None:
    """Asterisk checks a websocket's user again with each request."""
    async with doors(1) as it:
        it.websockets.held["channels/a"] = asyncio.Event()
        it.websockets.answers |= {"channels/a": (200, "a"), "channels/b": (401, "")}
        first = asyncio.create_task(it.client.request("POST", "/channels/a"))
        second = asyncio.create_task(it.client.request("POST", "/channels/b"))
        await until(lambda: it.websockets.requests)
        it.websockets.held["channels/a"].set()

        assert (await first).body == "a"
        assert (await second).status == 204
        assert [request.target for request in it.http.requests] == ["/ari/channels/b"]
        await until(lambda: len(it.websockets.applications) == 2)
        await until(lambda: it.sockets.opened == 1)
        await it.client.request("POST", "/channels/c")

    assert it.websockets.requests[-1]["uri"] == "channels/c"
    assert len(it.http.requests) == 1


async def test_answer_above_the_limit_is_refused() -> None:
    async with doors() as it:
        it.websockets.answers["channels/c"] = (200, "x" * 1001)
        with pytest.raises(AnswerTooLargeError):
            await it.client.request("GET", "/channels/c", max_bytes=1000)


async def test_many_requests_get_their_own_answers() -> None:
    async with doors(4) as it:
        for number in range(300):
            it.websockets.answers[f"channels/{number}"] = (200, str(number))
            # A machine that stands still for a moment makes the websockets look slow.
            it.http.standing["GET", f"/channels/{number}"] = (200, str(number))
        asked = (it.client.request("GET", f"/channels/{number}") for number in range(300))
        answers = await asyncio.gather(*asked)

    assert [answer.body for answer in answers] == [str(number) for number in range(300)]
    assert it.websockets.requests


async def test_old_asterisk_is_asked_again_from_time_to_time() -> None:
    soon = Backoff(first_seconds=0.1, last_seconds=0.1)
    async with scripted_websockets() as script:
        script.is_old = True
        async with running_sockets(script.url, ask_again=soon) as sockets:
            await until(lambda: len(script.applications) >= 2)
            assert sockets.opened == 0
            script.is_old = False  # It was upgraded.
            await until(lambda: sockets.opened == 2)


async def test_cancelled_request_takes_no_other_answer() -> None:
    async with doors(1) as it:
        it.websockets.held["channels/a"] = asyncio.Event()
        it.websockets.answers |= {"channels/a": (200, "a"), "channels/b": (200, "b")}
        first = asyncio.create_task(it.client.request("GET", "/channels/a"))
        second = asyncio.create_task(it.client.request("GET", "/channels/b"))
        await until(lambda: len(it.websockets.requests) == 1)
        first.cancel()
        it.websockets.held["channels/a"].set()

        assert (await second).body == "b"
        assert first.cancelled()


CHANNEL = "c/1 %ü+"
IN_PATH = "/channels/c%2F1%20%25%C3%BC%2B"
VARIABLE = f"{IN_PATH}/variable"
#: Requests that Asterisk must read alike whatever carries them, in this order.
ALIKE = [
    ("GET", "/asterisk/ping", ""),
    ("GET", IN_PATH, ""),
    ("GET", "/channels/c%2f1+%25%C3%BC%2B", ""),
    ("GET", "/channels/c%252F1", ""),
    ("GET", "/channels/none", ""),
    ("GET", "/channels/%ff%fe", ""),
    ("POST", f"{VARIABLE}?variable=A&value=x+y%2Bz%20%C3%BC%26%23", ""),
    ("GET", f"{VARIABLE}?variable=A", ""),
    ("POST", f"{VARIABLE}?variable=A&variable=B&value=1&value=2", ""),
    ("GET", f"{VARIABLE}?variable=B", ""),
    ("POST", f"{VARIABLE}?variable=C", '{"value":"q+%20\\"\\\\ü"}'),
    ("GET", f"{VARIABLE}?variable=C", ""),
    ("POST", f"{VARIABLE}?variable=D", '{"variable":"E","value":"of the body"}'),
    ("GET", f"{VARIABLE}?variable=D", ""),
    ("GET", f"{VARIABLE}?variable=E", ""),
    ("GET", f"{VARIABLE}?variable=CHANNEL(name)", ""),
    ("GET", f"{VARIABLE}?variable=CHANNEL%28name%29", ""),
    ("GET", f"{VARIABLE}?variable=NONE", ""),
    ("GET", VARIABLE, ""),
    ("POST", VARIABLE, "{}"),
    ("POST", VARIABLE, "[]"),
    ("POST", f"{IN_PATH}/mute?direction=nowhere", ""),
    ("POST", f"{IN_PATH}/none", ""),
    ("PUT", IN_PATH, ""),
    ("GET", "/none", ""),
    ("GET", "/asterisk/ping/", ""),
    ("DELETE", f"{IN_PATH}/hold?x", '{"unknown":null}'),
    ("DELETE", "/bridges/none", "{}"),
]


def _told(answer: Answer) -> tuple[int, str]:
    """Return an answer without times and the serial number in a channel's name."""
    body = re.sub(
        r'(?<=default-)[0-9a-f]{8}|(?<=time":")[^"]*|(?<=timestamp":")[^"]*', "", answer.body
    )
    return answer.status, body


@pytest.mark.parametrize("asterisk", ["22"], ids=["asterisk22"], indirect=True)
async def test_asterisk_reads_requests_alike_whatever_carries_them(asterisk: Asterisk) -> None:
    where = {"endpoint": "Local/answer@default/n", "app": "alike", "channelId": CHANNEL}
    application = EventSocket(asterisk.websocket_url, ("alike",), Credentials("ari", PASSWORD))
    async with await application.connect(), real_doors(asterisk) as it:
        await until(lambda: it.sockets.opened == 2)
        told = []
        for way in (it.http, it.client):
            created = await way.request("POST", "/channels/create", json.dumps(where))
            assert created.status == 200, created.body
            await _until_in_stasis(it.http)
            told.append([_told(await way.request(*asked)) for asked in ALIKE])
            await way.request("DELETE", IN_PATH)
            await _until_gone(it.http)

    for asked, by_http, by_websocket in zip(ALIKE, *told, strict=True):
        assert by_websocket == by_http, asked
    statuses = {status for status, _ in told[0]}
    assert {200, 204, 400, 404, 405} <= statuses, "so that it has the channel, and refuses"


async def _until_in_stasis(http: RestClient) -> None:
    """Wait until a new channel shows its application: it enters that on its own."""
    async with asyncio.timeout(5):
        while '"app_name":"Stasis"' not in (await http.request("GET", IN_PATH)).body:
            await asyncio.sleep(0.01)


async def _until_gone(http: RestClient) -> None:
    async with asyncio.timeout(5):
        while (await http.request("GET", IN_PATH)).status != 404:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("asterisk", ["22"], ids=["asterisk22"], indirect=True)
async def test_no_application_is_left_behind(asterisk: Asterisk) -> None:
    async with real_doors(asterisk, 4) as it:
        await until(lambda: it.sockets.opened == 4)
        names = await _applications(it.http)
        assert len(names) == 4
    async with RestClient(
        asterisk.url, Credentials("ari", PASSWORD), concurrency=1, timeout_seconds=5
    ) as http:
        await _until_no_application(http)


async def _until_no_application(http: RestClient) -> None:
    """Wait until Asterisk has forgotten those of closed websockets: it does so on its own."""
    async with asyncio.timeout(5):
        while await _applications(http):
            await asyncio.sleep(0.01)


async def _applications(http: RestClient) -> list[str]:
    shown = json.loads((await http.request("GET", "/applications")).body)
    return [each["name"] for each in shown if each["name"].startswith(COMMAND_PREFIX)]


@pytest.mark.parametrize("asterisk", ["16"], ids=["asterisk16"], indirect=True)
async def test_older_asterisk_gets_its_requests_by_http(asterisk: Asterisk) -> None:
    async with real_doors(asterisk) as it:
        with capture_logs() as logs:
            await until(lambda: any(log["event"] == "rest_websocket.not_offered" for log in logs))
        assert (await it.client.request("GET", "/channels/none")).status == 404
        assert it.sockets.opened == 0
        await _until_no_application(it.http)


class Rotated:
    """Credentials that have changed once they are refused."""

    def __init__(self) -> None:
        self._current = Credentials("ari", PASSWORD)
        self.newer: Credentials | None = None

    def current(self) -> Credentials:
        return self._current

    def refused(self, credentials: Credentials) -> bool:
        if self.newer is None or credentials is self.newer:
            return False
        self._current = self.newer
        return True


async def test_no_request_is_refused_while_the_password_changes() -> None:
    asterisk, source = Asterisk("22"), Rotated()
    asterisk.start()
    try:
        async with clients(asterisk.url, asterisk.websocket_url, source=source) as it:
            await until(lambda: it.sockets.opened == 2)
            statuses: list[int] = []
            async with asyncio.TaskGroup() as tasks:
                asking = [tasks.create_task(_keep_asking(it.client, statuses)) for _ in range(8)]
                await until(lambda: len(statuses) > 100)
                source.newer = Credentials("ari", "hush-another-ari")
                asterisk.configure("ari.conf", {PASSWORD: "hush-another-ari"})
                await it.http.request("PUT", "/asterisk/modules/res_ari.so")
                before = len(statuses)
                await until(lambda: len(statuses) > before + 500)
                await until(lambda: it.sockets.opened == 2)
                for task in asking:
                    task.cancel()
            assert set(statuses) == {404}
            opened = await it.client.request("GET", "/channels/none")
            assert opened.status == 404
    finally:
        asterisk.remove()


async def _keep_asking(client: AriClient, statuses: list[int]) -> None:
    while True:
        answer = await client.request("POST", "/channels/none/answer")
        statuses.append(answer.status)
