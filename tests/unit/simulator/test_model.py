"""ARI JSON of the simulated Asterisk's objects, in each of their states."""

import re

from ari_proxy.simulator.model import (
    SimulatedChannel,
    SimulatedPlayback,
    SimulatedRecording,
    new_id,
    now,
)


def test_time_has_milliseconds_and_a_numeric_zone() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", now())


def test_ids_of_one_second_differ() -> None:
    first, second = new_id(), new_id()
    assert first != second
    assert re.fullmatch(r"\d+\.\d+", first)


def test_channel_shows_its_application_only_while_in_stasis() -> None:
    channel = SimulatedChannel(
        id="1.2", app="app", arguments=("a", "b"), dialstring="dtmf-12@default/n"
    )
    outside = channel.as_json()["dialplan"]
    channel.in_stasis = True
    inside = channel.as_json()["dialplan"]
    assert (outside["app_name"], outside["app_data"]) == ("AppDial2", "(Outgoing Line)")
    assert (inside["app_name"], inside["app_data"]) == ("Stasis", "app,a,b")
    assert inside["exten"] == channel.extension == "dtmf-12"


def test_playback_names_its_next_medium_until_the_last_one() -> None:
    playback = SimulatedPlayback(id="p", media=("sound:a", "sound:b"), target="channel:1", app="x")
    first = playback.as_json()
    playback.position = 1
    last = playback.as_json()
    assert (first["media_uri"], first["next_media_uri"]) == ("sound:a", "sound:b")
    assert last["media_uri"] == "sound:b"
    assert "next_media_uri" not in last


def test_new_playback_is_not_paused() -> None:
    playback = SimulatedPlayback(id="p", media=("sound:a",), target="channel:1", app="x")
    assert playback.unpaused.is_set()


def test_recording_has_a_duration_once_it_is_done() -> None:
    recording = SimulatedRecording(name="r", target="channel:1", app="x")
    live = recording.as_json()
    recording.state = "done"
    assert "duration" not in live
    assert recording.as_json()["duration"] == 0
    assert recording.as_stored() == {"name": "r", "format": "wav"}
