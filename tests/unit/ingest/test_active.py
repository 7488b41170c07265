"""How an active period ends; with a clock that does not wait."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection

import pytest

from ari_proxy.ari.client import Answer
from ari_proxy.ari.message_connection import MessageConnection
from ari_proxy.bus.base import opened
from ari_proxy.bus.memory.bus import MemoryBroker
from ari_proxy.ingest.handover.giver import PAUSE_SECONDS
from ari_proxy.ingest.lease.base import Lease, Unshared
from ari_proxy.ingest.parts import Surroundings, Times
from ari_proxy.ingest.service import IngestService
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import load
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces
from ari_proxy.testing import VirtualTimeLoop
from tests.support.held_bus import FullBus
from tests.support.scripted_asterisk import channel_event

SERVER = ServerId("s")
#: Over soon after a final ingest has waited for another one.
DRAIN_SECONDS = Times().final_seconds + 0.5


class Away:
    """An Asterisk that accepts no websocket, and has nothing that is asked for."""

    applications = ("demo",)
    untrusted = ""
    in_flight = 0

    def __init__(self, *, is_queued: bool) -> None:
        self.is_queued = is_queued

    async def connections(self) -> AsyncGenerator[MessageConnection, None]:
        await asyncio.Event().wait()
        return
        yield

    def end(self) -> None: ...

    def leave(self, applications: Collection[str]) -> None: ...

    async def read(self, connection: MessageConnection, take: Callable[[bytes], None]) -> None: ...

    async def request(
        self,
        method: str,
        url: str,
        body: str = "",
        *,
        timeout_seconds: float | None = None,
        max_bytes: int = 0,
    ) -> Answer:
        del method, url, body, timeout_seconds, max_bytes
        return Answer(404, "")


class Shared(Unshared):
    """A lease that another ingest might take, and none does."""

    is_shared = True


async def end_of_a_busy_period(lease: Lease, *, is_queued: bool, final: bool) -> float:
    """Return the seconds from the signal to the end.

    A call waits for its application, and frames for room on the bus: neither comes.
    """
    loop = asyncio.get_running_loop()
    settings = load(
        server_id=SERVER,
        applications=("demo",),
        runtime={"drain_seconds": DRAIN_SECONDS},
        ingest={"final": final, "listener_seconds": 600},
    )
    bus, asterisk, stop = FullBus(MemoryBroker()), Away(is_queued=is_queued), asyncio.Event()
    async with opened(bus), asyncio.TaskGroup() as tasks:
        around = Surroundings(
            settings=settings,
            bus=bus,
            rest=asterisk,
            metrics=Metrics(),
            tap=Tap(SERVER, bus),
            traces=Traces(),
        )
        ingest = IngestService(around, asterisk, lease)
        running = tasks.create_task(ingest.run(stop))
        await bus.wait_connected()
        await asyncio.sleep(1)  # of that clock: it has begun
        active = ingest._activity._active
        assert active is not None
        active._parts.pipeline.on_frame(channel_event("StasisStart", "c").encode())
        active._parts.frame_drain.buffer.close()
        active._parts.frame_drain.buffer.put(channel_event("ChannelDtmfReceived", "c").encode())
        bus.is_full = True
        begun_at = loop.time()
        stop.set()
        await running
        ended_at = loop.time()
        bus.is_full = False
    return ended_at - begun_at


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("is_queued", [False, True], ids=["inbound", "outbound"])
@pytest.mark.parametrize("lease", [Unshared(), Shared()], ids=["unshared", "shared"])
def test_all_that_is_left_to_do_has_one_deadline(
    lease: Lease, *, is_queued: bool, final: bool
) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        seconds = runner.run(end_of_a_busy_period(lease, is_queued=is_queued, final=final))

    # What begins only then has a moment each.
    assert DRAIN_SECONDS - 1 < seconds < DRAIN_SECONDS + 2 * PAUSE_SECONDS
