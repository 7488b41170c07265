"""Prometheus counters of the events that are not published to an application."""

from ari_proxy.protocol.ids import ServerId
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics


class EventMetrics:
    """Counters of one server's malformed, unrouted and dropped events."""

    def __init__(self, server: ServerId, metrics: Metrics) -> None:
        self._server = server
        self._metrics = metrics
        # From 0, so that rate() sees the first increment.
        self._unrouted = metrics.counter(table.EVENTS_UNROUTED, server)

    def count_malformed(self) -> None:
        """Count a frame that is no event."""
        self._metrics.counter(table.FRAMES_MALFORMED, self._server).inc()

    def count_unrouted(self) -> None:
        """Count an event that belongs to no dialog."""
        self._unrouted.inc()

    def count_dropped(self, reason: str, count: int = 1) -> None:
        """Count dropped events."""
        self._metrics.counter(table.EVENTS_DROPPED, self._server, reason).inc(count)
