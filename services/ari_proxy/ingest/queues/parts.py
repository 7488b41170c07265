"""The parts that an active ingest has only on a bus with durable queues."""

from collections.abc import Collection, Coroutine, Sequence

from ari_proxy.bus.base import Bus
from ari_proxy.bus.durable import DurableQueues
from ari_proxy.ingest.routing.dialog_table import DialogTable

from .backlog import CHECK_SECONDS, ArrivalDeadlines, BacklogWatch
from .orphan_watch import CHECK_SECONDS as ORPHANS_SECONDS
from .orphan_watch import ChannelIds, OrphanWatch
from .orphans import OrphanedDialogs
from .retention import QueueRetention


class QueueParts:
    """Upkeep of the durable queues of one active period's dialogs."""

    def __init__(  # noqa: PLR0913  its times by name
        self,
        bus: Bus,
        queues: DurableQueues,
        dialogs: DialogTable,
        *,
        channel_ids: ChannelIds,
        deadline_seconds: float | None,
        grace_seconds: float,
        check_seconds: float = CHECK_SECONDS,
        orphans_seconds: float = ORPHANS_SECONDS,
    ) -> None:
        """Make the parts.

        Args:
            bus: that has the queues.
            queues: of the bus.
            dialogs: whose queues they are.
            channel_ids: asks Asterisk.
            deadline_seconds: for an application to come for its events; None for any time.
            grace_seconds: from the end of a dialog to the deletion of its queues.
            check_seconds: between two checks of the queues.
            orphans_seconds: between two requests for the channels of orphaned dialogs.
        """
        self.queues = queues
        self.orphans = OrphanedDialogs(grace_seconds=grace_seconds)
        self.deadlines = ArrivalDeadlines(bus, deadline_seconds=deadline_seconds)
        self.retention = QueueRetention(
            bus,
            queues,
            dialogs,
            self.orphans,
            grace_seconds=grace_seconds,
            retry_seconds=orphans_seconds,
            check_seconds=check_seconds,
        )
        self.backlog = BacklogWatch(bus, queues, self.deadlines, check_seconds=check_seconds)
        self.orphan_watch = OrphanWatch(
            queues,
            self.orphans,
            self.retention,
            dialogs,
            channel_ids=channel_ids,
            check_seconds=orphans_seconds,
        )

    def work(self, applications: Collection[str]) -> Sequence[Coroutine[None, None, None]]:
        """Return the upkeep of the queues, one coroutine each.

        Args:
            applications: of this ingest.
        """
        return (
            self.retention.declare(applications),
            self.retention.run(),
            self.orphan_watch.claim(),
        )
