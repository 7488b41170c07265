import json

import pytest

from ari_proxy.ari.snapshot import ChannelState
from ari_proxy.ingest import notices
from ari_proxy.ingest.gate import Gate


def test_gate_keeps_the_order_of_what_it_held_back() -> None:
    passed: list[bytes] = []
    gate = Gate(passed.append, capacity_bytes=100)
    gate.take(b"1")
    gate.close()
    gate.take(b"2")
    gate.take(b"3")
    assert (passed, gate.held_bytes) == ([b"1"], 2)
    gate.open()
    gate.take(b"4")

    assert (passed, gate.held_bytes) == ([b"1", b"2", b"3", b"4"], 0)


def test_gate_that_is_full_opens() -> None:
    passed: list[bytes] = []
    gate = Gate(passed.append, capacity_bytes=10)
    gate.close()
    for number in range(4):
        gate.take(b"%d" % number * 4)

    assert gate.is_open
    assert len(passed) == 4


@pytest.mark.parametrize(
    ("since", "expected"), [(None, None), (0.5, "1970-01-01T00:00:00.500+00:00")]
)
def test_gap_tells_from_when_to_when_and_that_the_count_is_unknown(
    since: float | None, expected: str | None
) -> None:
    event = json.loads(notices.Gap("websocket_lost", since).event("demo", 1.0))

    assert (event["type"], event["from"], event["count"]) == ("ProxyGap", expected, None)
    assert event["to"] == event["timestamp"] == "1970-01-01T00:00:01.000+00:00"
    assert event["application"] == "demo"


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

    event = json.loads(notices.stasis_start(state, 1.0))

    assert event["type"] == "StasisStart"
    assert (event["args"], event["reconstructed"]) == (["a", "b"], True)
    assert event["channel"] == json.loads(description)
