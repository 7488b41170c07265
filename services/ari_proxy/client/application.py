"""An application: receives AppStarts and runs a handler for each call."""

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

import msgspec
import structlog

from ari_proxy.aio import run_until_first
from ari_proxy.bus.base import Bus, DropReason, Handler, Message, SubscriptionHandle
from ari_proxy.bus.errors import BusError
from ari_proxy.protocol import messages, timestamps, topics
from ari_proxy.protocol.errors import MalformedMessageError
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import (
    AppStart,
    AppStartReply,
    Command,
    Event,
    ServerCommandResponse,
)

from .call import GIVE_BACK_SECONDS, RESPONSE_SECONDS, Call
from .commands import Topics, Withdraw
from .places import Places

_log = structlog.get_logger()

RECOVERED: Final = "ProxyRecovered"
#: Ended dialogs to remember: an AppStart may be repeated around a lost connection.
_REMEMBERED: Final = 1000
_COMMANDS: Final = topics.commands(DialogId(""))
#: To an AppStart that another instance shall get (docs/reference/wire.md).
_DECLINED: Final = messages.encode(AppStartReply(decline=True, reason="no place for the call"))


class _Recovered(msgspec.Struct, frozen=True):
    dialogs: list[str]


_app_start = msgspec.json.Decoder(AppStart)
_recovered = msgspec.json.Decoder(_Recovered)
_event = msgspec.json.Decoder(Event)
_server_response = msgspec.json.Decoder(ServerCommandResponse)


class ApplicationBus(Topics, Protocol):
    """The part of a bus that an application needs."""

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = "", manual_ack: bool = False
    ) -> SubscriptionHandle:
        """Call `handler` with every message on `topic`; with `manual_ack` it may give one back."""


#: Handles one call until it is over; see `Application`.
Serve = Callable[[Call], Awaitable[None]]


class Application:
    """Serves the dialogs of one Stasis application, each in its own task.

    A handler that raises or is cancelled leaves no caller in silence: its call goes back to the
    dialplan, with FAILED in the channel variable ARI_PROXY_STATUS, and channels that the
    application placed are hung up. When a handler returns before its call has ended, the library
    does nothing and stops listening to the call; if the call is still in Stasis after
    `ingest.silence_seconds`, the policy `ingest.no_listener` applies.

    While it serves as many calls as it may, it does not listen for new ones, and gives back those
    that come nevertheless: other instances get them.
    """

    def __init__(  # noqa: PLR0913  by name, each with a default
        self,
        bus: ApplicationBus,
        name: str,
        serve: Serve,
        *,
        group: str = "applications",
        concurrency: int | None = None,
        response_seconds: float = RESPONSE_SECONDS,
        give_back_seconds: float = GIVE_BACK_SECONDS,
    ) -> None:
        """Initialise an application that is not running.

        Args:
            bus: the bus that the proxy uses.
            name: name of the Stasis application.
            serve: handles one call until it is over.
            group: name of the group of instances that share the calls.
            concurrency: how many calls to serve at once; None for any number.
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
        self._places = Places(concurrency)
        #: What is asked of the bus beyond a subscription: to get back what finds no place.
        self._may_give_back = {"manual_ack": True} if concurrency is not None else {}
        self._is_listening = asyncio.Event()
        self._withdraw: Withdraw = lambda _: None
        self._serving: set[str] = set()
        self._over: deque[str] = deque(maxlen=_REMEMBERED)
        #: By server, then dialog; a server's events are subscribed to while it has an entry.
        self._dialogs: dict[str, dict[str, Call]] = {}
        self._servers: dict[str, SubscriptionHandle] = {}

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Serve until cancelled, or until `stop` is set and all open calls have ended."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._listen(functools.partial(self._take, tasks), stop or asyncio.Event())
        finally:
            self._dialogs.clear()
            while self._servers:
                await _unsubscribe(*self._servers.popitem())

    def follow_losses(self, bus: Bus) -> None:
        """Have commands that the bus loses fail with NotSent, and none executed after its timeout.

        Args:
            bus: the one that it serves, for nobody else: its drop handler is ours.
        """
        bus.set_drop_handler(self._take_loss)
        self._withdraw = lambda unsent: bus.discard(lambda topic: topic == unsent)

    def _take_loss(self, topic: str, payload: bytes, reason: DropReason) -> None:
        for dialogs in self._dialogs.values():
            dialog = dialogs.get(topic.removeprefix(_COMMANDS))
            if dialog is not None:
                dialog.take_loss(payload, reason)

    async def wait_listening(self) -> None:
        """Return once it has subscribed to the calls for the first time."""
        await self._is_listening.wait()

    async def _listen(self, take: Handler, stop: asyncio.Event) -> None:
        """Take calls until `stop`, whenever there is a place for one."""
        name, more = self._name, self._may_give_back
        while not stop.is_set():
            async with self._listening(name, take, group=self._group, **more):
                self._is_listening.set()
                await run_until_first(stop.wait(), self._places.wait_full())
            await run_until_first(stop.wait(), self._places.wait_free())

    def _take(self, tasks: asyncio.TaskGroup, message: Message) -> None:
        """Handle an AppStart."""
        try:
            start = _app_start.decode(message.payload)
        except UNDECODABLE as error:
            _log.error("app_start.malformed", application=self._name, error=str(error))
            message.ack()
            return
        if self._is_known(start):
            message.ack()
        elif self._places.take():
            self._serving.add(start.dialog_id)
            tasks.create_task(self._run_dialog(start, message))
        elif not message.give_back() and message.reply:
            self._bus.publish(message.reply, _DECLINED)

    def _is_known(self, start: AppStart) -> bool:
        """Return whether the dialog is or was served: an AppStart may be repeated."""
        return start.dialog_id in self._serving or start.dialog_id in self._over

    async def _run_dialog(self, start: AppStart, message: Message) -> None:
        try:
            if await message.ack():  # If not, another instance gets it.
                await self._serve_dialog(start)
        except Exception:  # noqa: BLE001  one call's failure must not end the others
            _log.exception("dialog.failed", dialog_id=start.dialog_id)
        finally:
            self._serving.discard(start.dialog_id)
            self._places.leave()

    async def _serve_dialog(self, start: AppStart) -> None:
        dialog = Call(self._bus, start, **self._seconds, withdraw=self._withdraw)
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
        self, topic: str, handler: Handler, *, group: str = "", **more: bool
    ) -> AsyncIterator[None]:
        subscription = await self._bus.subscribe(topic, handler, group=group, **more)
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
