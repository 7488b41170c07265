"""The take-over of a former ingest's dialogs, and from then on the answers to a successor."""

import asyncio
import time
from collections.abc import Collection

import structlog

from ari_proxy.ingest.events.reader import EventReader
from ari_proxy.ingest.handover import messages
from ari_proxy.ingest.handover.giver import HandoverGiver
from ari_proxy.ingest.handover.taker import HandoverSnapshot, HandoverTaker
from ari_proxy.ingest.routing.proxy_events import UNKNOWN, Missing

from .active_phase import ActiveState, ActiveTrigger
from .parts import TIMES, Parts

_log = structlog.get_logger()


class DialogTakeOver:
    """Takes over the dialogs of one server, once."""

    def __init__(  # noqa: PLR0913  both sides of a hand-over, and what it changes
        self,
        topic: str,
        taker: HandoverTaker,
        giver: HandoverGiver,
        *,
        state: ActiveState,
        reader: EventReader,
        parts: Parts,
        missing: Missing,
        canary_seconds: float = TIMES.first_canary_seconds,
    ) -> None:
        """Initialise a take-over that has not begun.

        Args:
            topic: of requests for the dialogs.
            taker: asks the former ingest.
            giver: answers a successor once the dialogs are here.
            state: of the active ingest.
            reader: of Asterisk's events.
            parts: of the active ingest.
            missing: since when events may be missing.
            canary_seconds: for the first canary, before the former ingest is asked.
        """
        self._topic = topic
        self._taker = taker
        self._giver = giver
        self._state = state
        self._reader = reader
        self._parts = parts
        self._missing = missing
        self._canary_seconds = canary_seconds
        self._task: asyncio.Task[None] | None = None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Begin the take-over in a task of its own."""
        self._task = tasks.create_task(self._run())

    async def _run(self) -> None:
        """Take over the former ingest's dialogs, then answer requests for them.

        It happens once, and goes on while the connection to Asterisk is lost: the former ingest has
        let go of the dialogs that it has sent.
        """
        if self._reader.is_connected:
            # The former ingest can read then what Asterisk had begun to send to it.
            arrived = await self._parts.canary.arrive(self._canary_seconds)
            _log.info("hand_over.asking", canary_arrived=arrived)
        await self._load(await self._taker.take())
        self._state.advance(ActiveTrigger.LOADED)
        await self._giver.serve(self._topic)

    async def wait_done(self) -> None:
        """Return once the take-over is through, if it has begun."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def end(self) -> None:
        """End the take-over, or the answers to requests."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._giver.end()

    async def _load(self, snapshot: HandoverSnapshot | None) -> None:
        """Load the dialogs of the former ingest, if there was one, and pass the frames held."""
        self._missing.note(UNKNOWN if snapshot is None else snapshot.gap_since)
        if snapshot is not None:
            await self._resume(snapshot.records)
        if self._reader.is_connected:
            self._parts.frame_drain.buffer.open_for_former()
        else:
            self._parts.frame_drain.open()

    async def _resume(self, records: Collection[messages.Record]) -> None:
        parts = self._parts
        await parts.setup.stop(messages.dialog_ids(records))
        for dialog, held in messages.load(parts.dialogs, records, time.monotonic()).items():
            parts.setup.resume(dialog, held)
        _log.info("hand_over.taken", dialogs=len(parts.dialogs))
