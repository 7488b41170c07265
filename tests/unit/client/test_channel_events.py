"""Which events are about a channel."""

import json

import pytest

from ari_proxy.client import events
from ari_proxy.client.ari.model import Event
from ari_proxy.client.channel_events import concerns
from tests.support.client_events import bridge, channel, event, playback, recording

OF_C = [
    event("StasisStart", args=[], channel=channel("c")),
    event("Dial", peer=channel("x"), caller=channel("c"), dialstatus=""),
    event("StasisStart", args=[], channel=channel("x"), replace_channel=channel("c")),
    playback("PlaybackStarted", "p", "playing"),
    recording("RecordingFinished", "r", "done"),
    event("ChannelLeftBridge", bridge=bridge("b"), channel=channel("c")),
    events.decode(json.dumps({"type": "ChannelNews", "channel": {"id": "c"}})),
]
OF_NONE = [
    event("BridgeDestroyed", bridge=bridge("b", "c")),
    event("ChannelVarset", variable="GLOBAL", value="1"),
]


@pytest.mark.parametrize("one", OF_C, ids=lambda one: one.type)
def test_event_concerns_its_channels(one: Event) -> None:
    assert concerns(one, "c")
    assert not concerns(one, "y")


@pytest.mark.parametrize("one", OF_NONE, ids=lambda one: one.type)
def test_event_of_no_channel(one: Event) -> None:
    assert not concerns(one, "c")


def test_own_events_concern_all_channels() -> None:
    assert concerns(event("ProxyGap", reason="websocket_lost"), "c")
