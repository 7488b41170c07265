import pytest

from ari_proxy.bus.faults import TELL_SECONDS, Faults


def test_faults_of_one_topic_are_counted_and_told_once_in_a_while(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    faults = Faults(clock=lambda: now)
    for topic in ("events_s.1", "events_s.2", "bindings_s"):
        faults.lost(topic)
    faults.failed("bindings_s", ValueError("bad"))
    now = TELL_SECONDS
    faults.lost("events_s.3")

    assert faults.counts == {"slow_consumer": 4, "handler_failed": 1, "recorded": 0}
    said = capsys.readouterr().out
    assert (said.count("bus.message_lost"), said.count("bus.handler_failed")) == (3, 1)
