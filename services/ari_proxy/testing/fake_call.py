"""Calls without Asterisk and without a bus: for tests of a handler, or of who places calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from ari_proxy.app import App
from ari_proxy.bus.base import Bus, opened
from ari_proxy.bus.memory.bus import MemoryBroker
from ari_proxy.bus.memory.named import named_broker
from ari_proxy.client.bus_at import bus_at
from ari_proxy.client.call import Call
from ari_proxy.protocol import ids
from ari_proxy.simulator.media import PLAYBACK_SECONDS

from . import target
from .asterisk_scene import AsteriskScene
from .endpoints import DEADLINE_SECONDS, Endpoints
from .handler_run import CallHandler
from .interruption import Interruption, nothing
from .phone import Phone
from .proxy import APPLICATION
from .scene import Scene, SimulatedScene

#: Seconds for an expectation on a real Asterisk, which may be on a busy machine.
ASTERISK_DEADLINE_SECONDS: Final = 20.0
#: What the caller has dialled, unless a test says otherwise: Asterisk's name for "start".
EXTENSION: Final = "s"


class _EndedError(Exception):
    """Cancels what is still running when the test of a call has ended."""


@asynccontextmanager
async def fake_call(
    handler: CallHandler,
    *,
    caller: str = "100",
    extension: str = EXTENSION,
    playback_seconds: float = PLAYBACK_SECONDS,
    deadline_seconds: float | None = None,
    interruption: Interruption = nothing,
) -> AsyncIterator[Phone]:
    """Run a handler for one call, and yield the caller's phone.

    The handler meets the proxy's own code and a simulated Asterisk, in this process; or a real one,
    with pytest's option `--ari-asterisk`. At the end of
    the block it has to end, and nothing may be left (`Phone.assert_nothing_left`); if it has
    raised, so does the block.

    Args:
        handler: under test.
        caller: the number of the caller.
        extension: the extension that was called.
        playback_seconds: the length of every sound.
        deadline_seconds: for each expectation, and for the end of the block; by default 5, and 20
            on a real Asterisk. This and all other durations are on the event loop's clock.
        interruption: awaited before Asterisk gets a request of the handler, and before its answer.

    Raises:
        UnmetExpectationError: something is left at the end of the block.
        NotOnAsteriskError: pytest runs on a real Asterisk, and the block plans what that can't do.
        Exception: what the handler or the block has raised.
    """
    async with _staged(
        handler,
        _serving,
        playback_seconds=playback_seconds,
        deadline_seconds=deadline_seconds,
        interruption=interruption,
    ) as scene:
        await scene.line.call(caller=caller, extension=extension)
        # Only when the block waits: what it plans at its beginning holds for the whole call.
        asyncio.get_running_loop().call_soon(scene.run.begin)
        yield scene.phone
        await scene.phone.finish()


@asynccontextmanager
async def fake_endpoints(
    app: App,
    *,
    playback_seconds: float = PLAYBACK_SECONDS,
    deadline_seconds: float | None = None,
) -> AsyncIterator[Endpoints]:
    """Have an App place its calls to endpoints that do what a test plans, during a block.

    The App, which must not run before, meets the proxy's own code and a simulated Asterisk, in this
    process; or a real one, with pytest's option `--ari-asterisk`. At the end of the block nothing
    may be left.

    Args:
        app: under test: what runs it in the block, runs it there.
        playback_seconds: the length of every sound.
        deadline_seconds: for each expectation, and for the end of the block; by default 5, and 20
            on a real Asterisk.

    Raises:
        UnmetExpectationError: something is left at the end of the block.
        Misconfigured: the App runs.
        Exception: what the block has raised.
    """
    async with _staged(
        _nobody_calls,
        partial(_moved, app),
        playback_seconds=playback_seconds,
        deadline_seconds=deadline_seconds,
        interruption=nothing,
    ) as scene:
        yield scene.endpoints
        await scene.endpoints.finish()


async def _nobody_calls(_: Call) -> None:
    """Handle no call: only the App places some."""


@asynccontextmanager
async def _staged(
    handler: CallHandler,
    surround: Callable[[str, Scene], AbstractAsyncContextManager[None]],
    *,
    playback_seconds: float,
    deadline_seconds: float | None,
    interruption: Interruption,
) -> AsyncIterator[Scene]:
    """Run the parts of calls around a block.

    Args:
        handler: of a call from outside.
        surround: runs, around the block, what is between the bus at a URL and the calls.
        playback_seconds: see `fake_call`, as all that follows.
        deadline_seconds: see there.
        interruption: see there.
    """
    failure: BaseException | None = None
    name = f"fake-call-{ids.random_id(ids.TOKEN_LENGTH)}"
    url, broker = f"memory://{name}", named_broker(name)
    async with AsyncExitStack() as stack:
        proxy_bus = await stack.enter_async_context(opened(bus_at(url, name=APPLICATION)))
        tasks = await stack.enter_async_context(_cancelled_at_end())
        scene = _scene(
            tasks,
            proxy_bus,
            broker,
            handler,
            playback_seconds=playback_seconds,
            deadline_seconds=deadline_seconds,
            interruption=interruption,
        )
        await scene.start(stack)
        await stack.enter_async_context(surround(url, scene))
        try:
            yield scene
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  raised again, outside of the task groups
            failure = error
    if failure is not None:
        raise failure


@asynccontextmanager
async def _moved(app: App, url: str, scene: Scene) -> AsyncIterator[None]:
    """Have an App be there around a block."""
    with app.at(url, name=scene.application):
        yield


def _scene(  # noqa: PLR0913  all that a call consists of
    tasks: asyncio.TaskGroup,
    bus: Bus,
    broker: MemoryBroker,
    handler: CallHandler,
    *,
    playback_seconds: float,
    deadline_seconds: float | None,
    interruption: Interruption,
) -> Scene:
    """Return the parts of a call; on a real Asterisk sounds are as long as they are."""
    if url := target.url():
        return AsteriskScene(
            tasks,
            bus,
            broker,
            handler,
            url=url,
            deadline_seconds=deadline_seconds or ASTERISK_DEADLINE_SECONDS,
            interruption=interruption,
        )
    return SimulatedScene(
        tasks,
        bus,
        broker,
        handler,
        playback_seconds=playback_seconds,
        deadline_seconds=deadline_seconds or DEADLINE_SECONDS,
        interruption=interruption,
    )


@asynccontextmanager
async def _serving(url: str, scene: Scene) -> AsyncIterator[None]:
    """Run the application around a block; a handler that still runs is cancelled at its end."""
    app = App(scene.application, url)
    app.call(scene.run.serve)
    try:
        async with app:
            yield
            raise _EndedError
    except _EndedError:
        pass


@asynccontextmanager
async def _cancelled_at_end() -> AsyncIterator[asyncio.TaskGroup]:
    """Run tasks around a block, and cancel at its end those that still run."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            raise _EndedError
    except* _EndedError:
        pass
