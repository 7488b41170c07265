"""AsterNET.ARI 1.2 with AsterNET.ARI.Middleware.Queue.RabbitMQ, as far as the bus sees it.

Written from what its sources do (skrusty/AsterNET.ARI at d80a8ae and later, whose paths have no
leading slash; skrusty/AsterNET-ARI-Middleware-Queue at 9945f12, which has a provider for
RabbitMQ only). It knows nothing of ari-proxy.
"""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage, AbstractQueue

#: Theirs is 1 s; a test's machine may be busy.
ACTION_SECONDS: Final = 20.0
#: Its default.
ACTIVE_DIALOGUE_LIMIT: Final = 50
#: The forms that .NET's Guid.Parse takes, but for the one in hexadecimal numbers.
_GUID: Final = re.compile(
    r"[{(]?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}[)}]?", re.IGNORECASE
)


class DialogueClosedError(Exception):
    """The queue of a dialogue's commands does not exist."""


class _Consumer:
    """Has a connection of its own, and declares nothing."""

    def __init__(self, connection: AbstractConnection, queue: AbstractQueue) -> None:
        self._connection = connection
        self._queue = queue
        self._tag = ""
        self._turn = asyncio.Lock()

    @classmethod
    async def of(cls, url: str, name: str) -> "_Consumer":
        connection = await aio_pika.connect(url)
        channel = await connection.channel()
        return cls(connection, await channel.get_queue(name, ensure=False))

    async def read(self, take: Callable[[str], Awaitable[str]]) -> None:
        """Pass on messages one after another; `take` decides on each.

        A message whose handling raises is neither acknowledged nor rejected.
        """

        async def on_message(message: AbstractIncomingMessage) -> None:
            async with self._turn:
                try:
                    verdict = await take(message.body.decode("ascii", "replace"))
                except Exception:  # noqa: BLE001  as theirs, that logs it in debug builds only
                    return
            if verdict == "accept":
                await message.ack()
            else:
                await message.reject(requeue=verdict == "reject with requeue")

        self._tag = await self._queue.consume(on_message)

    async def stop_reading(self) -> None:
        await self._queue.cancel(self._tag)

    async def terminate(self) -> None:
        await self.stop_reading()
        await self._connection.close()


class _Producer:
    """Has a connection of its own, and declares its queue."""

    def __init__(self, connection: AbstractConnection, channel: Any, name: str) -> None:
        self._connection = connection
        self._channel = channel
        self._name = name

    @classmethod
    async def of(cls, url: str, name: str) -> "_Producer":
        connection = await aio_pika.connect(url)
        channel = await (await connection.channel()).get_underlay_channel()
        await channel.queue_declare(name, durable=True)
        return cls(connection, channel, name)

    async def push(self, text: str) -> None:
        try:
            await self._channel.queue_declare(self._name, passive=True)
        except aiormq.exceptions.AMQPError as error:
            raise DialogueClosedError(self._name) from error
        properties = aiormq.spec.Basic.Properties(delivery_mode=None)
        await self._channel.basic_publish(
            text.encode(), routing_key=self._name, properties=properties
        )

    async def close(self) -> None:
        await self._connection.close()


class BrokerSession:
    """One dialogue."""

    def __init__(
        self,
        client: "AriBrokerClient",
        dialogue: str,
        events: _Consumer,
        responses: _Consumer,
        commands: _Producer,
    ) -> None:
        self.dialogue = dialogue
        self.types: list[str] = []
        self.arrived: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._client = client
        self._events = events
        self._responses = responses
        self._commands = commands
        self._open: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def start(self) -> None:
        await self._events.read(self._on_event)
        await self._responses.read(self._on_response)

    async def _on_event(self, message: str) -> str:
        event = json.loads(message)
        self.types.append(event["type"])
        self.arrived.put_nowait(json.loads(event["ari_body"]))
        return "accept"

    async def _on_response(self, message: str) -> str:
        response = json.loads(message)
        if response["unique_id"] not in self._open:
            return "reject"
        self._open[response["unique_id"]].set_result(response)
        return "accept"

    async def execute(self, method: str, path: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its response, or raise TimeoutError."""
        unique_id = uuid.uuid4().hex
        self._open[unique_id] = asyncio.get_running_loop().create_future()
        await self._commands.push(command(unique_id, method, path, **parameters))
        async with asyncio.timeout(ACTION_SECONDS):
            return await self._open[unique_id]

    async def until(self, event_type: str) -> dict[str, Any]:
        """Return the next event of a type."""
        while (event := await self.arrived.get())["type"] != event_type:
            pass
        return event

    async def close_dialogue(self) -> None:
        await self._events.terminate()
        await self._commands.close()
        await self._responses.terminate()
        del self._client.active[self.dialogue]


def command(unique_id: str, method: str, path: str, **parameters: Any) -> str:
    """Return a command as Newtonsoft.Json writes it."""
    body = json.dumps(parameters, separators=(",", ":"), ensure_ascii=False)
    fields = {"unique_id": unique_id, "url": path, "method": method, "body": body}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


class AriBrokerClient:
    """Accepts dialogues up to a limit and rejects the others with requeue."""

    def __init__(
        self,
        url: str,
        on_new_dialogue: Callable[[BrokerSession], None],
        limit: int = ACTIVE_DIALOGUE_LIMIT,
    ) -> None:
        self.active: dict[str, BrokerSession] = {}
        self.rejections = 0
        self.most = 0
        self._url = url
        self._on_new_dialogue = on_new_dialogue
        self._limit = limit

    async def _on_app_start(self, message: str) -> str:
        dialogue = json.loads(message)["dialog_id"]
        if len(self.active) >= self._limit:
            if not _GUID.fullmatch(dialogue):
                raise ValueError(f"{dialogue} is no Guid")  # Before it rejects.
            self.rejections += 1
            return "reject with requeue"
        session = BrokerSession(
            self,
            dialogue,
            await _Consumer.of(self._url, f"events_{dialogue}"),
            await _Consumer.of(self._url, f"responses_{dialogue}"),
            await _Producer.of(self._url, f"commands_{dialogue}"),
        )
        self.active[dialogue] = session
        self.most = max(self.most, len(self.active))
        self._on_new_dialogue(session)
        await session.start()
        return "accept"

    @asynccontextmanager
    async def connected(self, application: str) -> AsyncIterator["AriBrokerClient"]:
        """Read an application's queue around a block; the queue must exist."""
        consumer = await _Consumer.of(self._url, application)
        await consumer.read(self._on_app_start)
        try:
            yield self
        finally:
            for session in tuple(self.active.values()):
                await session.close_dialogue()
            await consumer.terminate()
