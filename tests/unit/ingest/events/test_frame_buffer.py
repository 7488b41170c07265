import json

import pytest

from ari_proxy.ari.snapshot import ChannelState
from ari_proxy.ingest.events.frame_buffer import FrameBuffer
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.proxy_events import UNKNOWN, Gap, Missing


def is_free() -> bool:
    return True


def gate_of(passed: list[bytes], capacity_bytes: int = 100) -> FrameBuffer:
    return FrameBuffer(
        passed.append, capacity_bytes=capacity_bytes, overtakes=lambda frame: frame == b"proof"
    )


def test_gate_keeps_the_order_of_what_it_held_back() -> None:
    passed: list[bytes] = []
    gate = gate_of(passed)
    gate.take(b"1")
    gate.close()
    gate.take(b"2")
    gate.take(b"3")
    assert (passed, gate.held_bytes, gate.is_passable) == ([b"1"], 2, False)
    gate.open()
    gate.take(b"4")  # Not before those that wait.
    assert (passed, gate.is_passable) == ([b"1"], True)
    gate.let_pass(2, is_free)
    assert passed == [b"1", b"2", b"3"]
    gate.let_pass(2, is_free)
    gate.take(b"5")

    assert (passed, gate.held_bytes) == ([b"1", b"2", b"3", b"4", b"5"], 0)


def test_gate_lets_pass_only_what_there_is_room_for() -> None:
    passed: list[bytes] = []
    gate = gate_of(passed)
    gate.close()
    for number in range(5):
        gate.take(b"%d" % number)
    gate.let_pass(5, is_free)
    assert passed == []
    gate.open()
    gate.let_pass(5, lambda: len(passed) < 2)

    assert (passed, gate.is_passable) == ([b"0", b"1"], True)


def test_gate_that_closes_again_lets_pass_what_came_before() -> None:
    passed: list[bytes] = []
    gate = gate_of(passed)
    gate.close()
    gate.take(b"former")
    gate.open()
    gate.close()
    gate.take(b"later")
    gate.let_pass(5, is_free)
    assert (passed, gate.is_passable) == ([b"former"], False)
    gate.open()
    gate.let_pass(5, is_free)

    assert passed == [b"former", b"later"]


def test_gate_lets_pass_what_came_before_it_closed_again_and_tells_it_from_the_rest() -> None:
    passed: list[tuple[bytes, bool]] = []
    gate = FrameBuffer(lambda frame: passed.append((frame, gate.former > 0)), capacity_bytes=100)
    gate.close()
    gate.take(b"first")
    gate.close()
    gate.take(b"second")
    gate.close()
    gate.take(b"third")
    assert (gate.former, gate.is_passable) == (2, False)
    gate.open_for_former()
    gate.let_pass(5, is_free)
    assert passed == [(b"first", True), (b"second", True)]
    gate.take(b"fourth")
    assert (gate.former, gate.is_passable) == (0, False)
    gate.open_for_former()
    assert not gate.is_passable
    gate.open()
    gate.let_pass(5, is_free)
    gate.take(b"fifth")

    assert passed[2:] == [(b"third", False), (b"fourth", False), (b"fifth", False)]


def test_gate_that_is_full_opens_and_lets_the_first_pass_for_each_that_comes() -> None:
    passed: list[bytes] = []
    gate = gate_of(passed, capacity_bytes=10)
    gate.close()
    for number in range(4):
        gate.take(b"%d" % number * 4)

    assert gate.is_open
    assert passed == [b"0000", b"1111"]
    assert gate.held_bytes == 8


def test_proof_that_events_come_does_not_wait_for_them() -> None:
    passed: list[bytes] = []
    gate = gate_of(passed)
    gate.close()
    gate.take(b"1")
    gate.take(b"proof")

    assert passed == [b"proof"]


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
