"""Asterisk's state, read from its answers."""

import json

import pytest

from ari_proxy.ari import snapshot
from ari_proxy.ari.snapshot import ChannelState, Snapshot
from ari_proxy.protocol.malformed import UNDECODABLE
from tests.support.golden import recorded


def channel(name: str, app: str = "Stasis", data: str = "demo,a,b", **more: object) -> object:
    dialplan = {"app_name": app, "app_data": data}
    return {"id": name, "state": "Up", "creationtime": "2026", "dialplan": dialplan, **more}


def test_channel_tells_its_application_arguments_and_dialog() -> None:
    given = channel("c", channelvars={"ARI_PROXY_DIALOG": "s.x"})
    found = snapshot.channels(json.dumps([given]))

    assert found == {"c": ChannelState("demo", ("a", "b"), True, "2026", "s.x", json.dumps(given))}


def test_channel_that_rings_is_in_no_application() -> None:
    (found,) = snapshot.channels(json.dumps([channel("c", "AppDial2", "(Outgoing Line)")])).values()

    assert (found.application, found.arguments) == ("", ())


def test_entries_without_an_id_are_skipped() -> None:
    assert list(snapshot.channels(json.dumps([{}, channel("c"), {"id": 5}]))) == ["c"]
    assert snapshot.bridges('[{"channels":["c"]},{"id":"b","channels":["c"]}]') == {"b": ("c",)}


@pytest.mark.parametrize("text", ["", "{}", "[", "[" * 10_000])
def test_answer_that_is_no_list_is_undecodable(text: str) -> None:
    with pytest.raises(UNDECODABLE):
        snapshot.channels(text)
    with pytest.raises(UNDECODABLE):
        snapshot.bridges(text)


def test_information_and_variable() -> None:
    information = snapshot.information(
        '{"status":{"startup_time":"t"},"system":{"version":"22.10.1"},"build":null}'
    )

    assert (information.status.startup_time, information.system.version) == ("t", "22.10.1")
    assert snapshot.variable('{"value":"s.x"}') == "s.x"


def test_dialogs_from_variables_replace_those_of_the_list() -> None:
    channels = snapshot.channels(json.dumps([channel("c"), channel("d")]))
    found = Snapshot(channels, {}).with_dialogs({"c": "s.x"}).channels

    assert (found["c"].dialog_id, found["d"].dialog_id) == ("s.x", "")


def test_state_before_leaving_is_in_the_event() -> None:
    given = channel("c", "Stasis", "demo", channelvars={"ARI_PROXY_DIALOG": "s.x"})
    event = {"type": "StasisEnd", "application": "demo", "channel": given}
    frame = json.dumps(event, separators=(",", ":")).encode()

    found = snapshot.before_leaving(frame)

    assert found is not None
    name, state = found
    assert (name, state.application, state.dialog_id) == ("c", "demo", "s.x")
    assert json.loads(state.description) == given
    assert Snapshot({}, {}).with_channels({name: state}).channels == {name: state}


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"StasisStart","application":"demo","channel":{"id":"c"}}',
        b'{"type":"StasisEnd","application":"demo"}',
        b'{"type":"StasisEnd","application":"demo","channel":5}',
        b'{"type":"StasisEnd"',
    ],
)
def test_other_events_tell_no_state_before_leaving(frame: bytes) -> None:
    assert snapshot.before_leaving(frame) is None


def test_channel_of_a_broadcast_is_in_the_application_that_has_claimed_it() -> None:
    answers: dict[str, list[str]] = {"/ari/channels": [], "/ari/applications": []}
    paths = {}
    for line in recorded("22", "u_broadcast"):
        if line["dir"] == "request":
            paths[line["id"]] = line["path"]
        elif line["dir"] == "response" and paths[line["id"]] in answers:
            answers[paths[line["id"]]].append(line["body"])
    ((listed,), (before, after)) = answers.values()
    channels = snapshot.channels(listed)

    def claimed(applications: str, *ours: str) -> dict[str, str]:
        found = snapshot.claimed(channels, applications, ours)
        return {name: state.application for name, state in found.items()}

    assert claimed(after, "ivr-a") == {"u-chan-a-1": "", "u-chan-a-2": "ivr-a"}
    assert claimed(after, "ivr-b") == claimed(before, "ivr-a")
    assert claimed(before, "ivr-a")["u-chan-a-2"] == ""
    assert channels["u-chan-a-2"].arguments == ("one", "two")
