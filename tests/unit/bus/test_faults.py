from structlog.testing import capture_logs

from ari_proxy.bus.base import Message
from ari_proxy.bus.faults import LOG_SECONDS, Faults


def _fail(_: Message) -> None:
    raise ValueError("bad")


def test_faults_of_one_topic_are_counted_and_logged_once_in_a_while() -> None:
    now = 0.0
    faults = Faults(clock=lambda: now)
    with capture_logs() as logs:
        for topic in ("events_s.1", "events_s.2", "bindings_s"):
            faults.lost(topic)
        faults.run(_fail, Message("bindings_s", b""))
        now = LOG_SECONDS
        faults.lost("events_s.3")

    counted = {kind: count for kind, count in faults.counts.items() if count}
    assert counted == {"slow_consumer": 4, "handler_failed": 1}
    assert [log["event"] for log in logs] == [
        "bus.message_lost",
        "bus.message_lost",
        "bus.handler_failed",
        "bus.message_lost",
    ]
