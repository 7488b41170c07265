"""ari4java's fork for go-ari-proxy (bentito/ari4java, branch issue_82), as far as the bus sees it.

Written from what its GoAriRabbitMQClient does: exchanges of its own, one routing key for all, a
channel and a consumer more with each command, no `unique_id`, no query, and a body that is the text
of a Java list. It knows nothing of ari-proxy.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue

COMMAND_SECONDS: Final = 10.0
_KEY: Final = "standard-key"


class GoAriRabbitMqClient:
    """Serves one dialog at a time, the one announced last."""

    def __init__(self, connection: AbstractConnection) -> None:
        self.types: list[str] = []
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._connection = connection
        self._dialog = ""
        self._response: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def listen(self, application: str) -> None:
        channel = await self._connection.channel()
        queue = await _bound(channel, "AppConsumer", application)

        async def on_start(message: AbstractIncomingMessage) -> None:
            self._dialog = json.loads(message.body)["dialog_id"]
            events = await _bound(channel, "AppEventConsumer", f"events_{self._dialog}")
            await events.consume(self._on_event, no_ack=True)

        await queue.consume(on_start, no_ack=True)

    async def _on_event(self, message: AbstractIncomingMessage) -> None:
        event = json.loads(message.body)
        self.types.append(event["type"])
        self.events.put_nowait(json.loads(event["ari_body"]))

    async def _on_response(self, message: AbstractIncomingMessage) -> None:
        if not self._response.done():
            self._response.set_result(json.loads(message.body)["response_body"])

    async def action(self, method: str, uri: str) -> str:
        """Send a command and return the body of the next response, or '[]' without one."""
        self._response = asyncio.get_running_loop().create_future()
        channel = await self._connection.channel()  # Never closed.
        responses = await _bound(channel, "AppResponseConsumer", f"responses_{self._dialog}")
        await responses.consume(self._on_response, no_ack=True)
        await _bound(channel, "AppCommandProducer", f"commands_{self._dialog}")
        exchange = await channel.get_exchange("AppCommandProducer", ensure=False)
        message = aio_pika.Message(
            command(method, uri),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            priority=1,
            user_id="guest",
        )
        await exchange.publish(message, _KEY, mandatory=False)
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await self._response
        except TimeoutError:
            return "[]"

    async def until(self, event_type: str) -> dict[str, Any]:
        """Return the next event of a type."""
        while (event := await self.events.get())["type"] != event_type:
            pass
        return event


def command(method: str, uri: str) -> bytes:
    """Return a command as Jackson writes it."""
    fields = {"unique_id": "", "url": uri, "method": method, "body": "[]"}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


async def _bound(channel: AbstractChannel, exchange: str, queue: str) -> AbstractQueue:
    await channel.declare_exchange(exchange, aio_pika.ExchangeType.DIRECT, durable=True)
    declared = await channel.declare_queue(queue, durable=True)
    await declared.bind(exchange, _KEY)
    return declared


@asynccontextmanager
async def ari4java(url: str) -> AsyncIterator[GoAriRabbitMqClient]:
    async with await aio_pika.connect(url) as connection:
        yield GoAriRabbitMqClient(connection)
