"""Requests of a call whose executor dies, without a bus."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from ari_proxy.bus.base import Handler, Message, SubscriptionHandle
from ari_proxy.client.ari.transport import AriAnswer
from ari_proxy.client.commands import CallCommands
from ari_proxy.client.errors import NotSent, OutcomeUnknown
from ari_proxy.client.transport import MOST_TIMES, CallTransport

DIALOG = "server-1.2g88jhgcnt8dm6c8"
PLAY = "/channels/c/play?media=sound:a&playbackId=p"
NOT_FOUND = AriAnswer(404, "{}")
DONE = AriAnswer(204, "")
#: ari-proxy's, whose connection to Asterisk broke before the answer.
MISSED = AriAnswer(502, '{"message": "m", "error": "ari_proxy.unreachable", "sent": true}')
#: ari-proxy's, while there is no ingest.
UNREGISTERED = AriAnswer(503, '{"message": "m", "error": "ari_proxy.registration", "sent": false}')


#: Returns the answer to a request, or None if there is none: method, URL, and how often it came.
Asterisk = Callable[[str, str, int], AriAnswer | None]


class Executors:
    """Answers commands as they come, at once, or never."""

    def __init__(self, asterisk: Asterisk) -> None:
        self._asterisk = asterisk
        self.commands = CallCommands(self, DIALOG)
        self.requests: list[tuple[str, str]] = []
        self.payloads: list[bytes] = []

    def publish(self, topic: str, payload: bytes, *, reply: str = "", once: bool = False) -> None:
        assert (topic, reply, once) == (f"commands_{DIALOG}", "", True)
        self.payloads.append(payload)
        command: dict[str, Any] = json.loads(payload)
        asked = command["method"], command["url"]
        self.requests.append(asked)
        answer = self._asterisk(*asked, self.requests.count(asked))
        if answer is not None:
            response = {"unique_id": command["unique_id"], "status_code": answer.status}
            message = Message(
                f"responses_{DIALOG}",
                json.dumps(response | {"response_body": answer.body}).encode(),
            )
            asyncio.get_running_loop().call_soon(self.commands.take_response, message)

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = ""
    ) -> SubscriptionHandle:
        raise NotImplementedError(topic, handler, group)


async def request(
    executors: Executors, method: str, url: str, *, response_seconds: float = 20
) -> AriAnswer:
    transport = CallTransport(
        executors.commands, response_seconds=response_seconds, again_seconds=0.01
    )
    return await transport.request(method, url, "")


async def test_request_that_does_no_harm_is_sent_until_it_is_answered() -> None:
    executors = Executors(lambda _method, _url, times: AriAnswer(204, "") if times == 3 else None)

    assert await request(executors, "POST", "/channels/c/answer") == AriAnswer(204, "")
    assert executors.requests == [("POST", "/channels/c/answer")] * 3


@pytest.mark.parametrize(
    "url",
    ["/channels/c/variable?variable=CURL%28http%3A%2F%2Fx%29", "/events/user/answer?application=a"],
)
async def test_what_may_do_harm_is_not_sent_again(url: str) -> None:
    executors = Executors(lambda *_: None)

    with pytest.raises(OutcomeUnknown):
        await request(executors, "POST", url, response_seconds=0.1)

    assert executors.requests == [("POST", url)]


async def test_what_asterisk_does_not_tell_of_is_not_sent_again() -> None:
    """It may have begun: an answer like 403 says nothing."""
    refused = AriAnswer(403, "{}")
    executors = Executors(lambda method, *_: refused if method == "GET" else None)

    with pytest.raises(OutcomeUnknown):
        await request(executors, "POST", PLAY, response_seconds=0.1)

    assert executors.requests.count(("POST", PLAY)) == 1


async def test_request_whose_first_copy_was_sent_is_not_said_to_be_unsent() -> None:
    executors = Executors(lambda *_: None)

    def lose_last(_: str) -> None:
        executors.commands.lose(executors.payloads[-1], "discarded")

    executors.commands = CallCommands(executors, DIALOG, withdraw=lose_last)
    with pytest.raises(OutcomeUnknown):
        await request(executors, "POST", "/channels/c/answer", response_seconds=0.1)


async def test_request_whose_copies_were_all_lost_was_not_sent() -> None:
    executors = Executors(lambda *_: None)

    def lose_all(_: str) -> None:
        for payload in executors.payloads:
            executors.commands.lose(payload, "discarded")

    executors.commands = CallCommands(executors, DIALOG, withdraw=lose_all)
    with pytest.raises(NotSent):
        await request(executors, "POST", "/channels/c/answer", response_seconds=0.1)


async def test_commands_of_a_shared_call_have_ids_that_nobody_else_has() -> None:
    """Two processes hear the responses to both."""
    executors = Executors(lambda *_: None)
    first, second = (CallCommands(executors, DIALOG, is_shared=True) for _ in range(2))

    assert first.new("GET", "/a").unique_id != second.new("GET", "/a").unique_id


async def test_request_is_not_sent_without_end() -> None:
    """An Asterisk that is slow, and not dead, would have the more to do."""
    executors = Executors(lambda *_: None)

    with pytest.raises(OutcomeUnknown):
        await request(executors, "POST", "/channels/c/answer", response_seconds=1)

    assert executors.requests == [("POST", "/channels/c/answer")] * 3


async def test_hang_up_that_was_executed_is_none_that_failed() -> None:
    executors = Executors(lambda _method, _url, times: NOT_FOUND if times == 2 else None)

    assert await request(executors, "DELETE", "/channels/c") == AriAnswer(204, "")


async def test_hang_up_of_a_channel_that_is_gone_fails() -> None:
    executors = Executors(lambda _method, _url, _times: NOT_FOUND)

    assert await request(executors, "DELETE", "/channels/c") == NOT_FOUND


async def test_playback_that_was_begun_is_not_begun_again() -> None:
    playback = AriAnswer(200, '{"id":"p"}')
    executors = Executors(lambda method, _url, _times: playback if method == "GET" else None)

    assert await request(executors, "POST", PLAY) == playback
    assert executors.requests == [("POST", PLAY), ("GET", "/playbacks/p")]


async def test_playback_that_was_not_begun_is_begun() -> None:
    begun = AriAnswer(201, '{"id":"p"}')
    executors = Executors(
        lambda method, _url, times: NOT_FOUND if method == "GET" else begun if times == 2 else None
    )

    assert await request(executors, "POST", PLAY) == begun
    assert executors.requests == [("POST", PLAY), ("GET", "/playbacks/p"), ("POST", PLAY)]


async def test_name_that_the_same_request_has_taken_is_no_conflict() -> None:
    record, conflict = "/channels/c/record?name=r", AriAnswer(409, "{}")
    recording = AriAnswer(200, '{"name":"r"}')

    def asterisk(method: str, _url: str, times: int) -> AriAnswer | None:
        if method == "GET":
            return NOT_FOUND if times == 1 else recording
        return None if times == 1 else conflict

    assert await request(Executors(asterisk), "POST", record) == recording


@pytest.mark.parametrize("url", ["/channels/c/dtmf?dtmf=1", "/channels?channelId=d&endpoint=e"])
async def test_request_that_might_do_harm_is_sent_once(url: str) -> None:
    executors = Executors(lambda method, _url, _times: NOT_FOUND if method == "GET" else None)

    with pytest.raises(OutcomeUnknown, match=r"no response within 0\.1 s"):
        await request(executors, "POST", url, response_seconds=0.1)

    assert executors.requests.count(("POST", url)) == 1


async def test_request_that_is_cancelled_is_not_awaited_any_more() -> None:
    executors = Executors(lambda _method, _url, _times: None)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await request(executors, "POST", "/channels/c/answer")
    sent = len(executors.requests)
    executors.commands.take_response(Message(f"responses_{DIALOG}", b'{"unique_id":"1"}'))
    await asyncio.sleep(0)

    assert len(executors.requests) == sent


@pytest.mark.parametrize("url", ["/bridges?bridgeId=b", "/channels/c/dtmf?dtmf=1"])
async def test_request_is_repeated_until_there_is_an_ingest(url: str) -> None:
    """Whatever it is: Asterisk has not got it."""
    executors = Executors(lambda _method, _url, times: UNREGISTERED if times < 3 else DONE)

    assert await request(executors, "POST", url) == DONE
    assert executors.requests == [("POST", url)] * 3
    assert len(set(executors.payloads)) == 3  # Each has an id of its own.


async def test_ingest_that_does_not_come_in_time_is_told() -> None:
    executors = Executors(lambda *_: UNREGISTERED)

    assert await request(executors, "POST", PLAY, response_seconds=0.4) == UNREGISTERED
    assert executors.requests == [("POST", PLAY)]


async def test_other_refusals_of_the_proxy_are_told_at_once() -> None:
    refused = AriAnswer(503, '{"message": "m", "error": "ari_proxy.overload", "sent": false}')
    executors = Executors(lambda *_: refused)

    assert await request(executors, "POST", PLAY) == refused
    assert executors.requests == [("POST", PLAY)]


@pytest.mark.parametrize(
    ("method", "url", "second", "answer"),
    [
        ("DELETE", "/channels/c", NOT_FOUND, DONE),
        ("POST", "/channels/c/answer", DONE, DONE),
        ("POST", "/channels/c/answer", NOT_FOUND, NOT_FOUND),
    ],
)
async def test_request_whose_answer_the_executor_has_missed_is_sent_again(
    method: str, url: str, second: AriAnswer, answer: AriAnswer
) -> None:
    executors = Executors(lambda _method, _url, times: MISSED if times == 1 else second)

    assert await request(executors, method, url) == answer
    assert executors.requests == [(method, url)] * 2


async def test_asterisk_is_asked_for_what_it_was_to_create() -> None:
    there = AriAnswer(200, '{"id": "p"}')
    executors = Executors(lambda method, *_: there if method == "GET" else MISSED)

    assert await request(executors, "POST", PLAY) == there
    assert executors.requests == [("POST", PLAY), ("GET", "/playbacks/p")]


async def test_what_might_do_harm_stays_unknown() -> None:
    executors = Executors(lambda *_: MISSED)

    assert await request(executors, "POST", "/channels/c/dtmf?dtmf=1") == MISSED
    assert len(executors.requests) == 1


async def test_request_is_not_sent_again_for_ever() -> None:
    executors = Executors(lambda *_: MISSED)

    assert await request(executors, "POST", "/channels/c/answer") == MISSED
    assert len(executors.requests) == MOST_TIMES


async def test_asterisk_that_is_slow_gets_no_further_request() -> None:
    late = AriAnswer(504, '{"message": "m", "error": "ari_proxy.timeout", "sent": true}')
    executors = Executors(lambda *_: late)

    assert await request(executors, "POST", "/channels/c/answer") == late
    assert len(executors.requests) == 1
