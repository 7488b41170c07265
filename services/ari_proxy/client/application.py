"""An application: receives AppStarts, runs a handler for each call, and places calls."""

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final, Protocol

import msgspec

from ari_proxy.aio import run_until_first
from ari_proxy.bus.base import Bus, Handler, Message, SubscriptionHandle
from ari_proxy.lazy_logger import LazyLogger
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import AppStart, AppStartReply

from .call import GIVE_BACK_SECONDS, RESPONSE_SECONDS, Call
from .commands import Topics
from .errors import Misconfigured
from .open_calls import OpenCalls, listening
from .origination import OriginateOptions, Origination, new_start
from .places import Places
from .server_commands import RequestingBus, call

__all__ = ["Application", "ApplicationBus", "Serve", "call"]

_log = LazyLogger()

#: Ended dialogs to remember: an AppStart may be repeated around a lost connection.
_REMEMBERED: Final = 1000
#: To an AppStart that another instance shall get (docs/reference/wire.md).
_DECLINED: Final = messages.encode(AppStartReply(decline=True, reason="no place for the call"))

_app_start = msgspec.json.Decoder(AppStart)


class ApplicationBus(Topics, RequestingBus, Protocol):
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
    that come nevertheless: other instances get them. The calls that it places are not among these.
    """

    def __init__(  # noqa: PLR0913  by name, each with a default
        self,
        bus: ApplicationBus,
        name: str,
        serve: Serve | None,
        *,
        recover: Serve | None = None,
        group: str = "applications",
        concurrency: int | None = None,
        response_seconds: float = RESPONSE_SECONDS,
        give_back_seconds: float = GIVE_BACK_SECONDS,
    ) -> None:
        """Initialise an application that is not running.

        Args:
            bus: the bus that the proxy uses.
            name: name of the Stasis application.
            serve: handles one call until it is over; None if it only places calls.
            recover: the same for a call whose instance is gone; None to take no such call.
            group: name of the group of instances that share the calls.
            concurrency: how many calls to serve at once; None for any number.
            response_seconds: timeout of a command.
            give_back_seconds: timeout for returning a failed handler's call to the dialplan.
        """
        self._response_seconds = response_seconds
        self._bus = bus
        self._name = name
        #: By topic, what handles the calls that are announced there.
        self._handlers = {name: serve, topics.recovered(name): recover}
        self._group = group
        self._places = Places(concurrency)
        #: What is asked of the bus beyond a subscription: to get back what finds no place.
        self._may_give_back = {"manual_ack": True} if concurrency is not None else {}
        self._is_listening = asyncio.Event()
        self._serving: set[str] = set()
        self._over: deque[str] = deque(maxlen=_REMEMBERED)
        self._calls = OpenCalls(
            bus, response_seconds=response_seconds, give_back_seconds=give_back_seconds
        )
        #: Runs its calls; None while it does not run.
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Serve until cancelled, or until `stop` is set and all open calls have ended."""
        stop = stop or asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self._listen(tasks, stop)
        finally:
            self._tasks = None
            await self._calls.close()

    def originate(
        self, endpoint: str, options: OriginateOptions, *, server: ServerId
    ) -> Origination:
        """Return a call that is placed once it is awaited; its events come to nobody else.

        Args:
            endpoint: whom to call, like `PJSIP/200`.
            options: how.
            server: whose Asterisk places it.
        """
        return Origination(
            endpoint,
            options,
            start=new_start(self._name, server),
            calls=self._calls,
            bus=self._bus,
            begin=self._begin,
            response_seconds=self._response_seconds,
        )

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until the application ends."""
        try:
            if self._tasks is not None:
                self._tasks.create_task(work)
                return
        except RuntimeError:  # It is about to end.
            pass
        work.close()
        raise Misconfigured(f"{self._name} does not run: it places calls only while it serves")

    def follow_losses(self, bus: Bus) -> None:
        """Have commands that the bus loses fail with NotSent, and none executed after its timeout.

        Args:
            bus: the one that it serves, for nobody else: its drop handler is ours.
        """
        self._calls.follow_losses(bus)

    async def wait_listening(self) -> None:
        """Return once it has subscribed to the calls for the first time."""
        await self._is_listening.wait()

    async def _listen(self, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        """Take calls until `stop`, whenever there is a place for one."""
        while not stop.is_set():
            async with AsyncExitStack() as stack:
                for topic, serve in self._handlers.items():
                    if serve is not None:
                        take = functools.partial(self._take, tasks, serve)
                        await stack.enter_async_context(self._announced(topic, take))
                self._is_listening.set()
                await run_until_first(stop.wait(), self._places.wait_full())
            await run_until_first(stop.wait(), self._places.wait_free())

    def _announced(self, topic: str, take: Handler) -> AbstractAsyncContextManager[None]:
        subscribing = self._bus.subscribe(topic, take, group=self._group, **self._may_give_back)
        return listening(topic, subscribing)

    def _take(self, tasks: asyncio.TaskGroup, serve: Serve, message: Message) -> None:
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
            tasks.create_task(self._run_dialog(start, serve, message))
        elif not message.give_back() and message.reply:
            self._bus.publish(message.reply, _DECLINED)

    def _is_known(self, start: AppStart) -> bool:
        """Return whether the dialog is or was served: an AppStart may be repeated."""
        if start.dialog_id in self._serving or self._calls.is_followed(start):
            return True
        return start.dialog_id in self._over and not start.recovered

    async def _run_dialog(self, start: AppStart, serve: Serve, message: Message) -> None:
        try:
            if await message.ack():  # If not, another instance gets it.
                await self._serve_dialog(start, serve)
        except Exception:  # noqa: BLE001  one call's failure must not end the others
            _log.exception("dialog.failed", dialog_id=start.dialog_id)
        finally:
            self._serving.discard(start.dialog_id)
            self._places.leave()

    async def _serve_dialog(self, start: AppStart, serve: Serve) -> None:
        async with self._calls.following(start) as dialog:
            self._over.append(start.dialog_id)
            try:
                await serve(dialog)
            except (Exception, asyncio.CancelledError):
                await dialog.give_back()
                raise
