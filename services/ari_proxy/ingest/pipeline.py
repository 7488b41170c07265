"""The event path: frame → dialogs → envelope → bus. One writer, in order, and it never waits."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from ari_proxy.ari import events
from ari_proxy.ari.errors import MalformedEventError
from ari_proxy.bus.base import Bus, Message
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.errors import IllegalSubjectTokenError
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import Binding, EventEncoder
from ari_proxy.protocol.timestamps import Rfc3339Nano
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics

from .dialogs import Dialog
from .router import Router
from .set_up import SetUp

_log = structlog.get_logger()

#: Seconds between looks for dialogs whose grace period is over.
SWEEP_SECONDS: Final = 1.0
_binding_decoder = msgspec.json.Decoder(Binding)


class Pipeline:
    """Takes the frames of one server's websocket and the bindings of its executors."""

    def __init__(  # noqa: PLR0913  everything it needs, once per process
        self,
        server: ServerId,
        router: Router,
        bus: Bus,
        set_up: SetUp,
        tasks: asyncio.TaskGroup,
        metrics: Metrics,
        *,
        held_bytes: int,
        queue_grace_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._router = router
        self._bus = bus
        self._set_up = set_up
        self._tasks = tasks
        self._metrics = metrics
        self._held_bytes = held_bytes
        self._queue_grace = queue_grace_seconds
        self._clock = clock
        self._encoder = EventEncoder(server)
        self._timestamps = Rfc3339Nano()
        self._server_topic = topics.events(server)
        self._received = {
            name: metrics.counter(table.EVENTS_RECEIVED, server, name)
            for name in (*events.EVENT_TYPES, "other")
        }
        self._other = self._received["other"]
        self._unrouted = metrics.counter(table.EVENTS_UNROUTED, server)
        self.replaced_applications: set[str] = set()
        self._set_ups: set[asyncio.Task[None]] = set()
        #: On a bus that keeps messages: when to look whether an application has come, and when the
        #: queues of ended dialogs go; each in the order of time.
        self._announced: deque[tuple[float, Dialog]] = deque()
        self._over: deque[tuple[float, DialogId]] = deque()

    def on_frame(self, frame: bytes) -> None:
        """Route one frame and publish its event; never waits."""
        text = frame.decode(errors="replace")
        try:
            event = events.decode(text)
        except MalformedEventError as error:
            self._metrics.counter(table.FRAMES_MALFORMED, self._server).inc()
            _log.warning("frame.malformed", error=str(error), bytes=len(frame))
            return
        self._received.get(event.type, self._other).inc()
        dialogs = self._router.route(event, self._clock())
        timestamp = self._timestamps.format(time.time_ns())
        for dialog in dialogs:
            dialog.sequence += 1
            payload = self._encoder.encode(
                text, event.type, timestamp, dialog.dialog_id, dialog.sequence
            )
            if dialog.held is None:
                self._bus.publish(dialog.topic, payload)
            else:
                self._hold(dialog, payload)
        if not dialogs:
            self._publish_unrouted(event, text, timestamp)

    def _publish_unrouted(self, event: events.AriEvent, text: str, timestamp: str) -> None:
        self._unrouted.inc()
        if event.type == "ApplicationReplaced":
            # Another proxy has taken the application. Never fight for it: it would be taken back.
            self.replaced_applications.add(event.application)
            _log.error("application.replaced", application=event.application)
        self._bus.publish(
            self._server_topic, self._encoder.encode(text, event.type, timestamp, "", 0)
        )

    def _hold(self, dialog: Dialog, payload: bytes) -> None:
        if dialog.held is None or dialog.is_abandoned:
            self._drop("no_listener")
            return
        dialog.held.append(payload)
        dialog.held_bytes += len(payload)
        while dialog.held_bytes > self._held_bytes and len(dialog.held) > 1:
            # The first one is under way as the probe; the oldest behind it goes.
            dialog.held_bytes -= len(dialog.held[1])
            del dialog.held[1]
            self._drop("held_too_long")
        if not dialog.is_setting_up:
            dialog.is_setting_up = True
            dialog.first_event_at = self._clock()
            task = self._tasks.create_task(self._begin(dialog))
            self._set_ups.add(task)
            task.add_done_callback(self._set_ups.discard)

    def _drop(self, reason: str) -> None:
        self._metrics.counter(table.EVENTS_DROPPED, self._server, reason).inc()

    async def _begin(self, dialog: Dialog) -> None:
        _log.info("dialog.started", dialog_id=dialog.dialog_id, application=dialog.application)
        self._metrics.counter(table.DIALOGS_STARTED, self._server, dialog.application).inc()
        accepted = await self._set_up.run(dialog, self._release)
        result = "accepted" if accepted else "no_listener"
        self._metrics.counter(table.APP_STARTS, self._server, dialog.application, result).inc()
        if not accepted:
            self._abandon(dialog)
        elif self._bus.keeps_messages and self._set_up.deadline is not None:
            self._announced.append((self._clock() + self._set_up.deadline, dialog))

    def _abandon(self, dialog: Dialog) -> None:
        dialog.is_abandoned = True
        for _ in dialog.held or ():
            self._drop("no_listener")
        dialog.held = deque()

    def _release(self, dialog: Dialog) -> None:
        held, dialog.held = dialog.held or (), None
        for payload in tuple(held)[1:]:
            self._bus.publish(dialog.topic, payload)
        elapsed = self._clock() - dialog.first_event_at
        self._metrics.histogram(table.SET_UP_SECONDS, self._server).observe(elapsed)

    def on_binding(self, message: Message) -> None:
        """Take an executor's notice of an object that a client has named, and acknowledge it."""
        try:
            self._router.register(_binding_decoder.decode(message.payload), self._clock())
            answer = b'{"error":""}'
        except (msgspec.DecodeError, IllegalSubjectTokenError, UnicodeDecodeError) as error:
            _log.warning("binding.refused", error=str(error))
            answer = b'{"error":%b}' % messages.encode_text(str(error))
        if message.reply:
            self._bus.publish(message.reply, answer)

    async def finish_set_ups(self, timeout_seconds: float) -> int:
        """Wait for the set-ups under way; return how many had no listener by then."""
        if not self._set_ups:
            return 0
        _, pending = await asyncio.wait(self._set_ups, timeout=timeout_seconds)
        for task in pending:
            task.cancel()
        return len(pending)

    async def sweep(self) -> None:
        """Forget ended dialogs, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._router.sweep(self._clock())
            for dialog in self._router.ended:
                _log.info("dialog.ended", dialog_id=dialog.dialog_id, events=dialog.sequence)
                self._metrics.counter(table.DIALOGS_ENDED, self._server, dialog.application).inc()
                if self._bus.keeps_messages:
                    self._over.append((self._clock() + self._queue_grace, dialog.dialog_id))
            self._router.ended.clear()

    async def tidy(self) -> None:
        """Look after the queues of a bus that keeps messages, for ever.

        Apart from `sweep`: it waits for the bus.
        """
        suspects: list[tuple[Dialog, int]] = []
        while self._bus.keeps_messages:
            await asyncio.sleep(SWEEP_SECONDS)
            for dialog, sequence in suspects:
                await self._look_for_application(dialog, sequence)
            # Looked at in the next round: what is published now will be in the queue by then.
            suspects = self._due_announcements()
            await self._delete_due_queues()

    def _due_announcements(self) -> list[tuple[Dialog, int]]:
        """Return dialogs whose application should have come, with their last event's number."""
        due = []
        while self._announced and self._announced[0][0] <= self._clock():
            dialog = self._announced.popleft()[1]
            due.append((dialog, dialog.sequence))
        return due

    async def _delete_due_queues(self) -> None:
        while self._over and self._over[0][0] <= self._clock():
            if not self._router.lives(self._over[0][1]):  # A client may use an id again.
                await self._delete_queues(self._over[0][1])
            self._over.popleft()

    async def _look_for_application(self, dialog: Dialog, sequence: int) -> None:
        """Give up a call whose AppStart was taken, or waits, and for whose events nobody came."""
        if not dialog.is_ended and await self._set_up.is_unheard(dialog, sequence):
            labels = self._server, dialog.application, "no_listener"
            self._metrics.counter(table.APP_STARTS, *labels).inc()
            self._abandon(dialog)
            await self._set_up.give_up(dialog)

    async def _delete_queues(self, dialog_id: DialogId) -> None:
        while True:
            try:
                await self._bus.delete(topics.of_dialog(dialog_id))
            except BusUnavailableError:
                await asyncio.sleep(SWEEP_SECONDS)
            except BusRefusedError as error:
                _log.error("dialog.queues_not_deleted", dialog_id=dialog_id, error=str(error))
                return
            else:
                return
