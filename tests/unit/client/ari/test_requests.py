"""Requests are those that Asterisk reads, or are refused before they are sent."""

import json
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from ari_proxy.ari.versions import REPORT_EVENTS
from ari_proxy.client.ari.requests import Argument, Operation, ReportedVariable, Request, request
from ari_proxy.client.errors import InvalidParameters, Unsupported

PLAY = Operation(
    name="channels.play",
    method="POST",
    path="/channels/{channelId}/play",
    since={12: (12, 0, 0)},
    minimum={"skipms": 0},
    newer={"report_events": REPORT_EVENTS},
)
NEW = Operation(name="channels.new", method="GET", path="/new", since=REPORT_EVENTS)


def play(
    channel: str = "1.2",
    *,
    body: Mapping[str, object] | None = None,
    version: str = "",
    **query: Argument,
) -> Request:
    return request(PLAY, {"channelId": channel}, query, body, version)


def test_arguments_are_written_as_asterisk_reads_them() -> None:
    sent = play(media=["sound:a b", "sound:c&d"], skipms=0, beep=True, lang=None, mute=False)

    assert sent.method == "POST"
    assert sent.url == (
        "/channels/1.2/play?media=sound%3Aa%20b%2Csound%3Ac%26d&skipms=0&beep=true&mute=false"
    )
    assert sent.body == ""


@pytest.mark.parametrize(
    ("name", "segment"),
    [("a/b", "a%2Fb"), ("a+b %", "a%2Bb%20%25"), ("ä", "%C3%A4"), (";2", "%3B2")],
)
def test_ids_stay_one_segment_of_the_path(name: str, segment: str) -> None:
    assert play(name).url == f"/channels/{segment}/play"


def test_variables_are_texts_or_reported_with_each_event() -> None:
    variables = {"PLAIN": "1", "REPORTED": ReportedVariable("2")}
    sent = play(body={"variables": MappingProxyType(variables)})

    assert json.loads(sent.body) == {
        "variables": {"PLAIN": "1", "REPORTED": {"value": "2", "report_events": True}}
    }


def test_a_long_query_travels_in_the_body() -> None:
    long = "x" * 2_000

    sent = play(media=[long, "b"], skipms=1, beep=True, body={"variables": {"V": "1"}})

    assert sent.url == "/channels/1.2/play"
    assert json.loads(sent.body) == {
        "media": [long, "b"],
        "skipms": 1,
        "beep": True,
        "variables": {"V": "1"},
    }


def test_a_get_keeps_its_query() -> None:
    sent = request(NEW, {}, {"variables": "x" * 3_000}, None, "")

    assert sent.url == f"/new?variables={'x' * 3_000}"


@pytest.mark.parametrize(
    ("channel", "skip", "media", "problem"),
    [
        ("", 0, "x", "channelId is empty"),
        ("1", -1, "x", "skipms is -1, less than 0"),
        ("1", 0, ["sound:a,sound:b"], "media has a comma in 'sound:a,sound:b'"),
    ],
)
def test_wrong_values_are_refused(
    channel: str, skip: int, media: str | list[str], problem: str
) -> None:
    with pytest.raises(InvalidParameters, match=problem) as refused:
        play(channel, skipms=skip, media=media)

    assert refused.value.status == 0
    assert "channels.play" in str(refused.value)


@pytest.mark.parametrize(
    "version", ["22.10.0", "22.11.1", "23.4.0", "20.20.0", "24.0.0", "", "GIT"]
)
def test_newer_and_unknown_servers_get_the_request(version: str) -> None:
    assert request(NEW, {}, {}, None, version).url == "/new"


@pytest.mark.parametrize("version", ["22.9.3", "21.12.0", "16.28.0~dfsg-0+deb11u4", "23.3.9"])
def test_older_servers_are_told_apart_before_sending(version: str) -> None:
    with pytest.raises(Unsupported) as refused:
        request(NEW, {}, {}, None, version)

    assert str(refused.value) == (
        f"channels.new needs Asterisk 20.20, 22.10, 23.4 or newer; this server has {version}"
    )
    with pytest.raises(Unsupported, match=r"report_events of channels\.play"):
        play(report_events=True, version=version)
    with pytest.raises(Unsupported, match=r"a ReportedVariable in channels\.play"):
        play(body={"variables": {"V": ReportedVariable("1")}}, version=version)
    assert play(body={"variables": {"V": "1"}}, version=version).body


def test_what_has_no_form_in_json_is_an_error() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        play(body={"variables": {"V": object()}})
