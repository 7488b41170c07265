"""Events: every recorded one is typed, unknown ones are raw, and none raises."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.client import events
from ari_proxy.client.events import (
    ChannelDtmfReceived,
    Event,
    ProxyDialogEnded,
    ProxyGap,
    ProxyRecovered,
    RawEvent,
    StasisStart,
)
from ari_proxy.ingest.routing import proxy_events
from tests.support.golden import DATA, bus_payloads

RECORDINGS = sorted((DATA / "recordings").rglob("*.jsonl"))
STASIS_START = next(
    line["frame"]
    for line in map(json.loads, (DATA / "recordings/22/b_bridge.jsonl").read_text().splitlines())
    if '"type":"StasisStart"' in line.get("frame", "")
)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recorded_event_is_typed(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    frames = [line["frame"] for line in lines if line["dir"] == "event"]

    read = [events.decode(frame) for frame in frames]

    assert [e for e in read if isinstance(e, RawEvent)] == []
    assert [e.type for e in read] == [json.loads(frame)["type"] for frame in frames]
    assert [e.raw for e in read] == frames


def test_events_of_the_original_are_typed() -> None:
    payloads = bus_payloads("goari-nats-voicemail", "events_", sender="proxy")
    bodies = [json.loads(payload)["ari_body"] for payload in payloads]

    assert len(bodies) > 5
    assert not any(isinstance(events.decode(body), RawEvent) for body in bodies)


def test_an_event_is_a_frozen_struct_with_what_asterisk_says() -> None:
    event = events.decode(STASIS_START)

    assert isinstance(event, StasisStart)
    assert (event.type, event.application) == ("StasisStart", "demo")
    assert event.timestamp.tzinfo is not None
    assert event.replace_channel is None
    with pytest.raises(AttributeError, match="immutable"):
        setattr(event, "args", ())  # noqa: B010  mypy knows that it is frozen


def test_unknown_fields_are_in_raw_alone() -> None:
    body = STASIS_START[:-1] + ',"raw":"mine","colour":"green"}'

    event = events.decode(body)

    assert event == events.decode(STASIS_START)
    assert json.loads(event.raw)["colour"] == "green"


def test_unknown_types_are_raw() -> None:
    event = events.decode(
        '{"type":"ChannelBeamed","application":"a","timestamp":"2026-11-28T05:00:00.000+0000"}'
    )

    assert isinstance(event, RawEvent)
    assert (event.type, event.application, event.problem) == ("ChannelBeamed", "a", "")
    assert event.timestamp == datetime(2026, 11, 28, 5, tzinfo=UTC)


def test_an_event_that_is_not_as_its_type_should_be_is_raw_and_says_why() -> None:
    event = events.decode('{"type":"StasisEnd","application":"a","timestamp":"never"}')

    assert isinstance(event, RawEvent)
    assert event.type == "StasisEnd"
    assert "timestamp" in event.problem or "channel" in event.problem


@given(
    st.text() | st.builds(json.dumps, st.dictionaries(st.sampled_from(["type", "a"]), st.text()))
)
def test_nothing_raises(body: str) -> None:
    event = events.decode(body)

    assert isinstance(event, RawEvent)
    assert event.raw == body


def test_deep_nesting_does_not_raise() -> None:
    assert isinstance(events.decode('{"type":' + "[" * 100_000), RawEvent)


def test_the_proxys_own_events_are_typed() -> None:
    gap = events.decode(proxy_events.Gap("websocket_lost", 1.0, lost=3).event("a", 2.0))
    unknown = events.decode(proxy_events.Gap("ingest_restarted").event("a", 2.0))
    ended = events.decode(proxy_events.dialog_ended("a", ["c"], 2.0, "channels_gone"))
    recovered = events.decode(proxy_events.recovered(["d"], 2.0, "ingest_restarted"))
    probe = events.decode(proxy_events.probe("a", 2.0))

    assert isinstance(gap, ProxyGap)
    assert (gap.from_, gap.to, gap.count) == (
        datetime.fromtimestamp(1, UTC),
        datetime.fromtimestamp(2, UTC),
        3,
    )
    assert isinstance(unknown, ProxyGap)
    assert unknown.from_ is None
    assert isinstance(ended, ProxyDialogEnded)
    assert ended.channels == ("c",)
    assert isinstance(recovered, ProxyRecovered)
    assert recovered.dialogs == ("d",)
    assert probe.type == "ProxyProbe"
    assert not isinstance(probe, RawEvent)


def test_events_can_be_made_for_tests() -> None:
    start = events.decode(STASIS_START)
    assert isinstance(start, StasisStart)

    digit = ChannelDtmfReceived(
        application="demo",
        timestamp=datetime(2026, 11, 28, tzinfo=UTC),
        channel=start.channel,
        digit="1",
        duration_ms=100,
    )

    assert isinstance(digit, Event)
    assert digit.type == "ChannelDtmfReceived"
    assert digit.raw == ""
