"""A small library for applications in Python: dialogs with events to read and commands to await."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import msgspec
import structlog

from ari_proxy.bus.base import Bus, Handler, Message, Subscription
from ari_proxy.protocol import messages, timestamps, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import (
    AppStart,
    Command,
    CommandResponse,
    Event,
    ServerCommandResponse,
)

_log = structlog.get_logger()

#: Seconds to wait for a response; the proxy itself gives up on Asterisk after 10.
RESPONSE_SECONDS: Final = 15.0
#: Events that may wait to be read; a dialog has a few hundred in all.
MAX_WAITING_EVENTS: Final = 10_000
#: Events of ari-proxy's own (docs/reference/wire.md).
DIALOG_ENDED: Final = "ProxyDialogEnded"
PROBE: Final = "ProxyProbe"
RECOVERED: Final = "ProxyRecovered"


class _Recovered(msgspec.Struct, frozen=True):
    dialogs: list[str]


_app_start = msgspec.json.Decoder(AppStart)
_recovered = msgspec.json.Decoder(_Recovered)
_event = msgspec.json.Decoder(Event)
_response = msgspec.json.Decoder(CommandResponse)
_server_response = msgspec.json.Decoder(ServerCommandResponse)


class Topics(Protocol):
    """The part of a bus that an application needs."""

    def publish(self, topic: str, payload: bytes, *, reply: str = "", once: bool = False) -> None:
        """Send a message; with `once` it is better lost than sent twice."""

    async def subscribe(self, topic: str, handler: Handler, *, group: str = "") -> Subscription:
        """Hand every message on `topic` to `handler`."""


class AriEvent:
    """One event: its sequence in the dialog, and what Asterisk sent."""

    def __init__(self, event: Event) -> None:
        self.sequence = event.sequence
        self.type = event.type
        self.body: dict[str, Any] = msgspec.json.decode(event.ari_body)


class Dialog:
    """One call, from the application's side."""

    def __init__(self, bus: Topics, start: AppStart) -> None:
        self._bus = bus
        self.dialog_id = start.dialog_id
        self.channel_id = start.channel_id
        #: Unix time; 0 for one of an ingest that does not tell.
        self.announced_at = timestamps.seconds_of(start.timestamp or "") or 0.0
        self._commands = topics.commands(DialogId(start.dialog_id))
        self._events: asyncio.Queue[AriEvent] = asyncio.Queue(MAX_WAITING_EVENTS)
        self._responses: dict[str, asyncio.Future[CommandResponse]] = {}
        self._ids = itertools.count(1)

    def take_event(self, message: Message) -> None:
        """Handle a message of the events topic."""
        try:
            self._events.put_nowait(AriEvent(_event.decode(message.payload)))
        except (msgspec.DecodeError, asyncio.QueueFull) as error:
            reason = str(error) or f"{MAX_WAITING_EVENTS} events wait to be read"
            _log.error("event.lost", dialog_id=self.dialog_id, error=reason)

    def take_response(self, message: Message) -> None:
        """Handle a message of the responses topic."""
        try:
            response = _response.decode(message.payload)
        except msgspec.DecodeError as error:
            _log.error("response.lost", dialog_id=self.dialog_id, error=str(error))
            return
        waiting = self._responses.pop(response.unique_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    def end(self) -> None:
        """Take it for over: ingest has found that it is, and nobody has seen how."""
        body = msgspec.json.encode({"type": DIALOG_ENDED, "reason": "not_recovered"}).decode()
        with contextlib.suppress(asyncio.QueueFull):
            self._events.put_nowait(AriEvent(Event("", "", DIALOG_ENDED, body)))

    async def events(self) -> AsyncIterator[AriEvent]:
        """Yield the events in order until the dialog is over, for its first channel at least.

        Among them are ari-proxy's own: ProxyGap says that some may be missing, ProxyDialogEnded
        that the dialog is over, though its StasisEnd was not seen.
        """
        while True:
            event = await self._events.get()
            if event.type == PROBE:
                continue
            yield event
            is_own_end = event.type == "StasisEnd"
            if is_own_end and event.body["channel"]["id"] == self.channel_id:
                return
            if event.type == DIALOG_ENDED:
                return

    async def command(
        self, method: str, path: str, body: str = "", **parameters: str
    ) -> CommandResponse:
        """Send a command and return its response.

        Raises:
            TimeoutError: none came.
        """
        url = f"{path}?{urlencode(parameters)}" if parameters else path
        command = Command(str(next(self._ids)), url, method, body)
        future: asyncio.Future[CommandResponse] = asyncio.get_running_loop().create_future()
        self._responses[command.unique_id] = future
        self._bus.publish(self._commands, messages.encode(command), once=True)
        try:
            async with asyncio.timeout(RESPONSE_SECONDS):
                return await future
        finally:
            self._responses.pop(command.unique_id, None)


#: Serves one call; its dialog ends with it.
Serve = Callable[[Dialog], Awaitable[None]]


class Application:
    """Serves the dialogs of one Stasis application."""

    def __init__(
        self, bus: Topics, name: str, serve: Serve, *, group: str = "applications"
    ) -> None:
        self._bus = bus
        self._name = name
        self._serve = serve
        self._group = group
        #: By server; a server that is here is listened to.
        self._dialogs: dict[str, dict[str, Dialog]] = {}

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:

            def start(message: Message) -> None:
                try:
                    app_start = _app_start.decode(message.payload)
                except msgspec.DecodeError as error:
                    _log.error("app_start.malformed", application=self._name, error=str(error))
                    return
                tasks.create_task(self._run_dialog(app_start))

            await self._bus.subscribe(self._name, start, group=self._group)
            await asyncio.Event().wait()

    async def _listen_to(self, server: str) -> dict[str, Dialog]:
        """Return the dialogs of a server; end those that its ingest has not found again."""
        if server in self._dialogs:
            return self._dialogs[server]
        dialogs = self._dialogs[server] = {}

        def take(message: Message) -> None:
            found = _recovered_in(message)
            if found is None:
                return
            open_, listed_at = found
            for dialog_id in dialogs.keys() - open_:
                # AppStart has a topic of its own: sent behind this list, it may come before it.
                if dialogs[dialog_id].announced_at < listed_at:
                    dialogs[dialog_id].end()

        await self._bus.subscribe(topics.events(ServerId(server)), take)
        return dialogs

    async def _run_dialog(self, start: AppStart) -> None:
        dialog = Dialog(self._bus, start)
        dialogs = await self._listen_to(start.server_id)
        dialogs[start.dialog_id] = dialog
        owner = DialogId(start.dialog_id)
        responses = await self._bus.subscribe(topics.responses(owner), dialog.take_response)
        events = await self._bus.subscribe(topics.events(owner), dialog.take_event)
        try:
            await self._serve(dialog)
        except Exception:  # noqa: BLE001  one call's failure must not end the others
            _log.exception("dialog.failed", dialog_id=start.dialog_id)
        finally:
            dialogs.pop(start.dialog_id, None)
            await events.unsubscribe()
            await responses.unsubscribe()


def _recovered_in(message: Message) -> tuple[set[str], float] | None:
    """Return the dialogs that an ingest has found, and when, if that is what the message tells."""
    try:
        event = _event.decode(message.payload)
        if event.type != RECOVERED:
            return None
        open_ = set(_recovered.decode(event.ari_body).dialogs)
    except msgspec.DecodeError as error:
        _log.error("event.malformed", topic=message.topic, error=str(error))
        return None
    return open_, timestamps.seconds_of(event.timestamp) or 0.0


async def call(bus: Bus, server: ServerId, command: Command) -> ServerCommandResponse:
    """Send a command that belongs to no dialog, like one that places a call.

    Raises:
        BusError: no executor answered.
    """
    payload = messages.encode(command)
    answer = await bus.request(topics.commands(server), payload, timeout_seconds=RESPONSE_SECONDS)
    return _server_response.decode(answer)
