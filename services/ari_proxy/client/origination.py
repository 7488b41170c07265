"""Placing a call: from its request until it has ended, or whoever has placed it is done with it."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from ari_proxy.aio import run_until_first
from ari_proxy.lazy_logger import LazyLogger
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import AppStart
from ari_proxy.protocol.timestamps import Rfc3339Nano

from .arguments import joined
from .ari import Ari
from .ari.requests import VariableValue
from .call import Call
from .cleaning_up import CLEAN_UP_SECONDS, clean_up
from .errors import (
    CallEnded,
    ClientError,
    InvalidParameters,
    NotSent,
    OutcomeUnknown,
    Rejected,
    RequestFailed,
    Unsupported,
)
from .follower import Follower
from .legs.dial_race import DialRace
from .legs.dialling import RING_SECONDS
from .legs.following_race import until
from .listeners import Listener
from .open_calls import OpenCalls
from .server_commands import RequestingBus, ServerTransport
from .state_keeping import state_kept

_log = LazyLogger()

#: Seconds that Asterisk rings on should the application be gone.
_LONGER_SECONDS: Final = 5
#: How the reasons of the proxy's own refusals begin; Asterisk has texts in their place.
_OURS: Final = "ari_proxy."
#: Runs a coroutine in a task of its own, as long as the application runs.
Begin = Callable[[Coroutine[Any, Any, None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginateOptions:
    """How a call is placed."""

    #: Seconds until it is answered.
    timeout: float = RING_SECONDS
    #: What the called one sees, like `Ann <100>`.
    caller_id: str | None = None
    #: Names and values of variables of its channel.
    variables: Mapping[str, VariableValue] = field(default_factory=dict)
    #: What StasisStart has as its arguments.
    arguments: Sequence[str] = ()
    #: Called with each event until it is answered.
    listener: Listener | None = None


def new_start(application: str, server: ServerId) -> AppStart:
    """Return what would announce the call: it belongs to a dialog that nobody else is told of."""
    dialog = ids.new_dialog_id(server)
    channel = ids.new_object_of(dialog)
    timestamp = Rfc3339Nano().format(time.time_ns())
    return AppStart(application, dialog, server, channel, timestamp=timestamp)


class Origination:
    """A call that is placed once this is awaited, or its `async with` block begins.

    Either gives the answered call. It is hung up, with all that it has dialled, at the end of the
    block; when the wait for its answer is cancelled; and when the application ends.
    """

    def __init__(  # noqa: PLR0913  all that a placed call meets
        self,
        endpoint: str,
        options: OriginateOptions,
        *,
        start: AppStart,
        calls: OpenCalls,
        bus: RequestingBus,
        begin: Begin,
        response_seconds: float,
    ) -> None:
        """Initialise a call that is not placed yet.

        Args:
            endpoint: whom to call, like `PJSIP/200`.
            options: how.
            start: what would announce it.
            calls: follow it.
            bus: the bus that the proxy uses.
            begin: runs it, whoever waits.
            response_seconds: timeout of the request.

        Raises:
            ValueError: Asterisk can't tell of such arguments.
        """
        self._endpoint = endpoint
        self._options = options
        self._arguments = joined(options.arguments)
        self._start = start
        self._calls = calls
        server, dialog = ServerId(start.server_id), ids.DialogId(start.dialog_id)
        self._ari = Ari(ServerTransport(bus, server, dialog, response_seconds=response_seconds))
        self._begin = begin
        self._race = DialRace({start.channel_id: endpoint})
        self._is_begun = False
        #: Whether it is needed to the end of a block, even if it is over.
        self._is_block = False
        #: Set once it is answered, or is not to be any more.
        self._is_settled = asyncio.Event()
        #: Set once nobody needs it any more.
        self._is_left = asyncio.Event()
        #: Set once nothing is left of it.
        self._is_done = asyncio.Event()
        self._call: Call | None = None
        self._error: Exception | None = None

    def __await__(self) -> Generator[Any, None, Call]:
        return self._answered().__await__()

    async def __aenter__(self) -> Call:
        self._is_block = True
        return await self._answered()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    async def _answered(self) -> Call:
        if self._is_begun:
            raise RuntimeError(f"the call to {self._endpoint} is placed already")
        self._is_begun = True
        self._begin(self._run())
        try:
            await self._is_settled.wait()
        except asyncio.CancelledError:
            await self._end()
            raise
        if self._call is None:
            await self._end()
            raise self._error or CallEnded(self._start.dialog_id, "command")
        return self._call

    async def _end(self) -> None:
        self._is_left.set()
        await self._is_done.wait()

    # In a task of its own: a request that is under way has to be answered before a hang-up is sent,
    # or the hang-up might come before the channel.

    async def _run(self) -> None:
        try:
            async with self._calls.following(self._start) as call:
                await self._follow(call)
        except Exception as error:  # noqa: BLE001  of whatever kind: who waits gets it
            self._note_failure(error)
        finally:
            self._is_settled.set()
            self._is_done.set()

    def _note_failure(self, error: Exception) -> None:
        if self._is_settled.is_set():
            _log.error("origination.failed", dialog_id=self._start.dialog_id, exc_info=error)
        self._error = error

    async def _follow(self, call: Call) -> None:
        """Place the call, hand it over, and hang it up when nobody needs it."""
        try:
            with self._heard(call), Follower(call, self._race.take) as follower:
                call.announced_at = math.inf  # A list of open dialogs may be older than it.
                await self._request()
                call.announced_at = time.time()
                await self._ring(call, follower)
            async with state_kept(call, call.gap_handlers):
                self._call = call
                self._is_settled.set()
                await self._until_left(call)
        finally:
            if self._may_be_up:
                await call.give_back()

    def _heard(self, call: Call) -> AbstractContextManager[None]:
        listener = self._options.listener
        return nullcontext() if listener is None else call.following(listener)

    @property
    def _may_be_up(self) -> bool:
        return self._race.winner is not None or bool(self._race.pending)

    async def _request(self) -> None:
        options, start = self._options, self._start
        try:
            await self._ari.channels.originate(
                self._endpoint,
                app=start.application,
                app_args=self._arguments,
                caller_id=options.caller_id,
                timeout=math.ceil(options.timeout) + _LONGER_SECONDS,
                variables=options.variables or None,
                channel_id=start.channel_id,
            )
        except (RequestFailed, NotSent, Unsupported) as error:
            self._race.fail(start.channel_id)
            if _is_of_endpoint(error):
                raise Rejected([self._endpoint]) from error
            raise
        except OutcomeUnknown:
            # By the server's commands: RabbitMQ has no queue of a dialog that nothing was told of.
            hangup = self._ari.channels.hangup(start.channel_id)
            await clean_up(hangup, f"channel {start.channel_id}")
            raise

    async def _ring(self, call: Call, follower: Follower) -> None:
        """Return once it is answered.

        Raises:
            DialFailed: it is not to be answered.
        """
        await run_until_first(self._is_left.wait(), self._decide(call, follower))
        if self._race.winner is None:
            raise self._race.error()

    async def _decide(self, call: Call, follower: Follower) -> None:
        """Return once it is answered or has ended, or its time is over."""
        with suppress(TimeoutError, CallEnded):
            async with asyncio.timeout(self._options.timeout):
                await until(lambda: self._race.is_over, self._race, follower, call.ari)
        if call.is_over:
            self._race.fail(call.channel_id)

    async def _until_left(self, call: Call) -> None:
        """Wait until nobody needs it: what was made for it is ended after its own end."""
        if self._is_block:
            await self._is_left.wait()
            return
        with Follower(call, lambda _: None) as follower:
            await run_until_first(self._is_left.wait(), _until_over(call, follower))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLEAN_UP_SECONDS):
                await self._is_left.wait()


def _is_of_endpoint(error: ClientError) -> bool:
    """Return whether Asterisk has refused the endpoint, rather than the proxy the request."""
    if isinstance(error, InvalidParameters) or not isinstance(error, RequestFailed):
        return False
    return not error.reason.startswith(_OURS)


async def _until_over(call: Call, follower: Follower) -> None:
    with suppress(ClientError):
        while not call.is_over:
            await follower.news(None)
