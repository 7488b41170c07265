"""Frames of REST requests and answers, and what does not travel on a websocket."""

import json

import pytest

from ari_proxy.ari import rest_frames
from ari_proxy.ari.client import Answer


def test_request_is_written_as_asterisk_reads_it() -> None:
    frame = rest_frames.encode("7", "POST", "/channels/a%2Fb/play?media=sound:x", '{"lang":"ü"}')

    assert json.loads(frame) == {
        "type": "RESTRequest",
        "request_id": "7",
        "method": "POST",
        "uri": "channels/a%2Fb/play?media=sound:x",
        "content_type": "application/json",
        "message_body": '{"lang":"ü"}',
    }


def test_request_without_a_body_has_no_content_type() -> None:
    frame = rest_frames.encode("7", "GET", "/asterisk/ping", "")

    assert json.loads(frame) == {
        "type": "RESTRequest",
        "request_id": "7",
        "method": "GET",
        "uri": "asterisk/ping",
    }


def test_answer_is_read() -> None:
    frame = {
        "type": "RESTResponse",
        "transaction_id": "",
        "request_id": "7",
        "status_code": 404,
        "reason_phrase": "Not Found",
        "uri": "channels/x",
        "content_type": "application/json",
        "message_body": '{"message":"Channel not found"}',
        "application": "a",
    }

    answer = Answer(404, '{"message":"Channel not found"}')
    assert rest_frames.decode(json.dumps(frame).encode()) == ("7", answer)


def test_answer_may_have_no_body() -> None:
    frame = b'{"type":"RESTResponse","request_id":"7","status_code":204}'

    assert rest_frames.decode(frame) == ("7", Answer(204, ""))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"type":"StasisStart","request_id":"7","status_code":200}',
        b'{"type":"RESTResponse","status_code":200}',
        b'{"type":"RESTResponse","request_id":7,"status_code":200}',
        b"[" * 5000,
    ],
)
def test_other_frame_is_no_answer(frame: bytes) -> None:
    assert rest_frames.decode(frame) is None


@pytest.mark.parametrize(
    ("method", "url", "belongs"),
    [
        ("GET", "/channels/a", True),
        ("GET", "/channels/a/variable?variable=CHANNEL(state)", True),
        ("GET", "/asterisk/ping", True),
        ("GET", "/channels", False),
        ("GET", "/channels?x=1", False),
        ("POST", "/channels?endpoint=x", True),
        ("GET", "/endpoints/PJSIP", False),
        ("GET", "/recordings/stored", False),
        ("GET", "/recordings/stored/a/file", False),
        ("GET", "/recordings/stored/a", True),
        ("DELETE", "/recordings/stored/a", True),
        ("GET", "/events?app=x", False),
        ("GET", "/of-a-newer-asterisk", False),
        ("POST", "/of-a-newer-asterisk", True),
        ("POST", "/", False),
        ("DELETE", "/?x=1", False),
    ],
)
def test_lists_and_files_go_by_http_where_there_is_http(
    method: str, url: str, belongs: bool
) -> None:
    assert rest_frames.belongs(method, url) is belongs


@pytest.mark.parametrize(
    ("method", "url", "said"),
    [
        ("GET", "/recordings/stored/a/file?x=1", "a file"),
        ("GET", "/events?app=x", "another one"),
        ("DELETE", "/?x=1", "the root"),
        ("GET", "/channels", ""),
        ("DELETE", "/recordings/stored/a", ""),
        ("POST", "/events/user/x?application=y", ""),
        ("GET", "/of-a-newer-asterisk", ""),
    ],
)
def test_what_can_not_travel_at_all_says_why(method: str, url: str, said: str) -> None:
    obstacle = rest_frames.obstacle(method, url)

    assert said in obstacle
    assert bool(obstacle) == bool(said)
