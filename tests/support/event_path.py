"""The event path of an ingest, on a bus in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Bus, Message, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.bus.memory.durable import DurableMemoryBroker, DurableMemoryBus
from ari_proxy.ingest.parts import Surroundings, Times
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.setup.no_listener import NoListenerPolicy
from ari_proxy.ingest.setup.watchdog import ApplicationWatchdog
from ari_proxy.ingest.wiring import wire
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.records import TapRequest
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces
from tests.support.permit import SwitchedPermit
from tests.support.running import until
from tests.support.scripted_asterisk import (
    ScriptedAsterisk,
    asterisk_without_network,
    channel_event,
)

SERVER: Final = ServerId("s")
NOBODY: Final = Credentials("a", "b")
HELD_BYTES: Final = 10_000


class EventPath:
    """The parts that take frames and bindings, without a websocket."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        rest: RestClient,
        *,
        buffer_bytes: int = 64 * 1024 * 1024,
        is_durable: bool = False,
        listener_seconds: float = 60,
        proof_seconds: float = 10,
        no_listener: NoListenerPolicy = "keep",
        claim: bool = False,
        traces: Traces | None = None,
        **times: float,
    ) -> None:
        """Initialise an event path.

        Args:
            tasks: runs the set-ups.
            rest: the client of Asterisk.
            buffer_bytes: the size of the bus's buffer.
            is_durable: whether the bus has durable queues.
            listener_seconds: timeout for an application to subscribe.
            proof_seconds: between canaries.
            no_listener: policy for a call without an application.
            claim: whether calls of StasisBroadcast are offered and claimed.
            traces: off by default.
            times: overrides of `Times`.
        """
        self.broker = DurableMemoryBroker() if is_durable else MemoryBroker()
        self.bus = self.connection(buffer_bytes=buffer_bytes, registry=f"dialogs_{SERVER}")
        self.metrics = Metrics()
        self.counters = EventCounters()
        self.tap = Tap(SERVER, self.bus)
        self.traces = traces or Traces()
        self.permit = SwitchedPermit()
        ingest = {
            "held_bytes": HELD_BYTES,
            "listener_seconds": listener_seconds,
            "proof_seconds": proof_seconds,
            "no_listener": no_listener,
            "claim": claim,
        }
        parts = wire(
            Surroundings(
                settings=_settings(buffer_bytes, ingest),
                bus=self.bus,
                rest=rest,
                metrics=self.metrics,
                counters=self.counters,
                tap=self.tap,
                traces=self.traces,
            ),
            tasks,
            permit=self.permit,
            times=Times(**times),
        )
        self.parts = parts
        self.bus.set_drop_handler(parts.ledger.note)
        self.bus.set_unheard_handler(parts.ledger.note_unheard)
        self.background = parts.background
        self.dialogs = parts.dialogs
        self.router = parts.router
        self.registrations = parts.registrations
        self.ledger = parts.ledger
        self.stream = parts.stream
        self.ends = parts.ends
        self.labels = parts.labels
        self.setup = parts.setup
        self.reassignment = parts.reassignment
        self.pipeline = parts.pipeline
        self.sweeper = parts.sweeper
        self.loss_reporter = parts.loss_reporter
        self.recovery = parts.recovery
        self.unserved = parts.unserved
        self.replaced = parts.replaced
        self.canary = parts.canary

    def connection(
        self, *, buffer_bytes: int = 64 * 1024 * 1024, registry: str = ""
    ) -> MemoryBus | DurableMemoryBus:
        """Return another connection to the broker."""
        if isinstance(self.broker, DurableMemoryBroker):
            return DurableMemoryBus(self.broker, buffer_bytes=buffer_bytes, registry=registry)
        return MemoryBus(self.broker, buffer_bytes=buffer_bytes)

    def push(self, event_type: str, channel: str, *, more: str = "") -> None:
        """Push an event of a channel, as Asterisk sends it."""
        self.pipeline.on_frame(channel_event(event_type, channel, more=more).encode())

    def dialog(self, channel: str) -> Dialog:
        """Return the dialog of a channel."""
        return self.dialogs.objects.channels[channel]


def _settings(buffer_bytes: int, ingest: dict[str, Any]) -> Settings:
    return Settings.model_validate(
        {
            "server_id": SERVER,
            "applications": ["demo"],
            "bus": {"kind": "NATS", "buffer_bytes": buffer_bytes},
            "ingest": ingest,
        }
    )


class Listener:
    """An application on the bus: records the messages of each topic."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.messages: dict[str, list[Message]] = {}

    async def listen(self, topic: str) -> list[Message]:
        """Listen to a topic; return the list that its messages are added to."""
        got = self.messages.setdefault(topic, [])
        await self.bus.subscribe(topic, got.append)
        return got

    def bodies(self, topic: str) -> list[dict[str, Any]]:
        """Return the messages received on a topic."""
        return [json.loads(message.payload) for message in self.messages.get(topic, ())]

    def types(self, topic: str) -> list[str]:
        """Return the types of the events received on a topic."""
        return [body["type"] for body in self.bodies(topic)]


class Scene(EventPath):
    """The event path with an Asterisk that answers, and an application."""

    def __init__(
        self, tasks: asyncio.TaskGroup, asterisk: ScriptedAsterisk, rest: RestClient, **options: Any
    ) -> None:
        super().__init__(tasks, rest, **options)
        self.asterisk = asterisk
        self.rest = rest
        self.application = Listener(self.connection())

    def watchdog(self, silence_seconds: float) -> ApplicationWatchdog:
        """Return a watchdog of applications with a time of silence of its own."""
        return ApplicationWatchdog(
            self.bus,
            self.dialogs,
            self.stream,
            self.setup,
            self.reassignment,
            self.background,
            silence_seconds=silence_seconds,
        )

    @asynccontextmanager
    async def watching_applications(self, silence_seconds: float) -> AsyncIterator[None]:
        """Have such a watchdog look around a block."""
        watching = asyncio.create_task(self.watchdog(silence_seconds).watch())
        yield
        watching.cancel()
        await asyncio.wait([watching])

    async def watch(self) -> None:
        """Start a watcher of all dialogs."""
        await self.tap.listen()
        watch = msgspec.json.encode(TapRequest("test", 60))
        await self.application.bus.publish_to_listener(topics.tap_requests(SERVER), watch)
        await until(lambda: self.tap.is_on)


@asynccontextmanager
async def scene(**options: Any) -> AsyncIterator[Scene]:
    """Run the event path around a block; unfinished set-ups are given up at its end."""
    async with asterisk_without_network() as (asterisk, rest), asyncio.TaskGroup() as tasks:
        made = Scene(tasks, asterisk, rest, **options)
        async with opened(made.bus), opened(made.application.bus):
            await made.bus.wait_connected()
            await made.application.bus.wait_connected()
            try:
                yield made
            finally:
                await made.background.finish(0)


async def begun(path: Scene, channel: str = "c") -> str:
    """Begin a call whose application listens; returns the topic of its events."""
    if not path.application.messages.get("demo"):
        await path.application.listen("demo")
    path.push("StasisStart", channel)
    dialog = path.dialog(channel)
    await until(lambda: path.application.messages["demo"])
    await path.application.listen(dialog.topic)
    await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
    return dialog.topic
