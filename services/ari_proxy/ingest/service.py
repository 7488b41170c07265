"""The ingest service: websocket, router, bus and admin checks of one Asterisk."""

import asyncio
import time
from typing import Any, Final
from urllib.parse import quote

import msgspec
import structlog

from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.events import Named
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import EventSocket, frames
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.health import Check
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics

from .left_behind import LeftBehind
from .pipeline import Pipeline
from .router import Router
from .set_up import SetUp

_log = structlog.get_logger()

#: Seconds between looks for the channels of left-behind dialogs.
LOOK_SECONDS: Final = 5.0
_channels_decoder = msgspec.json.Decoder(list[Named])


class Ingest:
    """Publishes the events of one Asterisk."""

    def __init__(
        self, settings: Settings, bus: Bus, rest: RestClient, socket: EventSocket, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._server = ServerId(settings.server_id)
        self._bus = bus
        self._rest = rest
        self._socket = socket
        self._metrics = metrics
        self._connected = False
        self._router = Router(self._server, grace_seconds=settings.ingest.grace_seconds)
        self._pipeline: Pipeline | None = None
        self._left_behind = LeftBehind(grace_seconds=self._queue_grace)
        metrics.read(table.WEBSOCKET_CONNECTED, lambda: self._connected, self._server)
        metrics.read(table.DIALOGS, lambda: len(self._router), self._server)
        metrics.read(table.LEFT_BEHIND, lambda: len(self._left_behind), self._server)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then finish the set-ups that have begun."""
        settings = self._settings.ingest
        set_up = SetUp(
            self._bus,
            self._rest,
            self._server,
            listener_seconds=settings.listener_seconds,
            no_listener=settings.no_listener,
        )
        async with asyncio.TaskGroup() as tasks:
            pipeline = Pipeline(
                self._server,
                self._router,
                self._bus,
                set_up,
                tasks,
                self._metrics,
                held_bytes=settings.held_bytes,
                queue_grace_seconds=self._queue_grace,
            )
            self._pipeline = pipeline
            bindings = await self._bus.subscribe(topics.bindings(self._server), pipeline.on_binding)
            background = [
                tasks.create_task(work)
                for work in (
                    pipeline.sweep(),
                    pipeline.tidy(),
                    self._declare_applications(),
                    self._take_over(),
                    self._look_after(),
                )
            ]
            reading = tasks.create_task(self._read(pipeline))
            await stop.wait()
            reading.cancel()
            unheard = await pipeline.finish_set_ups(self._settings.runtime.drain_seconds)
            if unheard:
                _log.warning("drain.incomplete", dialogs_without_listener=unheard)
            await bindings.unsubscribe()
            for task in background:
                task.cancel()

    @property
    def _queue_grace(self) -> float:
        """Seconds from a dialog's end until its queues go: no event may come after that."""
        settings = self._settings.ingest
        return max(settings.queue_grace_seconds, settings.grace_seconds)

    async def _declare_applications(self) -> None:
        """Bring the applications' queues into being: whether they have consumers is looked at."""
        for application in self._settings.applications:
            try:
                await self._bus.declare([application])
            except BusUnavailableError:
                continue  # Whoever serves it declares it as well.
            except BusRefusedError as error:
                _log.warning("application.queue_refused", application=application, error=str(error))

    async def _take_over(self) -> None:
        async for declared in self._bus.left_behind():
            _log.info("dialog.left_behind", topics=declared.topics)
            self._left_behind.add(declared)

    async def _look_after(self) -> None:
        """Delete the queues of left-behind dialogs when those are over."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            channels = await self._channel_ids() if len(self._left_behind) else None
            if channels is None:
                continue
            for declared in self._left_behind.observe(channels, time.monotonic()):
                try:
                    await self._bus.delete(declared.topics)
                except (BusUnavailableError, BusRefusedError) as error:
                    _log.warning("dialog.queues_not_deleted", error=str(error))
                    self._left_behind.add(declared)

    async def _channel_ids(self) -> set[str] | None:
        """Return the ids of all channels, or None if Asterisk does not tell."""
        try:
            answer = await self._rest.request("GET", "/channels")
            return {channel.id for channel in _channels_decoder.decode(answer.body)}
        except (TransportError, msgspec.DecodeError) as error:
            _log.debug("channels.unknown", error=str(error))
            return None

    async def _read(self, pipeline: Pipeline) -> None:
        connects = self._metrics.counter(table.WEBSOCKET_CONNECTS, self._server)
        async for connection in self._socket.connections():
            connects.inc()
            self._connected = True
            pipeline.replaced_applications.clear()
            _log.info("websocket.connected", applications=self._settings.applications)
            try:
                async for frame in frames(connection):
                    pipeline.on_frame(frame)
            finally:
                self._connected = False
            _log.warning("websocket.disconnected", code=connection.close_code)

    # Health

    @property
    def checks(self) -> dict[str, Check]:
        """What has to be true for events to flow."""
        return {"websocket": self._check_websocket, "applications": self._check_applications}

    async def _check_websocket(self) -> str:
        return "" if self._connected else "the events websocket is not connected"

    async def _check_applications(self) -> str:
        replaced = self._pipeline.replaced_applications if self._pipeline else set()
        if replaced:
            return f"another client has taken {', '.join(sorted(replaced))}"
        for application in self._settings.applications:
            try:
                path = f"/applications/{quote(application, safe='')}"
                answer = await self._rest.request("GET", path, timeout_seconds=1)
            except TransportError as error:
                return str(error)
            if answer.status != 200:  # noqa: PLR2004  HTTP's OK
                return f"Asterisk answers {answer.status} for {application}"
        return ""

    def dialogs(self) -> list[dict[str, Any]]:
        """Return the dialogs for the admin API."""
        return [
            {
                "dialog_id": dialog.dialog_id,
                "application": dialog.application,
                "channels": sorted(dialog.channels),
                "events": dialog.sequence,
                "state": _state(dialog.is_ended, dialog.is_abandoned, dialog.held is not None),
            }
            for dialog in self._router.dialogs
        ]


def _state(ended: bool, abandoned: bool, waiting: bool) -> str:  # noqa: FBT001  three facts
    if ended:
        return "ended"
    if abandoned:
        return "abandoned"
    return "waiting" if waiting else "open"
