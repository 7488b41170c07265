"""Recovery: after a connect, make the dialogs what Asterisk's channels say they are.

`reconcile.py` decides; this asks Asterisk and does it.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from itertools import starmap
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import structlog

from ari_proxy.aio import first_leaf
from ari_proxy.ari import advisories
from ari_proxy.ari import snapshot as asterisk
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.snapshot import DIALOG_VARIABLE, ChannelState, Information, Snapshot
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.phase import LifePhase
from ari_proxy.ingest.routing.proxy_events import EndReason, Gap, GapReason
from ari_proxy.ingest.routing.router import Router
from ari_proxy.ingest.setup.setup import DialogSetup
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from .reconcile import Adoption, Reconciliation, RecoveryPlan

_log = structlog.get_logger()

T = TypeVar("T")
#: Seconds between attempts to get a snapshot.
RETRY_SECONDS: Final = 0.2
#: Deadline of each request.
REQUEST_SECONDS: Final = 5.0
#: Seconds after which a channel in Stasis that still has no dialog gets one: its StasisStart would
#: have come by then.
UNSERVED_SECONDS: Final = 2.0

#: The dialogs that were open when a connection began, with the channels that each had.
Known = Mapping[Dialog, Collection[str]]
#: Channels in our applications that no dialog has, each with the dialog that had it, or None.
Unserved = Mapping[str, Dialog | None]


class _NoAnswerError(Exception):
    """Asterisk does not tell what it has."""


class Recovery:
    """Recovers the dialogs of one server."""

    def __init__(  # noqa: PLR0913  what it asks, and what follows
        self,
        server: ServerId,
        applications: Collection[str],
        rest: RestClient,
        dialogs: DialogTable,
        router: Router,
        *,
        stream: DialogStream,
        setup: DialogSetup,
        metrics: Metrics,
        unserved_seconds: float = UNSERVED_SECONDS,
    ) -> None:
        self._server = server
        self._applications = applications
        self._rest = rest
        self._dialogs = dialogs
        self._router = router
        self._stream = stream
        self._setup = setup
        self._metrics = metrics
        self._unserved_seconds = unserved_seconds
        self._started_at = ""

    def known(self) -> Known:
        """Return what there is to reconcile: the open dialogs as they are now."""
        return {d: tuple(d.channels) for d in self._dialogs if not d.is_ended}

    async def run(self, known: Known, gap: Gap) -> Unserved:
        """Reconcile, and tell the applications; waits as long as Asterisk does not answer.

        Args:
            known: the dialogs as the connection found them.
            gap: what may be missing.
        """
        snapshot = await self._snapshot()
        was_restarted = self._is_another(snapshot)
        self._note(snapshot)
        plan = self._reconciliation(snapshot).plan(known, was_restarted=was_restarted)
        self._apply(plan, snapshot, gap, "asterisk_restarted" if was_restarted else "channels_gone")
        result = "restarted_asterisk" if was_restarted else "same_asterisk"
        self._metrics.counter(table.RECONCILIATIONS, self._server, result).inc()
        for action in ("kept", "adopted", "ended"):
            self._count(action, len(getattr(plan, action)))
        _log.info(
            "dialogs.reconciled",
            reason=gap.reason,
            asterisk_restarted=was_restarted,
            kept=len(plan.kept),
            adopted=len(plan.adopted),
            ended=len(plan.ended),
            unserved=len(plan.unserved),
        )
        return self._with_former(plan.unserved)

    async def look(self) -> Unserved:
        """Return the unserved channels, where no dialog is in doubt."""
        snapshot = await self._snapshot()
        self._note(snapshot)
        return self._with_former(self._reconciliation(snapshot).plan(self.known()).unserved)

    def _with_former(self, channels: Collection[str]) -> Unserved:
        return {name: self._dialogs.objects.channels.get(name) for name in channels}

    def _is_another(self, snapshot: Snapshot) -> bool:
        """Return whether it is another process than at the last look, as far as is known."""
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

    async def tell_recovered(self, bus: Bus, reason: GapReason) -> None:
        """Tell which dialogs are open, once the bus is there, to whoever listens."""
        await bus.wait_connected()
        # Listed and dated in one go: the AppStart of a dialog that is not among them is later.
        # Which of them reaches a client first is not known: they travel on two topics.
        open_ = [dialog.dialog_id for dialog in self.known()]
        text = proxy_events.recovered(open_, time.time(), reason)
        payload = self._stream.envelope(proxy_events.RECOVERED, text)
        try:
            await bus.publish_to_listener(topics.events(self._server), payload)
        except (BusUnavailableError, BusRefusedError) as error:
            _log.warning("recovery.not_told", dialogs=len(open_), error=str(error))

    # What Asterisk has

    async def _snapshot(self) -> Snapshot:
        while True:
            # In a task of its own: a group whose child fails forgets a cancellation (Python 3.11).
            async with asyncio.TaskGroup() as tasks:
                asking = tasks.create_task(self._try_all())
            snapshot = asking.result()
            if snapshot is not None:
                return snapshot
            await asyncio.sleep(RETRY_SECONDS)

    async def _try_all(self) -> Snapshot | None:
        snapshot = None
        try:
            snapshot = await self._ask_all()
        except* (_NoAnswerError, TransportError, *UNDECODABLE) as errors:
            _log.debug("snapshot.failed", error=str(first_leaf(errors)))
        return snapshot

    async def _ask_all(self) -> Snapshot:
        channels = asterisk.channels(await self._get("/channels"))
        nothing: dict[str, tuple[str, ...]] = {}
        bridges = await self._optional("/bridges", asterisk.bridges, nothing)
        information = await self._optional(
            "/asterisk/info?only=status,system", asterisk.information, Information()
        )
        snapshot = Snapshot(
            channels, bridges, information.status.startup_time, information.system.version
        )
        asked = self._reconciliation(snapshot).silent()
        async with asyncio.TaskGroup() as tasks:
            # As many go out at once as the client has connections.
            answers = {name: tasks.create_task(self._dialog_of(name)) for name in asked}
        return snapshot.with_dialogs({name: task.result() for name, task in answers.items()})

    def _reconciliation(self, snapshot: Snapshot) -> Reconciliation:
        dialogs = self._dialogs
        return Reconciliation(
            self._server, dialogs.dialogs, dialogs.objects.channels, snapshot, self._applications
        )

    async def _optional(self, path: str, read: Callable[[str], T], default: T) -> T:
        """Return what Asterisk tells, or a default: without it less is known, and no call waits."""
        try:
            return read(await self._get(path))
        except (_NoAnswerError, *UNDECODABLE) as error:
            _log.debug("snapshot.incomplete", path=path, error=str(error))
            return default

    async def channel_ids(self) -> Collection[str] | None:
        """Return the ids of all channels, or None if Asterisk does not tell."""
        try:
            return asterisk.channels(await self._get("/channels"))
        except (_NoAnswerError, TransportError, *UNDECODABLE) as error:
            _log.debug("channels.unknown", error=str(error))
            return None

    async def _dialog_of(self, channel: str) -> str:
        query = urlencode({"variable": DIALOG_VARIABLE})
        path = f"/channels/{quote(channel, safe='')}/variable?{query}"
        answer = await self._rest.request("GET", path, timeout_seconds=REQUEST_SECONDS)
        return asterisk.variable(answer.body) if answer.status == 200 else ""  # noqa: PLR2004

    async def _get(self, path: str) -> str:
        answer = await self._rest.request("GET", path, timeout_seconds=REQUEST_SECONDS)
        if answer.status != 200:  # noqa: PLR2004  HTTP's OK
            raise _NoAnswerError(f"Asterisk answers {answer.status} to GET {path}")
        return answer.body

    # What follows

    def _apply(self, plan: RecoveryPlan, snapshot: Snapshot, gap: Gap, ended: EndReason) -> None:
        now = time.time()
        for adoption in plan.adopted:  # First: a dialog that only gets other channels lives on.
            self._adopt(adoption, snapshot, gap, now)
        for dialog, names in plan.gone.items():
            for name in names:
                self._dialogs.release(dialog, name, time.monotonic())
        for dialog in plan.ended:
            if dialog.life is LifePhase.ENDED:
                self._stream.tell_ended(dialog, ended, plan.gone[dialog])
                self._setup.begin(dialog)
        for dialog in plan.kept:
            if dialog.sequence:  # One without an event has missed none that anybody knows of.
                self._notify(dialog, proxy_events.GAP, gap.event(dialog.application, now))

    def _notify(self, dialog: Dialog, event_type: str, text: str) -> None:
        self._stream.notify(dialog, event_type, text)
        self._setup.begin(dialog)

    def _adopt(self, adoption: Adoption, snapshot: Snapshot, gap: Gap, now: float) -> None:
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
        # Higher than what anybody has used before, as long as clocks agree to a second.
        number = int(now * 1e6)
        self._dialogs.adopt(dialog, adoption.channels, {"bridge": adoption.bridges})
        lost_start = b""
        if adoption.channel_id:
            number += 1
            text = proxy_events.stasis_start(snapshot.channels[adoption.channel_id], now)
            lost_start = self._stream.envelope("StasisStart", text, dialog.dialog_id, number)
        dialog.adopt(number, lost_start)
        self._notify(dialog, proxy_events.GAP, gap.event(adoption.application, now))
        _log.info("dialog.adopted", dialog_id=dialog.dialog_id, channels=list(adoption.channels))

    def _count(self, action: str, number: int = 1) -> None:
        self._metrics.counter(table.RECONCILED_DIALOGS, self._server, action).inc(number)

    # Channels that nobody has seen come

    async def serve_unserved(self, channels: Unserved, gap: Gap) -> None:
        """Begin dialogs for channels whose StasisStart was lost, and that are still there.

        Args:
            channels: as they were when Asterisk was asked.
            gap: what they have missed.
        """
        if not channels:
            return
        await asyncio.sleep(self._unserved_seconds)
        if not any(starmap(self._is_unserved, channels.items())):
            return
        snapshot = await self._snapshot()
        for name, former in channels.items():
            state = snapshot.channels.get(name)
            if state is None or state.application not in self._applications:
                continue
            if self._is_unserved(name, former):
                self._begin_late(state, name, gap)

    def _begin_late(self, state: ChannelState, name: str, gap: Gap) -> None:
        dialog = self._router.begin(state.application, name, time.monotonic())
        self._count("begun_late")
        _log.warning("dialog.begins_late", dialog_id=dialog.dialog_id, channel=name)
        now = time.time()
        self._stream.notify(dialog, "StasisStart", proxy_events.stasis_start(state, now))
        self._notify(dialog, proxy_events.GAP, gap.event(state.application, now))

    def _is_unserved(self, name: str, former: Dialog | None) -> bool:
        """Return whether no dialog has had the channel since: one may have begun and ended."""
        dialog = self._dialogs.objects.channels.get(name)
        return dialog is former and (dialog is None or not dialog.may_have(name))
