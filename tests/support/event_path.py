"""The event path of an ingest, on a bus in memory."""

import asyncio
from typing import Final

from ari_proxy.ari.rest import Credentials, RestClient
from ari_proxy.bus.memory import MemoryBroker, MemoryBus
from ari_proxy.ingest.tally import Tally
from ari_proxy.ingest.wiring import Surroundings, wire
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
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
        self.is_permitted = True
        around = Surroundings(
            settings=_settings(buffer_bytes),
            bus=self.bus,
            rest=rest,
            metrics=self.metrics,
            tally=self.tally,
            tap=Tap(SERVER, self.bus),
            traces=Traces(),
        )
        parts = wire(around, tasks, is_permitted=lambda: self.is_permitted)
        self.bus.on_dropped = parts.ledger.note
        self.router = parts.router
        self.losses = parts.losses
        self.ledger = parts.ledger
        self.pipeline = parts.pipeline
        self.stream = parts.stream
        self.setup = parts.setup
        self.sweeper = parts.sweeper
        self.bindings = parts.bindings
        self.background = parts.background


def _settings(buffer_bytes: int) -> Settings:
    return Settings.model_validate(
        {
            "server_id": SERVER,
            "applications": ["demo"],
            "bus": {"kind": "NATS", "buffer_bytes": buffer_bytes},
            "ingest": {"held_bytes": HELD_BYTES, "no_listener": "keep", "listener_seconds": 1},
        }
    )
