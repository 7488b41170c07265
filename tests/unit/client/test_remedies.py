"""What helps if no answer comes: by what Asterisk 22 answers to a second request."""

import json

import pytest

from ari_proxy.client.ari.transport import AriAnswer
from ari_proxy.client.remedies import DONE, remedy_of

NOT_FOUND = AriAnswer(404, '{"message":"not found"}')


def channel(app_name: str) -> AriAnswer:
    return AriAnswer(200, json.dumps({"id": "c", "dialplan": {"app_name": app_name}}))


@pytest.mark.parametrize(
    ("method", "url", "done_already"),
    [
        ("GET", "/channels", 0),
        ("DELETE", "/channels/c?reason=busy", 404),
        ("POST", "/channels/c/answer", 0),
        ("POST", "/channels/c/variable?variable=a&value=b", 0),
        ("POST", "/channels/c/moh", 0),
        ("POST", "/bridges/b/removeChannel?channel=c", 422),
        ("POST", "/recordings/live/r/stop", 404),
    ],
)
def test_what_does_no_harm_is_repeated(method: str, url: str, done_already: int) -> None:
    remedy = remedy_of(method, url)

    assert remedy is not None
    assert remedy.may_repeat
    assert (remedy.inquiry, remedy.done_already) == ("", done_already)


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", "/channels/c/dtmf?dtmf=1"),
        ("POST", "/channels?endpoint=PJSIP/200"),
        ("POST", "/channels/c/play?media=sound:a"),
        ("POST", "/bridges?type=mixing"),
        ("POST", "/bridges/b/play?media=sound:a"),
        ("PUT", "/deviceStates/Stasis:a?deviceState=BUSY"),
    ],
)
def test_what_can_not_be_found_out_has_no_remedy(method: str, url: str) -> None:
    assert remedy_of(method, url) is None


@pytest.mark.parametrize(
    ("url", "inquiry"),
    [
        ("/channels/c/play?media=sound:a&playbackId=p", "/playbacks/p"),
        ("/channels/c/record?name=a%2Fb&format=wav", "/recordings/live/a%2Fb"),
        ("/bridges?bridgeId=b", "/bridges/b"),
        ("/channels?endpoint=PJSIP/200&channelId=c", "/channels/c"),
        ("/channels/c?endpoint=PJSIP/200", "/channels/c"),
        ("/channels/create?endpoint=PJSIP/200&channelId=c", "/channels/c"),
    ],
)
def test_object_that_the_client_has_named_is_looked_for(url: str, inquiry: str) -> None:
    remedy = remedy_of("POST", url)
    found = AriAnswer(200, '{"id":"it"}')

    assert remedy is not None
    assert remedy.inquiry == inquiry
    assert remedy.conclude(found) == found
    assert remedy.conclude(NOT_FOUND) is None


def test_channel_that_may_have_rung_in_vain_is_not_called_again() -> None:
    for url in ("/channels?endpoint=PJSIP/200&channelId=c", "/channels/c?endpoint=PJSIP/200"):
        remedy = remedy_of("POST", url)
        assert remedy is not None
        assert not remedy.may_repeat


def test_channel_has_left_if_no_application_has_it() -> None:
    remedy = remedy_of("POST", "/channels/c/continue?context=default")

    assert remedy is not None
    assert remedy.inquiry == "/channels/c"
    assert remedy.conclude(NOT_FOUND) == DONE
    assert remedy.conclude(channel("Wait")) == DONE
    assert remedy.conclude(channel("Stasis")) is None
    assert remedy.conclude(AriAnswer(500, "?")) is None


def test_channel_is_in_a_bridge_if_the_bridge_says_so() -> None:
    remedy = remedy_of("POST", "/bridges/b/addChannel?channel=c,d")

    assert remedy is not None
    assert remedy.inquiry == "/bridges/b"
    assert remedy.conclude(AriAnswer(200, '{"channels":["d","e","c"]}')) == DONE
    assert remedy.conclude(AriAnswer(200, '{"channels":["c"]}')) is None
    assert remedy.conclude(AriAnswer(500, "?")) is None
