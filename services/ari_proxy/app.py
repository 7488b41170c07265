"""The front door for applications: `App` serves the calls of one Stasis application.

app = App("demo", "nats://127.0.0.1:4222")

@app.call
async def serve(call: Call) -> None:
    await call.ari.channels.answer(call.channel_id)

app.run()
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Final, Self, Unpack

import structlog

from . import runtime
from .bus.base import Bus, opened
from .client.application import Application
from .client.bus_at import BusAccess, bus_at
from .client.call import GIVE_BACK_SECONDS, RESPONSE_SECONDS, Call
from .client.errors import CallEnded, Misconfigured
from .client.state_keeping import state_kept

_log = structlog.get_logger()

#: Seconds for open calls to end once the process shall; with `GIVE_BACK_SECONDS` within the 30 that
#: Kubernetes leaves a pod.
SHUTDOWN_SECONDS: Final = 24.0

#: How the URL of an Asterisk begins.
_EMBEDDED: Final = ("ari://", "aris://")

#: Handles one call; see `App.call`.
CallHandler = Callable[[Call], Awaitable[None]]


#: Connects to the bus around a block; one that is away is tried until it is there.
_Way = Callable[[], AbstractAsyncContextManager[Bus]]


class App:
    """Serves the calls of one Stasis application, each in a task of its own.

    Any number of processes may run the same App: each call goes to one of them.
    """

    def __init__(  # noqa: PLR0913  by name, each with a default
        self,
        name: str,
        url: str,
        *,
        concurrency: int | None = None,
        group: str = "applications",
        response_seconds: float = RESPONSE_SECONDS,
        shutdown_seconds: float = SHUTDOWN_SECONDS,
        give_back_seconds: float = GIVE_BACK_SECONDS,
        **access: Unpack[BusAccess],
    ) -> None:
        """Set up an application that does not run yet.

        Args:
            name: of the Stasis application.
            url: of the bus that ari-proxy uses: `nats://…`, `tls://…`, `ws://…`, `wss://…`,
                `amqp://…` or `amqps://…`, or `memory://…` within the process, as `bus_at` takes it.
                Or an Asterisk, `ari://user:password@host:8088` or `aris://…`: ari-proxy then runs
                within this process.
            concurrency: how many calls to serve at once; others go to other processes. None for any
                number.
            group: of the processes that share the calls, on NATS.
            response_seconds: to wait for the response to a command.
            shutdown_seconds: for open calls to end once the process shall; the others are
                cancelled, and go back to the dialplan.
            give_back_seconds: to wait while a call is returned to the dialplan.
            access: account and TLS, as `bus_at` takes them.

        Raises:
            BusSettingsError: the URL of the bus, or what `access` says, can't be used.
            Misconfigured: no call could be served, the URL of an Asterisk can't be used, or what
                it needs is not installed.
        """
        if concurrency is not None and concurrency < 1:
            raise Misconfigured(f"concurrency is {concurrency}: no call could be served")
        self.name = name
        self._connected = _way_to(url, name, access)
        self._limits = {
            "response_seconds": response_seconds,
            "give_back_seconds": give_back_seconds,
        }
        self._concurrency = concurrency
        self._group = group
        self._shutdown_seconds = shutdown_seconds
        self._handler: CallHandler | None = None
        self._running: AbstractAsyncContextManager[None] | None = None

    def __repr__(self) -> str:
        return f"App({self.name!r})"  # The URL may hold a password.

    def call(self, handler: CallHandler) -> CallHandler:
        """Register the function that handles each call, in a task of its own.

        It is cancelled when the call is over: what has to be done even then stands in `finally`, or
        in an `async with`. If it raises anything else, its call goes back to the dialplan, with
        FAILED in the channel variable ARI_PROXY_STATUS.

        Raises:
            Misconfigured: there is a handler already.
        """
        if self._handler is not None:
            raise Misconfigured(f"{self!r} has a handler of calls already")
        self._handler = handler
        return handler

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, and return.

        Then no new calls are taken; the open ones have `shutdown_seconds` to end. A second signal
        ends the process at once.

        Raises:
            Misconfigured: there is no handler.
        """
        self._registered()
        runtime.run(self.serve)

    async def serve(self, stop: asyncio.Event | None = None) -> None:
        """Serve until cancelled, or until `stop` is set and the open calls are done.

        Raises:
            Misconfigured: there is no handler.
        """
        handler = self._registered()
        async with self._connected() as bus:
            await self._serve(self._application(bus, handler), stop or asyncio.Event())

    async def __aenter__(self) -> Self:
        """Begin to serve; on return the application has subscribed to its calls.

        Raises:
            Misconfigured: there is no handler.
        """
        self._running = self._serving(self._registered())
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End as on a signal; at once if the block has raised."""
        running, self._running = self._running, None
        if running is not None:
            await running.__aexit__(kind, error, traceback)

    def _registered(self) -> CallHandler:
        if self._handler is None:
            raise Misconfigured(f"{self!r} has no handler of calls: decorate one with @app.call")
        return self._handler

    @asynccontextmanager
    async def _serving(self, handler: CallHandler) -> AsyncIterator[None]:
        failure: Exception | None = None
        stop = asyncio.Event()
        async with self._connected() as bus, asyncio.TaskGroup() as tasks:
            if reason := await bus.wait_tried():
                _log.warning("bus.away", application=self.name, error=reason)
            application = self._application(bus, handler)
            serving = tasks.create_task(self._serve(application, stop))
            await application.wait_listening()
            try:
                yield
            except Exception as error:  # noqa: BLE001  raised again, outside of the task group
                failure = error
                serving.cancel()
            finally:
                stop.set()
        if failure is not None:
            raise failure

    def _application(self, bus: Bus, handler: CallHandler) -> Application:
        application = Application(
            bus,
            self.name,
            partial(_handle, handler),
            group=self._group,
            concurrency=self._concurrency,
            **self._limits,
        )
        application.follow_losses(bus)
        return application

    async def _serve(self, application: Application, stop: asyncio.Event) -> None:
        """Serve until `stop`, and give back the calls that have not ended in time."""
        loop, deadline = asyncio.get_running_loop(), asyncio.timeout(None)
        try:
            async with deadline, asyncio.TaskGroup() as tasks:

                async def limit() -> None:
                    await stop.wait()
                    deadline.reschedule(loop.time() + self._shutdown_seconds)

                limiting = tasks.create_task(limit())
                await application.run(stop)
                limiting.cancel()
        except TimeoutError:
            if not deadline.expired():
                raise
            _log.warning("shutdown.calls_cancelled", application=self.name)


def _way_to(url: str, name: str, access: BusAccess) -> _Way:
    """Return what connects an application; raise now what can't be used."""
    if url.strip().lower().startswith(_EMBEDDED):
        return _embedded(url, name, access)
    connect = partial(bus_at, url, name=name, **access)
    connect()
    return lambda: opened(connect())


def _embedded(url: str, name: str, access: BusAccess) -> _Way:
    try:
        from . import embedded  # noqa: PLC0415  needs the server's libraries
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "ari_proxy":
            raise  # A fault of ours.
        raise Misconfigured(
            f"ari:// needs {error.name}, which is not installed: pip install 'ari-proxy[server]'"
        ) from error
    return partial(embedded.embedded_bus, embedded.embedded_settings(url, name, **access))


async def _handle(handler: CallHandler, call: Call) -> None:
    """Run a handler, and cancel it when its call is over."""
    loop, life = asyncio.get_running_loop(), asyncio.timeout(None)

    def follow(_: object = None) -> None:
        if call.is_over and life.when() is None:
            life.reschedule(loop.time())

    try:
        async with state_kept(call), life:
            with call.following(follow):
                follow()  # It may be over already.
                await handler(call)
    except CallEnded:
        if not call.is_over:
            raise
    except TimeoutError:
        if not life.expired():
            raise
