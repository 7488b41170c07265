from structlog.testing import capture_logs

from ari_proxy.bus.drop_log import DropLog
from tests.support.running import until


async def test_first_loss_is_told_at_once_and_those_after_it_by_their_number() -> None:
    with capture_logs() as lines:
        log = DropLog(log_seconds=0.05)
        for _ in range(1000):
            log.note("full")
        log.note("refused")
        assert [line["count"] for line in lines] == [1]
        await until(lambda: len(lines) == 3)

    assert {(line["event"], line["log_level"]) for line in lines} == {
        ("bus.messages_dropped", "error")
    }
    assert [(line["reason"], line["count"]) for line in lines[1:]] == [
        ("full", 999),
        ("refused", 1),
    ]
