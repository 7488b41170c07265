"""The texts of ari-proxy's own events."""

import json

import pytest

from ari_proxy.ari.snapshot import ChannelState
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.proxy_events import UNKNOWN, Gap, Missing


@pytest.mark.parametrize(
    ("since", "expected"), [(None, None), (0.5, "1970-01-01T00:00:00.500+00:00")]
)
def test_gap_tells_from_when_to_when_and_that_the_count_is_unknown(
    since: float | None, expected: str | None
) -> None:
    event = json.loads(proxy_events.Gap("websocket_lost", since).event("demo", 1.0))

    assert (event["type"], event["from"], event["count"]) == ("ProxyGap", expected, None)
    assert event["to"] == event["timestamp"] == "1970-01-01T00:00:01.000+00:00"
    assert event["application"] == "demo"


def test_events_are_missing_since_the_earliest_time_that_was_noted() -> None:
    missing = Missing()
    assert missing.since is None
    for since in (2.0, None, 3.0):
        missing.note(since)
    assert missing.gap == Gap("websocket_lost", 2.0)
    missing.note(UNKNOWN)
    assert missing.gap == Gap("ingest_restarted", None)
    missing.forget()

    assert missing.since is None


def test_lost_stasis_start_is_told_again_with_the_channel_as_it_is() -> None:
    description = '{"id":"1.2","name":"ä"}'
    state = ChannelState(
        "demo",
        ("a", "b"),
        is_up=True,
        created_at="",
        dialog_id="",
        description=description,
    )

    event = json.loads(proxy_events.stasis_start(state, 1.0))

    assert event["type"] == "StasisStart"
    assert (event["args"], event["reconstructed"]) == (["a", "b"], True)
    assert event["channel"] == json.loads(description)


def test_server_tells_which_dialogs_are_open() -> None:
    event = json.loads(proxy_events.recovered(["s.1", "s.2"], 1.0, "websocket_lost"))

    assert (event["type"], event["reason"]) == ("ProxyRecovered", "websocket_lost")
    assert event["dialogs"] == ["s.1", "s.2"]
    assert event["timestamp"] == "1970-01-01T00:00:01.000+00:00"


def test_probe_says_whose_listeners_it_looks_for_and_nothing_else() -> None:
    event = json.loads(proxy_events.probe("demo", 1.0))

    assert event == {
        "type": "ProxyProbe",
        "application": "demo",
        "timestamp": "1970-01-01T00:00:01.000+00:00",
    }
