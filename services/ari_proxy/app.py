"""The front door for applications: `App` serves a Stasis application's calls, and places some.

app = App("demo", "nats://127.0.0.1:4222")

@app.call
async def serve(call: Call) -> None:
    await call.ari.channels.answer(call.channel_id)

app.run()
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from types import TracebackType
from typing import Final, Self, Unpack

from . import runtime
from .bus.base import Bus
from .client.application import Application
from .client.ari.requests import VariableValue
from .client.bus_at import BusAccess
from .client.call import GIVE_BACK_SECONDS, RESPONSE_SECONDS
from .client.errors import Misconfigured
from .client.handling import CallHandler, handle
from .client.legs.dialling import RING_SECONDS
from .client.listeners import Listener
from .client.origination import OriginateOptions, Origination
from .connecting import way_to
from .lazy_logger import LazyLogger
from .protocol import ids
from .protocol.errors import IllegalSubjectTokenError

_log = LazyLogger()

#: Seconds for open calls to end once the process shall; with `GIVE_BACK_SECONDS` within the 30 that
#: Kubernetes leaves a pod.
SHUTDOWN_SECONDS: Final = 24.0


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
        self._way = way_to(url, name, access)
        self._limits = {
            "response_seconds": response_seconds,
            "give_back_seconds": give_back_seconds,
        }
        self._concurrency = concurrency
        self._group = group
        self._shutdown_seconds = shutdown_seconds
        self._handler: CallHandler | None = None
        self._recovering: CallHandler | None = None
        self._running: AbstractAsyncContextManager[None] | None = None
        #: While it serves.
        self._application: Application | None = None

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

    def recovered(self, handler: CallHandler) -> CallHandler:
        """Register the function that handles a call whose process is gone, in place of `call`'s.

        Such a call comes within 20 s of its process's end, to any process of the application that
        has such a handler; without one it goes back to the dialplan after `ingest.silence_seconds`.
        Its first event is a StasisStart with the channel as it is now, then comes a ProxyGap.

        Raises:
            Misconfigured: there is a handler already.
        """
        if self._recovering is not None:
            raise Misconfigured(f"{self!r} has a handler of recovered calls already")
        self._recovering = handler
        return handler

    def originate(  # noqa: PLR0913  by name, each with a default
        self,
        endpoint: str,
        *,
        server: str | None = None,
        timeout: float = RING_SECONDS,
        caller_id: str | None = None,
        variables: Mapping[str, VariableValue] | None = None,
        arguments: Sequence[str] = (),
        listener: Listener | None = None,
    ) -> Origination:
        """Place a call; its events come to this process alone.

        async with app.originate("PJSIP/200", timeout=20) as call:
            await call.play("sound:hello-world")

        At the end of the block it is hung up, with all that it has dialled. Without a block,
        `call = await app.originate(…)`, it goes on until somebody hangs up. Either way nothing of
        it is left if nobody answers, if the wait is cancelled, or once the App has ended. It is
        none of the calls that `concurrency` limits.

        Args:
            endpoint: whom to call, like `PJSIP/200`.
            server: the `server_id` of the ari-proxy whose Asterisk places it, like
                `call.server_id`; `asterisk` by default, as in ari-proxy's settings.
            timeout: seconds until it is answered.
            caller_id: what the called one sees, like `Ann <100>`.
            variables: names and values of variables of its channel.
            arguments: what its StasisStart has as `args`; not a single empty one.
            listener: called with each event until it is answered, such as a ChannelStateChange to
                Ringing; must not block.

        Raises:
            DialFailed: Busy, NoAnswer, or Rejected with the cause; when it is awaited, as all that
                follows.
            NotAllowed: the proxy's policy forbids it.
            InvalidParameters: Asterisk does not take such a request.
            NotSent: Asterisk has not got the request; it may be placed again.
            OutcomeUnknown: Asterisk may have got it; it is hung up.
            Misconfigured: the App does not run, or there can be no such server.
            ValueError: the only argument is empty, at once.
        """
        if self._application is None:
            raise Misconfigured(
                f"{self!r} does not run: place calls in `async with app:`, or in a handler"
            )
        try:
            owner = ids.server_id(server or self._way.server)
        except IllegalSubjectTokenError as error:
            raise Misconfigured(str(error)) from error
        options = OriginateOptions(
            timeout=timeout,
            caller_id=caller_id,
            variables=variables or {},
            arguments=arguments,
            listener=listener,
        )
        return self._application.originate(endpoint, options, server=owner)

    @contextmanager
    def at(self, url: str, *, name: str = "", **access: Unpack[BusAccess]) -> Iterator[None]:
        """Be somewhere else during a block, as in a test; it must not run yet.

        Args:
            url: as of the App itself.
            name: of the Stasis application there; the same by default.
            access: account and TLS.

        Raises:
            BusSettingsError: the URL of the bus, or what `access` says, can't be used.
            Misconfigured: the App runs, the URL of an Asterisk can't be used, or what it needs is
                not installed.
        """
        if self._application is not None:
            raise Misconfigured(f"{self!r} runs: it can be elsewhere only before")
        former = self.name, self._way
        self.name = name or self.name
        self._way = way_to(url, self.name, access)
        try:
            yield
        finally:
            self.name, self._way = former

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
        async with self._way.connected() as bus:
            await self._serve(self._made(bus, handler), stop or asyncio.Event())

    async def __aenter__(self) -> Self:
        """Begin to serve; on return the application has subscribed to its calls.

        Without a handler it takes no calls: it only places some.
        """
        self._running = self._serving(self._handler)
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
    async def _serving(self, handler: CallHandler | None) -> AsyncIterator[None]:
        failure: Exception | None = None
        stop = asyncio.Event()
        async with self._way.connected() as bus, asyncio.TaskGroup() as tasks:
            if reason := await bus.wait_tried():
                _log.warning("bus.away", application=self.name, error=reason)
            application = self._made(bus, handler)
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

    def _made(self, bus: Bus, handler: CallHandler | None) -> Application:
        application = Application(
            bus,
            self.name,
            handler and partial(handle, handler),
            recover=self._recovering and partial(handle, self._recovering),
            group=self._group,
            concurrency=self._concurrency,
            **self._limits,
        )
        application.follow_losses(bus)
        return application

    async def _serve(self, application: Application, stop: asyncio.Event) -> None:
        """Serve until `stop`, and give back the calls that have not ended in time."""
        loop, deadline = asyncio.get_running_loop(), asyncio.timeout(None)
        self._application = application
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
        finally:
            self._application = None
