"""go-ari-library (nvisibleinc/go-ari-library), as far as the bus sees it, on NATS and RabbitMQ.

Written from what its sources do: DUMMY goes out before anything is subscribed, commands have no
`unique_id` and are matched with what comes next, a body is put together without escaping. It knows
nothing of ari-proxy.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import aio_pika
import nats
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from nats.aio.client import Client
from nats.aio.msg import Msg

COMMAND_SECONDS: Final = 5.0

Take = Callable[[bytes], Awaitable[None]]


class MessageBus(Protocol):
    async def produce(self, topic: str) -> Take:
        """Return a publisher for a topic."""

    async def consume(self, topic: str, take: Take) -> None:
        """Pass on the messages of a topic."""


class Nats:
    def __init__(self, client: Client, queue: str) -> None:
        self._client = client
        self._queue = queue

    async def produce(self, topic: str) -> Take:
        async def publish(payload: bytes) -> None:
            await self._client.publish(topic, payload)

        return publish

    async def consume(self, topic: str, take: Take) -> None:
        async def on_message(message: Msg) -> None:
            await take(message.data)

        await self._client.subscribe(topic, queue=self._queue, cb=on_message)


class RabbitMq:
    def __init__(self, producing: AbstractConnection, consuming: AbstractConnection) -> None:
        self._producing = producing
        self._consuming = consuming

    async def produce(self, topic: str) -> Take:
        channel = await self._producing.channel()
        await channel.declare_queue(topic, durable=True)

        async def publish(payload: bytes) -> None:
            message = aio_pika.Message(
                payload,
                content_type="application/json",
                delivery_mode=aio_pika.DeliveryMode.NOT_PERSISTENT,
            )
            await channel.default_exchange.publish(message, topic, mandatory=False)

        return publish

    async def consume(self, topic: str, take: Take) -> None:
        channel = await self._consuming.channel()
        queue = await channel.declare_queue(topic, durable=True)

        async def on_message(message: AbstractIncomingMessage) -> None:
            await take(message.body)
            await message.ack()

        await queue.consume(on_message)


class AppInstance:
    """One dialog."""

    def __init__(self) -> None:
        self.types: list[str] = []
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._responses: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._publish: Take

    async def begin(self, bus: MessageBus, dialog: str) -> None:
        self._publish = await bus.produce(f"commands_{dialog}")
        await self._publish(b"DUMMY")
        await bus.consume(f"events_{dialog}", self._on_event)
        await bus.consume(f"responses_{dialog}", self._on_response)

    async def _on_event(self, payload: bytes) -> None:
        event = json.loads(payload)
        self.types.append(event["type"])
        self.events.put_nowait(json.loads(event["ari_body"]))

    async def _on_response(self, payload: bytes) -> None:
        self._responses.put_nowait(json.loads(payload))

    async def process(self, method: str, url: str, **parameters: str) -> dict[str, Any]:
        """Send a command and return the next response; an empty one if none arrives."""
        return await self.exchange(command(method, url, build_json(parameters)))

    async def exchange(self, payload: bytes) -> dict[str, Any]:
        """Like `process`, with the bytes of a command."""
        await self._publish(payload)
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await self._responses.get()
        except TimeoutError:
            return {"unique_id": "", "status_code": 0, "response_body": ""}

    async def until(self, event_type: str) -> dict[str, Any]:
        """Return the next event of a type."""
        while (event := await self.events.get())["type"] != event_type:
            pass
        return event


def build_json(parameters: dict[str, str]) -> str:
    """Return a body; theirs has its parameters in any order, and escapes nothing."""
    return "{" + ",".join(f'"{key}":"{value}"' for key, value in parameters.items()) + "}"


def command(method: str, url: str, body: str) -> bytes:
    """Return a command as Go's encoding/json writes it."""
    fields = {"unique_id": "", "url": url, "method": method, "body": body}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


class App:
    """Starts an instance for each dialog of an application."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.instances: asyncio.Queue[AppInstance] = asyncio.Queue()

    async def listen(self, application: str) -> None:
        async def on_start(payload: bytes) -> None:
            start = json.loads(payload)
            if start["application"] == application:
                instance = AppInstance()
                await instance.begin(self._bus, start["dialog_id"])
                self.instances.put_nowait(instance)

        await self._bus.consume(application, on_start)


@asynccontextmanager
async def go_ari_library(url: str, *, queue: str = "ari") -> AsyncIterator[App]:
    """Connect to NATS or RabbitMQ, as the URL says."""
    if url.startswith("nats:"):
        client = await nats.connect(url)
        try:
            yield App(Nats(client, queue))
        finally:
            await client.close()
    else:
        async with (
            await aio_pika.connect(url) as producing,
            await aio_pika.connect(url) as consuming,
        ):
            yield App(RabbitMq(producing, consuming))
