"""Recovery: after a connect, bring the dialogs up to date with Asterisk's channels.

`fetch.py` asks Asterisk, `reconcile.py` decides, and this applies the plan.
"""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import structlog

from ari_proxy.ari import advisories
from ari_proxy.ari import snapshot as asterisk
from ari_proxy.ari.snapshot import ChannelState, Snapshot
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.proxy_events import EndReason, Gap, GapReason
from ari_proxy.ingest.setup.setup import DialogSetup
from ari_proxy.ingest.sweeper import Sweeper
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from .fetch import RETRY_SECONDS, AsteriskFetch
from .reconcile import Adoption, Reconciliation, RecoveryPlan
from .unserved import Unserved

_log = structlog.get_logger()


class Found(NamedTuple):
    """What has to be looked at again once the queue has been read."""

    unserved: Unserved
    #: Channels that dialogs had and Asterisk has not.
    gone: Mapping[Dialog, Sequence[str]]


class HeldFrames(Protocol):
    """Has the frames that are held."""

    @property
    def held(self) -> Iterable[bytes]:
        """The frames that are held at present."""


#: The dialogs that were open when a connection began, with the channels that each had.
Known = Mapping[Dialog, Collection[str]]


class Recovery:
    """Recovers the dialogs of one server."""

    def __init__(  # noqa: PLR0913  its source and all that an end or a gap concerns
        self,
        server: ServerId,
        applications: Collection[str],
        fetch: AsteriskFetch,
        dialogs: DialogTable,
        *,
        stream: DialogStream,
        setup: DialogSetup,
        sweeper: Sweeper,
        metrics: Metrics,
    ) -> None:
        self._server = server
        self._applications = applications
        self._fetch = fetch
        self._dialogs = dialogs
        self._stream = stream
        self._setup = setup
        self._sweeper = sweeper
        self._metrics = metrics
        #: Of the Asterisk process, as it reports it; '' until it is known.
        self._started_at = ""

    def known(self) -> Known:
        """Return the open dialogs with their channels, as they are now."""
        return {d: tuple(d.channels) for d in self._dialogs if not d.is_ended}

    async def run(self, known: Known, gap: Gap) -> Unserved:
        """Reconcile, and inform the applications; waits as long as Asterisk does not answer.

        Args:
            known: the dialogs as the connection found them.
            gap: events that may be missing.
        """
        snapshot = await self._snapshot()
        was_restarted = self._is_another(snapshot)
        self._note(snapshot)
        plan = self._reconciliation(snapshot).plan(known, was_restarted=was_restarted)
        self._apply(plan, snapshot, gap, "asterisk_restarted" if was_restarted else "channels_gone")
        self._report(plan, gap.reason, was_restarted=was_restarted)
        return self._with_former(plan.unserved)

    def _report(self, plan: RecoveryPlan, reason: str, *, was_restarted: bool) -> None:
        result = "restarted_asterisk" if was_restarted else "same_asterisk"
        self._metrics.counter(table.RECONCILIATIONS, self._server, result).inc()
        for action in ("kept", "adopted", "ended"):
            self._count(action, len(getattr(plan, action)))
        _log.info(
            "dialogs.reconciled",
            reason=reason,
            asterisk_restarted=was_restarted,
            kept=len(plan.kept),
            adopted=len(plan.adopted),
            ended=len(plan.ended),
            unserved=len(plan.unserved),
        )

    async def join_queue(self, known: Known, gap: Gap | None, held: HeldFrames) -> Found:
        """Bring the dialogs to the beginning of a queue of events that Asterisk has kept.

        What has ended since then ends by its events, which follow; `end_gone` has the rest.

        Args:
            known: the dialogs as the connection found them.
            gap: events that may be missing before the queue, or None.
            held: has those of the queue once Asterisk has answered.
        """
        snapshot = (await self._snapshot()).with_channels(self._former(held.held))
        was_restarted = self._is_another(snapshot)
        self._note(snapshot)
        plan = self._reconciliation(snapshot).plan(known, was_restarted=was_restarted)
        gone = plan.gone
        if not was_restarted:
            plan = replace(plan, kept=list(known), ended=[], gone={})
        self._apply(plan, snapshot, gap, "asterisk_restarted")
        self._report(plan, gap.reason if gap else "queued", was_restarted=was_restarted)
        return Found(self._with_former(plan.unserved), {} if was_restarted else gone)

    def _former(self, held: Iterable[bytes]) -> dict[str, ChannelState]:
        """Return the channels of former dialogs that leave our applications in these events."""
        left = filter(None, map(asterisk.before_leaving, held))
        return {
            name: state
            for name, state in left
            if state.application in self._applications
            and (state.dialog_id or ids.token_of_object(name))
        }

    def end_gone(self, gone: Mapping[Dialog, Sequence[str]]) -> None:
        """End what Asterisk did not have, and whose end has not come since."""
        left = {
            dialog: [name for name in names if name in dialog.channels]
            for dialog, names in gone.items()
        }
        self._count("ended", self._release({d: n for d, n in left.items() if n}, "channels_gone"))

    async def look(self) -> Unserved:
        """Return the unserved channels, where no dialog is in doubt."""
        snapshot = await self._snapshot()
        self._note(snapshot)
        return self._with_former(self._reconciliation(snapshot).plan(self.known()).unserved)

    def _with_former(self, channels: Collection[str]) -> Unserved:
        return {name: self._dialogs.objects.channels.get(name) for name in channels}

    def _is_another(self, snapshot: Snapshot) -> bool:
        """Return whether it is another process than in the last snapshot, as far as is known."""
        both = self._started_at, snapshot.started_at
        return all(both) and len(set(both)) > 1

    def _note(self, snapshot: Snapshot) -> None:
        if not snapshot.started_at or snapshot.started_at == self._started_at:
            return
        self._started_at = snapshot.started_at
        found = advisories.concerning(snapshot.version)
        self._metrics.gauge(table.ADVISORIES, self._server).set(len(found))
        for advisory in found:
            _log.warning(
                "asterisk.advisory",
                version=snapshot.version,
                advisory=advisory.id,
                summary=advisory.summary,
            )

    async def publish_recovered(self, bus: Bus, reason: GapReason) -> None:
        """Publish which dialogs are open, once the bus is connected, to clients that listen."""
        await bus.wait_connected()
        # Listed and dated at one time: the AppStart of a dialog that is not listed is later.
        # Which of them reaches a client first is not known: they travel on two topics.
        open_ = [dialog.dialog_id for dialog in self.known()]
        text = proxy_events.recovered(open_, time.time(), reason)
        payload = self._stream.envelope(proxy_events.RECOVERED, text)
        try:
            await bus.publish_to_listener(topics.events(self._server), payload)
        except (BusUnavailableError, BusRefusedError) as error:
            _log.warning("recovery.not_told", dialogs=len(open_), error=str(error))

    def _reconciliation(self, snapshot: Snapshot) -> Reconciliation:
        dialogs = self._dialogs
        return Reconciliation(
            self._server, dialogs.dialogs, dialogs.objects.channels, snapshot, self._applications
        )

    async def _snapshot(self) -> Snapshot:
        """Return a snapshot with the dialogs of all channels that have one."""
        while True:
            snapshot = await self._fetch.snapshot()
            channels = self._reconciliation(snapshot).unidentified()
            identified = await self._fetch.identified(snapshot, channels)
            if identified is not None:
                return identified
            await asyncio.sleep(RETRY_SECONDS)

    # Applying a plan

    def _apply(
        self, plan: RecoveryPlan, snapshot: Snapshot, gap: Gap | None, ended: EndReason
    ) -> None:
        now = time.time()
        for adoption in plan.adopted:  # First: a dialog that only gets other channels lives on.
            self._adopt(adoption, snapshot, gap, now)
        self._release(plan.gone, ended)
        for dialog in plan.kept:
            if gap is not None and dialog.sequence:  # One without an event has missed none.
                self._notify(dialog, proxy_events.GAP, gap.event(dialog.application, now))

    def _release(self, gone: Mapping[Dialog, Sequence[str]], reason: EndReason) -> int:
        """Take channels from their dialogs; return how many dialogs have ended by that."""
        for dialog, names in gone.items():
            for name in names:
                self._dialogs.release(dialog, name, time.monotonic(), reason)
        ended = [dialog for dialog in gone if dialog.is_ended]
        for dialog in ended:
            self._sweeper.report_end(dialog, reason, gone[dialog])
        return len(ended)

    def _notify(self, dialog: Dialog, event_type: str, text: str) -> None:
        self._stream.notify(dialog, event_type, text)
        self._setup.begin(dialog)

    def _adopt(self, adoption: Adoption, snapshot: Snapshot, gap: Gap | None, now: float) -> None:
        dialog = self._dialogs.dialogs.get(adoption.dialog_id)
        if dialog is not None:
            self._dialogs.adopt(dialog, adoption.channels, {"bridge": adoption.bridges})
            return
        dialog = self._dialogs.open(
            adoption.dialog_id,
            adoption.application,
            adoption.channel_id,
            announce=bool(adoption.application),
            now=time.monotonic(),
        )
        # Higher than any number used before, as long as clocks agree to a second.
        number = int(now * 1e6)
        self._dialogs.adopt(dialog, adoption.channels, {"bridge": adoption.bridges})
        lost_start = b""
        if adoption.channel_id:
            number += 1
            text = proxy_events.stasis_start(snapshot.channels[adoption.channel_id], now)
            lost_start = self._stream.envelope("StasisStart", text, dialog.dialog_id, number)
        dialog.adopt(number, lost_start)
        if gap is not None:
            self._notify(dialog, proxy_events.GAP, gap.event(adoption.application, now))
        else:  # Whether its application is there has to be found out all the same.
            probe = proxy_events.probe(adoption.application, now)
            self._notify(dialog, proxy_events.PROBE, probe)
        _log.info("dialog.adopted", dialog_id=dialog.dialog_id, channels=list(adoption.channels))

    def _count(self, action: str, number: int = 1) -> None:
        self._metrics.counter(table.RECONCILED_DIALOGS, self._server, action).inc(number)
