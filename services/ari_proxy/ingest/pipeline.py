"""The event path: frame → dialogs → envelope → bus. One writer, in order, and it never waits."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Final

import structlog

from ari_proxy.ari import events
from ari_proxy.ari.errors import MalformedEventError
from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.bus.base import Bus, OnDropped
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import EventEncoder
from ari_proxy.protocol.timestamps import Rfc3339Nano
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces

from . import notices, proof
from .announcing import Announcing
from .dialogs import Dialog
from .notices import EndReason
from .queues import DialogQueues
from .router import Router
from .set_up import SetUp, SetUpPausedError
from .tally import OTHER, Tally

_log = structlog.get_logger()

#: Seconds between looks for dialogs whose grace period is over.
SWEEP_SECONDS: Final = 1.0
#: In events that we have caused ourselves, by their type, as Asterisk writes it: nobody has asked
#: for them.
_OWN: Final = {
    "ChannelVarset": f'"variable":"{DIALOG_VARIABLE}"',
    "ChannelUserevent": f'"eventname":"{proof.EVENT_NAME}.',
}


class Pipeline:
    """Takes the frames of one server's websocket and the bindings of its executors."""

    def __init__(  # noqa: PLR0913  everything it needs, once per term
        self,
        server: ServerId,
        router: Router,
        bus: Bus,
        *,
        set_up: SetUp,
        queues: DialogQueues,
        tasks: asyncio.TaskGroup,
        metrics: Metrics,
        held_bytes: int,
        is_permitted: Callable[[], bool] = lambda: True,
        on_replaced: Callable[[str], None] = lambda _: None,
        on_own: Callable[[str, str], None] = lambda *_: None,
        on_lost: OnDropped = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
        tally: Tally,
        tap: Tap,
        traces: Traces,
    ) -> None:
        self._server = server
        self._router = router
        self._bus = bus
        self._set_up = set_up
        self._queues = queues
        self._tasks = tasks
        self._metrics = metrics
        self._held_bytes = held_bytes
        self._is_permitted = is_permitted
        self._on_replaced = on_replaced
        self._on_own = on_own
        self._on_lost = on_lost
        self._clock = clock
        self._encoder = EventEncoder(server)
        self._timestamps = Rfc3339Nano()
        self._server_topic = topics.events(server)
        self._unrouted = metrics.counter(table.EVENTS_UNROUTED, server)
        self._set_ups: set[asyncio.Task[None]] = set()
        self._tally = tally
        self._tap = tap
        self._announcing = Announcing(server, set_up, metrics=metrics, tap=tap, traces=traces)
        self._last_event_ns = 0
        self._is_paused = False

    def on_frame(self, frame: bytes) -> None:
        """Route one frame and publish its event; never waits."""
        self._tally.received_bytes += len(frame)
        text = frame.decode(errors="replace")
        try:
            event = events.decode(text)
        except MalformedEventError as error:
            self._metrics.counter(table.FRAMES_MALFORMED, self._server).inc()
            _log.warning("frame.malformed", error=str(error), bytes=len(frame))
            return
        received = self._tally.received
        received[event.type if event.type in received else OTHER] += 1
        if self._is_permitted():
            self._take(event, text)
        else:
            self._drop("fenced")

    def _take(self, event: events.AriEvent, text: str) -> None:
        own = _OWN.get(event.type)
        if own is not None and own in text:
            self._on_own(event.application, text)
            return
        dialogs = self._router.route(event, self._clock())
        if event.type == "StasisStart" and event.channel is not None:
            self._mark(event.channel.id, dialogs)
        now = time.time_ns()
        self._last_event_ns = self._tally.last_event_ns = now
        timestamp = self._timestamps.format(now)
        for dialog in dialogs:
            self._publish(dialog, event.type, text, timestamp)
        if not dialogs:
            self._publish_unrouted(event, text, timestamp)

    @property
    def last_event_at(self) -> float:
        """Unix time of the last event, 0 if there was none."""
        return self._last_event_ns / 1e9

    def notify(self, dialog: Dialog, event_type: str, text: str) -> None:
        """Publish an event of our own as the dialog's next one."""
        self._publish(dialog, event_type, text, self._timestamps.format(time.time_ns()))

    def tell_ended(self, dialog: Dialog, reason: EndReason, channels: Sequence[str] = ()) -> None:
        """Tell a dialog's application that it is over, once.

        Args:
            dialog: which.
            reason: why.
            channels: whose own end nobody has seen.
        """
        if dialog.is_end_told:
            return
        dialog.is_end_told = True
        text = notices.dialog_ended(dialog.application, channels, time.time(), reason)
        if dialog.sequence and not dialog.is_abandoned:
            self.notify(dialog, notices.DIALOG_ENDED, text)
        elif dialog.is_announced or not dialog.announce:  # Else nobody has heard of it.
            self._tell_apart(dialog, text)

    def _tell_apart(self, dialog: Dialog, text: str) -> None:
        """Tell the end to a client that may not be there, or not yet: nothing waits for it."""
        dialog.sequence += 1
        payload = self.envelope(notices.DIALOG_ENDED, text, dialog.dialog_id, dialog.sequence)
        if dialog.is_abandoned and self._bus.keeps_messages:
            self._bus.publish(dialog.topic, payload)
        else:
            self._spawn(self._set_up.tell(dialog, payload))

    def tell_end(self, dialog_id: DialogId, application: str) -> None:
        """Tell the application of a dialog that is known to nobody else that it is over."""
        now = time.time()
        text = notices.dialog_ended(application, [], now, "channels_gone")
        payload = self.envelope(notices.DIALOG_ENDED, text, dialog_id, int(now * 1e6))
        self._bus.publish(topics.events(dialog_id), payload)

    def envelope(
        self, event_type: str, text: str, owner: DialogId | str = "", sequence: int = 0
    ) -> bytes:
        """Return an event of our own: of a dialog or the server (''), in its order or not (0)."""
        timestamp = self._timestamps.format(time.time_ns())
        return self._encoder.encode(text, event_type, timestamp, owner, sequence)

    def _publish(self, dialog: Dialog, event_type: str, text: str, timestamp: str) -> None:
        dialog.sequence += 1
        self._tally.published += 1
        payload = self._encoder.encode(
            text, event_type, timestamp, dialog.dialog_id, dialog.sequence
        )
        if dialog.held is None:
            self._bus.publish(dialog.topic, payload)
            if self._tap.is_on:
                self._tap.copy("event", dialog.dialog_id, payload)
        else:
            self._hold(dialog, payload)

    def _publish_unrouted(self, event: events.AriEvent, text: str, timestamp: str) -> None:
        self._unrouted.inc()
        if event.type == "ApplicationReplaced":
            self._on_replaced(event.application)
        self._bus.publish(
            self._server_topic, self._encoder.encode(text, event.type, timestamp, "", 0)
        )

    def _mark(self, name: str, dialogs: tuple[Dialog, ...]) -> None:
        """Have a channel tell its dialog; the first one's mark is a part of the set-up."""
        for dialog in dialogs:
            is_first = dialog.held is not None and not dialog.is_setting_up
            if not is_first and ids.token_of_object(name) != dialog.token:
                self._spawn(self._set_up.mark(dialog, name))

    def _hold(self, dialog: Dialog, payload: bytes) -> None:
        if dialog.held is None or dialog.is_abandoned:
            self._drop("no_listener")
            self._tap.copy("unheard", dialog.dialog_id, payload)
            return
        dialog.held.append(payload)
        dialog.held_bytes += len(payload)
        while dialog.held_bytes > self._held_bytes and len(dialog.held) > 1:
            # The first one is under way as the probe; the oldest behind it goes.
            lost = dialog.held[1]
            del dialog.held[1]
            dialog.held_bytes -= len(lost)
            self._drop("held_too_long")
            self._on_lost(dialog.topic, lost, "full")
        if not dialog.is_setting_up:
            self.begin(dialog)

    def _drop(self, reason: str) -> None:
        self._metrics.counter(table.EVENTS_DROPPED, self._server, reason).inc()

    # How dialogs begin

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._tasks.create_task(work)
        self._set_ups.add(task)
        task.add_done_callback(self._set_ups.discard)

    def begin(self, dialog: Dialog) -> None:
        """Set up a dialog with its first event held, or go on with one that another has begun."""
        dialog.is_setting_up = True
        dialog.first_event_at = self._clock()
        work = self._begin if dialog.lost_start is None else self._resume
        self._spawn(self._until_paused(dialog, work))

    def resume(self, dialog: Dialog, gap: str, lost_start: str) -> None:
        """Go on with a dialog that another process has begun.

        Args:
            dialog: which; its sequence is higher than any that was used.
            gap: tells that events may be missing.
            lost_start: the StasisStart for an application that has never heard of the dialog, or ''
                if there is none.
        """
        dialog.sequence += 1
        own = dialog.dialog_id, dialog.sequence
        dialog.lost_start = self.envelope("StasisStart", lost_start, *own) if lost_start else b""
        self.notify(dialog, notices.GAP, gap)  # The first event that it holds: it begins.

    async def _until_paused(
        self, dialog: Dialog, work: Callable[[Dialog], Awaitable[None]]
    ) -> None:
        try:
            await work(dialog)
        except SetUpPausedError:
            dialog.is_setting_up = False

    async def _begin(self, dialog: Dialog) -> None:
        if not dialog.is_announced:
            _log.info("dialog.started", dialog_id=dialog.dialog_id, application=dialog.application)
            self._metrics.counter(table.DIALOGS_STARTED, self._server, dialog.application).inc()
        await self._run(dialog)

    async def _resume(self, dialog: Dialog) -> None:
        if await self._set_up.resume(dialog, self._release):
            dialog.is_announced, dialog.lost_start = True, None
            self._queues.on_announced(dialog)
            return
        if dialog.lost_start and dialog.held is not None:
            dialog.held.appendleft(dialog.lost_start)
            dialog.held_bytes += len(dialog.lost_start)
        dialog.lost_start = None
        await self._run(dialog)

    async def _run(self, dialog: Dialog) -> None:
        if await self._announcing.run(dialog, self._release):
            self._queues.on_announced(dialog)
        else:
            self.abandon(dialog)

    def abandon(self, dialog: Dialog) -> None:
        """Let a dialog's events go nowhere: nobody wants them."""
        dialog.is_abandoned = True
        for payload in dialog.take_held():
            self._drop("no_listener")
            self._tap.copy("unheard", dialog.dialog_id, payload)
        dialog.held = deque()

    def _release(self, dialog: Dialog) -> None:
        held = dialog.take_held()
        for payload in held[1:]:
            self._bus.publish(dialog.topic, payload)
        if self._tap.is_on:
            for payload in held:
                self._tap.copy("event", dialog.dialog_id, payload)
        now = self._clock()
        dialog.heard_at = now
        elapsed = now - dialog.first_event_at
        self._metrics.histogram(table.SET_UP_SECONDS, self._server).observe(elapsed)

    def give_up(self, dialog: Dialog) -> None:
        """Do with a call what is to be done where no application serves it."""
        labels = self._server, dialog.application, "no_listener"
        self._metrics.counter(table.APP_STARTS, *labels).inc()
        self.abandon(dialog)
        self._spawn(self._set_up.give_up(dialog))

    async def finish_set_ups(self, timeout_seconds: float) -> int:
        """Wait for the set-ups under way; return how many had no listener by then."""
        if not self._set_ups:
            return 0
        _, pending = await asyncio.wait(self._set_ups, timeout=timeout_seconds)
        for task in pending:
            task.cancel()
        return len(pending)

    async def sweep(self) -> None:
        """Forget ended dialogs, and do what could not be done, until paused."""
        while not self._is_paused:
            for marking in self._set_up.mark_again():
                self._spawn(marking)
            for dialog in self._router.sweep(self._clock()):
                self._end(dialog)
            await asyncio.sleep(SWEEP_SECONDS)

    def tell_all_ends(self) -> None:
        """Tell now what would be told a little later: nobody is here then."""
        for dialog in self._router.sweep(math.inf):
            self._end(dialog)

    def pause(self) -> None:
        """Begin and end no dialog any more: another ingest goes on with them."""
        self._set_up.pause()
        self._is_paused = True

    def _end(self, dialog: Dialog) -> None:
        reason = "no_listener" if dialog.is_abandoned else dialog.end_reason
        if self._is_permitted():
            self.tell_ended(dialog, reason)
        _log.info("dialog.ended", dialog_id=dialog.dialog_id, events=dialog.sequence, reason=reason)
        labels = self._server, dialog.application
        self._metrics.counter(table.DIALOGS_ENDED, *labels).inc()
        life = self._clock() - dialog.started_at
        self._metrics.histogram(table.DIALOG_SECONDS, *labels).observe(life)
        self._tap.copy("end", dialog.dialog_id)
        self._queues.on_ended(dialog)
