"""The metrics of an ingest. Most values are read at scrape time."""

from functools import partial
from typing import Final, get_args

from ari_proxy.ingest.events.reader import DisconnectReason
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import ObjectKind
from ari_proxy.settings.load import Settings
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from .activity import Activity

OBJECT_KINDS: Final[tuple[ObjectKind, ...]] = get_args(ObjectKind)


def declare(
    metrics: Metrics, settings: Settings, counters: EventCounters, activity: Activity
) -> None:
    """Declare the metrics of one ingest."""
    read, server = metrics.read, ServerId(settings.server_id)
    for application in settings.applications:
        serves = partial(activity.serves, application)
        read(table.WEBSOCKET_CONNECTED, serves, server, application)
    for name in counters.received:
        read(table.EVENTS_RECEIVED, partial(counters.received.__getitem__, name), server, name)
    for kind in OBJECT_KINDS:
        read(table.BOUND_OBJECTS, partial(activity.objects, kind), server, kind)
    read(table.ACTIVE, lambda: activity.is_active, server)
    read(table.APPLICATIONS_REPLACED, lambda: len(activity.replaced), server)
    read(table.DIALOGS, lambda: len(activity.dialogs), server)
    read(table.LEFT_BEHIND, lambda: activity.orphans, server)
    read(table.LAST_EVENT, lambda: counters.last_event_ns / 1e9, server)
    read(table.RECEIVED_BYTES, lambda: counters.received_bytes, server)
    read(table.EVENTS_PUBLISHED, lambda: counters.published, server)
    _begin_at_zero(metrics, settings)


def _begin_at_zero(metrics: Metrics, settings: Settings) -> None:
    """Initialise counters to 0, so that rate() sees the first increment."""
    counter, server = metrics.counter, settings.server_id
    for reason in ("held_too_long", "no_listener", "fenced"):
        counter(table.EVENTS_DROPPED, server, reason)
    counter(table.WEBSOCKET_CONNECTS, server)
    for end in get_args(DisconnectReason):
        counter(table.WEBSOCKET_DISCONNECTS, server, end)
    for application in settings.applications:
        counter(table.DIALOGS_STARTED, server, application)
        counter(table.DIALOGS_ENDED, server, application)
        for result in ("accepted", "no_listener"):
            counter(table.APP_STARTS, server, application, result)
