"""What does not fit is as if it were not there, and takes nothing else with it."""

import json
from typing import Any

import msgspec
import pytest

from ari_proxy.ari import events, snapshot
from ari_proxy.ari.events import AriEvent, BridgeRef, ChannelRef


def decoded(**fields: Any) -> AriEvent:
    return events.decode(json.dumps({"type": "X", **fields}))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"caller": "200"}, AriEvent("X")),
        ({"bridge": "b-1"}, AriEvent("X")),
        ({"channel": "1.1"}, AriEvent("X")),
        ({"channel": []}, AriEvent("X")),
        ({"old_video_source_id": None}, AriEvent("X")),
        ({"application": None}, AriEvent("X")),
        ({"bridge": {"id": "b", "channels": None}}, AriEvent("X", bridge=BridgeRef("b"))),
        (
            {"bridge": {"id": "b", "channels": ["1", 2, None, "3"]}},
            AriEvent("X", bridge=BridgeRef("b", ("1", "3"))),
        ),
        ({"bridge": {"id": 7, "channels": ["1"]}}, AriEvent("X", bridge=BridgeRef("", ("1",)))),
        (
            {"caller": 5, "channel": {"id": "c"}, "application": "demo"},
            AriEvent("X", application="demo", channel=ChannelRef("c")),
        ),
        (
            {"refer_to": {"bridge": 1, "source_channel": {"id": "c"}}},
            AriEvent("X", refer_to=events.Transfer(source_channel=ChannelRef("c"))),
        ),
    ],
)
def test_field_of_another_type_counts_as_absent(fields: dict[str, Any], expected: AriEvent) -> None:
    assert decoded(**fields) == expected


def test_odd_channel_does_not_spoil_what_is_known_of_the_others() -> None:
    whole = {"id": "good", "state": "Up", "dialplan": {"app_name": "Stasis", "app_data": "demo,x"}}
    odd = [None, "1.1", {}, {"id": 5}, {"id": "partly", "state": None, "dialplan": [1]}]

    found = snapshot.channels(json.dumps([*odd, whole]))

    assert list(found) == ["partly", "good"]
    assert found["good"].arguments == ("x",)
    assert (found["partly"].application, found["partly"].is_up) == ("", False)


def test_odd_bridge_does_not_spoil_what_is_known_of_the_others() -> None:
    odd = [None, "b", {"channels": ["1"]}, {"id": "partly", "channels": None}]

    found = snapshot.bridges(json.dumps([*odd, {"id": "good", "channels": ["1", None]}]))

    assert found == {"partly": (), "good": ("1",)}


def test_odd_information_is_known_as_far_as_it_goes() -> None:
    found = snapshot.information('{"status":{"startup_time":7},"system":{"version":"22.0.0"}}')

    assert (found.status.startup_time, found.system.version) == ("", "22.0.0")


@pytest.mark.parametrize("text", ["{", "{}", "null", '"x"'])
def test_what_is_no_list_is_refused(text: str) -> None:
    for read in (snapshot.channels, snapshot.bridges):
        with pytest.raises(msgspec.DecodeError):
            read(text)
