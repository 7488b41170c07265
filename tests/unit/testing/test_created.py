"""What requests have created, by their answers."""

import pytest

from ari_proxy.ari.client import Answer
from ari_proxy.testing.created import Created

CHANNEL = Answer(200, '{"id":"1.2","name":"PJSIP/200-1"}')


@pytest.mark.parametrize(
    ("url", "answer", "left"),
    [
        ("/channels?endpoint=x", CHANNEL, {"/channels/1.2": "channel PJSIP/200-1"}),
        ("/channels/create", CHANNEL, {"/channels/1.2": "channel PJSIP/200-1"}),
        ("/channels/1.1/snoop", CHANNEL, {"/channels/1.2": "channel PJSIP/200-1"}),
        ("/bridges", Answer(200, '{"id":"b","name":""}'), {"/bridges/b": "bridge b"}),
        (
            "/channels/1.1/record?name=a%2Fb",
            Answer(201, '{"name":"a/b"}'),
            {"/recordings/live/a%2Fb": "recording a/b"},
        ),
        ("/channels/1.2/answer", Answer(204, ""), {}),
        ("/bridges", Answer(500, '{"message":"Allocation failed"}'), {}),
        ("/bridges", Answer(200, "<html>"), {}),
    ],
)
def test_what_was_created_is_left(url: str, answer: Answer, left: dict[str, str]) -> None:
    created = Created()

    created.note("POST", url, answer)

    assert created.left == left


def test_what_is_gone_is_not_left() -> None:
    created = Created()
    created.note("POST", "/channels", CHANNEL)
    created.note("GET", "/channels/1.3", CHANNEL)

    created.forget("/channels/1.2")
    created.forget("/channels/1.2")

    assert not created.left
