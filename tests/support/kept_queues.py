"""The durable queues of an ingest's dialogs, on a bus in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.bus.memory.durable import DurableMemoryBroker
from ari_proxy.ingest.queues.backlog import ArrivalDeadlines, BacklogWatch
from ari_proxy.ingest.queues.orphan_watch import OrphanWatch
from ari_proxy.ingest.queues.orphans import OrphanedDialogs, note
from ari_proxy.ingest.queues.retention import QueueRetention
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId
from tests.support.durable import queues_of
from tests.support.event_path import SERVER, Scene, scene
from tests.support.running import until

DIALOG: Final = DialogId(f"{SERVER}.0123456789abcdef")
NAMES: Final = topics.of_dialog(DIALOG)
DECLARED: Final = DeclaredQueues(NAMES, note("demo", "c"))
DEADLINE_SECONDS: Final = 10.0


class KeptQueues:
    """The queues of an ingest's dialogs; the clock of their retention is set by hand."""

    def __init__(
        self,
        path: Scene,
        *,
        grace_seconds: float,
        deadline_seconds: float | None = DEADLINE_SECONDS,
    ) -> None:
        self.path = path
        self.now = 0.0
        #: Dialogs that were given up.
        self.unheard: list[Dialog] = []
        queues = queues_of(path.bus)
        self.orphans = OrphanedDialogs(grace_seconds=grace_seconds)
        self.deadlines = ArrivalDeadlines(path.bus, deadline_seconds=deadline_seconds)
        self.retention = QueueRetention(
            path.bus,
            queues,
            path.dialogs,
            self.orphans,
            grace_seconds=grace_seconds,
            clock=self._clock,
            retry_seconds=0.001,
            check_seconds=0.001,
        )
        self._backlog = BacklogWatch(path.bus, queues, self.deadlines, check_seconds=0.001)
        self._orphan_watch = OrphanWatch(
            queues,
            self.orphans,
            self.retention,
            path.dialogs,
            channel_ids=self._channel_ids,
            clock=self._clock,
            check_seconds=0.001,
        )
        #: Channels that Asterisk has; None if it does not answer.
        self.channels: Collection[str] | None = ()
        #: Dialogs that were reported as ended, each with its application.
        self.gone: list[tuple[str, str]] = []
        #: How often Asterisk was asked.
        self.requests = 0

    def _clock(self) -> float:
        return self.now

    async def _channel_ids(self) -> Collection[str] | None:
        self.requests += 1
        return self.channels

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the parts around a block."""
        works = (
            self.retention.run(),
            self._give_up(),
            self._orphan_watch.claim(),
            self._report(),
        )
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for work in works]
            yield
            for task in running:
                task.cancel()

    async def _give_up(self) -> None:
        async for dialog in self._backlog.unheard():
            self.unheard.append(dialog)

    async def _report(self) -> None:
        async for dialog in self._orphan_watch.gone():
            self.gone.append(dialog)

    async def observed(self) -> None:
        """Return when Asterisk was asked twice more: what was due at first is done."""
        before = self.requests
        await until(lambda: self.requests >= before + 2)

    async def open(self) -> Dialog:
        """A dialog whose AppStart was taken long ago, with an event in its queue."""
        dialog = self.path.dialogs.open(DIALOG, "demo", "c", announce=False, now=0)
        self.path.dialogs.adopt(dialog, {"c": True})
        await queues_of(self.path.bus).declare(NAMES, note=DECLARED.note)
        dialog.next_sequence()
        dialog.hold(b"1")
        for payload in dialog.deliver(0):
            self.path.bus.publish(dialog.topic, payload)
        await self.path.bus.flush(timeout_seconds=5)
        self.set_due(dialog)
        return dialog

    def set_due(self, dialog: Dialog) -> None:
        """Let a dialog's application be due."""
        self.deadlines.set(dialog, time.monotonic() - DEADLINE_SECONDS)

    def end(self, dialog: Dialog) -> None:
        """End a dialog, as the sweeper does."""
        self.path.dialogs.end(dialog, self.now, "channels_left")
        self.retention.on_ended(dialog)

    def exist(self) -> list[bool]:
        """Return which of the dialog's queues there are."""
        assert isinstance(self.path.broker, DurableMemoryBroker)
        return [self.path.broker.queues.exists(name) for name in NAMES]


@asynccontextmanager
async def kept(*, grace_seconds: float = 60) -> AsyncIterator[KeptQueues]:
    """Run the parts that keep the queues around a block."""
    async with scene(is_durable=True) as path:
        made = KeptQueues(path, grace_seconds=grace_seconds)
        async with made.running():
            yield made
