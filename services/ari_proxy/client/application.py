"""An application: receives AppStarts and runs a handler for each call."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog

from ari_proxy.bus.base import Bus, Handler, Message, SubscriptionHandle
from ari_proxy.bus.errors import BusError
from ari_proxy.protocol import messages, timestamps, topics
from ari_proxy.protocol.errors import MalformedMessageError
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import AppStart, Command, Event, ServerCommandResponse

from .call import GIVE_BACK_SECONDS, RESPONSE_SECONDS, Call
from .commands import Topics

_log = structlog.get_logger()

RECOVERED: Final = "ProxyRecovered"
#: Ended dialogs to remember: an AppStart may be repeated around a lost connection.
_REMEMBERED: Final = 1000


class _Recovered(msgspec.Struct, frozen=True):
    dialogs: list[str]


_app_start = msgspec.json.Decoder(AppStart)
_recovered = msgspec.json.Decoder(_Recovered)
_event = msgspec.json.Decoder(Event)
_server_response = msgspec.json.Decoder(ServerCommandResponse)

#: Handles one call until it is over; see `Application`.
Serve = Callable[[Call], Awaitable[None]]


class Application:
    """Serves the dialogs of one Stasis application, each in its own task.

    A handler that raises or is cancelled leaves no caller in silence: its call goes back to the
    dialplan, with FAILED in the channel variable ARI_PROXY_STATUS, and channels that the
    application placed are hung up. When a handler returns before its call has ended, the library
    does nothing and stops listening to the call; if the call is still in Stasis after
    `ingest.silence_seconds`, the policy `ingest.no_listener` applies.
    """

    def __init__(
        self,
        bus: Topics,
        name: str,
        serve: Serve,
        *,
        group: str = "applications",
        response_seconds: float = RESPONSE_SECONDS,
        give_back_seconds: float = GIVE_BACK_SECONDS,
    ) -> None:
        """Initialise an application that is not running.

        Args:
            bus: the bus that the proxy uses.
            name: name of the Stasis application.
            serve: handles one call until it is over.
            group: name of the group of instances that share the calls.
            response_seconds: timeout of a command.
            give_back_seconds: timeout for returning a failed handler's call to the dialplan.
        """
        self._seconds = {
            "response_seconds": response_seconds,
            "give_back_seconds": give_back_seconds,
        }
        self._bus = bus
        self._name = name
        self._serve = serve
        self._group = group
        self._serving: set[str] = set()
        self._over: deque[str] = deque(maxlen=_REMEMBERED)
        #: By server, then dialog; a server's events are subscribed to while it has an entry.
        self._dialogs: dict[str, dict[str, Call]] = {}
        self._servers: dict[str, SubscriptionHandle] = {}

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Serve until cancelled, or until `stop` is set and all open calls have ended."""
        try:
            async with asyncio.TaskGroup() as tasks:

                def start(message: Message) -> None:
                    try:
                        app_start = _app_start.decode(message.payload)
                    except UNDECODABLE as error:
                        _log.error("app_start.malformed", application=self._name, error=str(error))
                        return
                    if self._is_new(app_start):
                        tasks.create_task(self._run_dialog(app_start))

                async with self._listening(self._name, start, group=self._group):
                    await (stop or asyncio.Event()).wait()
        finally:
            self._dialogs.clear()
            while self._servers:
                await _unsubscribe(*self._servers.popitem())

    def _is_new(self, start: AppStart) -> bool:
        """Return whether the dialog is new; record it. An AppStart may be repeated."""
        if start.dialog_id in self._serving or start.dialog_id in self._over:
            return False
        self._serving.add(start.dialog_id)
        return True

    async def _run_dialog(self, start: AppStart) -> None:
        try:
            await self._serve_dialog(start)
        except Exception:  # noqa: BLE001  one call's failure must not end the others
            _log.exception("dialog.failed", dialog_id=start.dialog_id)
        finally:
            self._serving.discard(start.dialog_id)

    async def _serve_dialog(self, start: AppStart) -> None:
        dialog = Call(self._bus, start, **self._seconds)
        owner = DialogId(start.dialog_id)
        dialogs = await self._listen_to(start.server_id)
        if start.dialog_id in dialogs:
            return  # Already served: a repeated AppStart.
        dialogs[start.dialog_id] = dialog
        try:
            async with (
                self._listening(topics.responses(owner), dialog.take_response),
                self._listening(topics.events(owner), dialog.take_event),
            ):
                self._over.append(start.dialog_id)
                await self._run_handler(dialog)
        finally:
            dialogs.pop(start.dialog_id, None)

    async def _run_handler(self, dialog: Call) -> None:
        try:
            await self._serve(dialog)
        except (Exception, asyncio.CancelledError):
            await dialog.give_back()
            raise

    async def _listen_to(self, server: str) -> dict[str, Call]:
        """Return the dialogs of a server; end those that its ingest did not recover."""
        if server in self._dialogs:
            return self._dialogs[server]
        dialogs = self._dialogs[server] = {}

        def on_event(message: Message) -> None:
            found = _recovered_in(message)
            if found is None:
                return
            open_, listed_at = found
            for dialog_id in dialogs.keys() - open_:
                # AppStart has its own topic: one sent after this list may arrive before it.
                if dialogs[dialog_id].announced_at < listed_at:
                    dialogs[dialog_id].end()

        topic = topics.events(ServerId(server))
        try:
            self._servers[topic] = await self._bus.subscribe(topic, on_event)
        except BaseException:
            del self._dialogs[server]
            raise
        return dialogs

    @asynccontextmanager
    async def _listening(
        self, topic: str, handler: Handler, *, group: str = ""
    ) -> AsyncIterator[None]:
        subscription = await self._bus.subscribe(topic, handler, group=group)
        try:
            yield
        finally:
            await _unsubscribe(topic, subscription)


async def _unsubscribe(topic: str, subscription: SubscriptionHandle) -> None:
    try:
        await subscription.unsubscribe()
    except BusError as error:  # Lost with its connection.
        _log.warning("subscription.lost", topic=topic, error=str(error))


def _recovered_in(message: Message) -> tuple[set[str], float] | None:
    """Return the dialogs in a ProxyRecovered event and its Unix time; None for other messages."""
    try:
        event = _event.decode(message.payload)
        if event.type != RECOVERED:
            return None
        open_ = set(_recovered.decode(event.ari_body).dialogs)
    except UNDECODABLE as error:
        _log.error("event.malformed", topic=message.topic, error=str(error))
        return None
    return open_, timestamps.seconds_of(event.timestamp) or 0.0


async def call(bus: Bus, server: ServerId, command: Command) -> ServerCommandResponse:
    """Send a command outside of any dialog, such as one that places a call.

    Raises:
        BusError: no executor responded.
        MalformedMessageError: the response can't be decoded.
    """
    payload = messages.encode(command)
    answer = await bus.request(topics.commands(server), payload, timeout_seconds=RESPONSE_SECONDS)
    try:
        return _server_response.decode(answer)
    except UNDECODABLE as error:
        raise MalformedMessageError("ServerCommandResponse", str(error)) from error
