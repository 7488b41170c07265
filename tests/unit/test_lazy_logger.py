"""The logger that imports structlog with its first line."""

from structlog.testing import capture_logs

from ari_proxy.lazy_logger import LazyLogger


def test_line_is_logged_by_structlog() -> None:
    log = LazyLogger()

    with capture_logs() as lines:
        log.warning("bus.away", application="demo")

    assert lines == [{"event": "bus.away", "log_level": "warning", "application": "demo"}]


def test_exception_is_logged() -> None:
    log = LazyLogger()

    with capture_logs() as lines:
        try:
            raise ValueError("refused")
        except ValueError:
            log.exception("dialog.failed")

    assert [(line["event"], line["exc_info"]) for line in lines] == [("dialog.failed", True)]
