"""The event path of an ingest, on a bus in memory."""

import asyncio
from typing import Final

from ari_proxy.ari.rest import Credentials, RestClient
from ari_proxy.bus.memory import MemoryBroker, MemoryBus
from ari_proxy.ingest.bindings import Bindings
from ari_proxy.ingest.losses import Losses
from ari_proxy.ingest.pipeline import Pipeline
from ari_proxy.ingest.queues import DialogQueues
from ari_proxy.ingest.router import Router
from ari_proxy.ingest.set_up import SetUp
from ari_proxy.ingest.tally import Tally
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces

SERVER: Final = ServerId("s")
NOBODY: Final = Credentials("a", "b")
HELD_BYTES: Final = 10_000


class EventPath:
    """The parts that take frames and bindings, without a websocket."""

    def __init__(
        self, tasks: asyncio.TaskGroup, rest: RestClient, *, buffer_bytes: int = 64 * 1024 * 1024
    ) -> None:
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker, buffer_bytes=buffer_bytes)
        self.metrics = Metrics()
        self.tally = Tally()
        self.router = Router(SERVER, grace_seconds=10)
        self.is_permitted = True
        self.losses = Losses(
            self.bus,
            self.router,
            buffer_bytes=buffer_bytes,
            is_permitted=lambda: self.is_permitted,
        )
        self.bus.on_dropped = self.losses.note
        set_up = SetUp(self.bus, rest, SERVER, listener_seconds=60, no_listener="keep")
        self.pipeline = Pipeline(
            SERVER,
            self.router,
            self.bus,
            set_up=set_up,
            queues=DialogQueues(self.bus, self.router, set_up, grace_seconds=10),
            tasks=tasks,
            metrics=self.metrics,
            held_bytes=HELD_BYTES,
            on_lost=self.losses.note,
            tally=self.tally,
            tap=Tap(SERVER, self.bus),
            traces=Traces(),
        )
        self.bindings = Bindings(self.bus, self.router)
