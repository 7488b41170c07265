"""CPU cost of a message with aio-pika, with aiormq below it, and on our channels of aiormq.

    .venv/bin/python bench/amqp.py amqp://guest:guest@127.0.0.1:5672/

Publishes and takes the same messages three ways on one queue, one after another: microseconds of
this process's CPU a message, to be compared within one run.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aio_pika
import aiormq
import uvloop
from pamqp.commands import Basic

from ari_proxy.bus.rabbitmq import frames
from ari_proxy.bus.rabbitmq.connection import AmqpConnection, Login
from ari_proxy.bus.rabbitmq.frames import Confirmation
from ari_proxy.bus.rabbitmq.messages import Incoming, Returned
from ari_proxy.bus.rabbitmq.publishing_channels import PublishingChannel

QUEUE = "ari-proxy-bench"
MESSAGES = 20_000
WINDOW = 256
BODY = b"x" * 700
PROPERTIES = Basic.Properties(content_type="application/json", delivery_mode=1)
#: As with `bus.persistent`.
PERSISTENT = Basic.Properties(content_type="application/json", delivery_mode=2)


async def measured(name: str, work: Callable[[], Awaitable[None]]) -> None:
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await work()
    after, elapsed = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - begun
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{name:20} {cpu / MESSAGES * 1e6:6.1f} us {MESSAGES / elapsed:9.0f} messages/s")


async def in_windows(publish: Callable[[], Awaitable[object]]) -> None:
    for start in range(0, MESSAGES, WINDOW):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(WINDOW, MESSAGES - start)):
                tasks.create_task(publish())  # type: ignore[arg-type]  # they are coroutines


async def with_aio_pika(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        message = aio_pika.Message(BODY, content_type="application/json", delivery_mode=1)
        exchange = channel.default_exchange
        await measured(
            "aio-pika publish", lambda: in_windows(lambda: exchange.publish(message, QUEUE))
        )


async def with_aiormq(url: str) -> None:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_purge(QUEUE)
        await measured(
            "aiormq publish",
            lambda: in_windows(
                lambda: channel.basic_publish(BODY, routing_key=QUEUE, properties=PROPERTIES)
            ),
        )
        done = asyncio.Event()
        left = MESSAGES

        async def take(_message: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set()

        async def consume() -> None:
            await channel.basic_consume(QUEUE, take, no_ack=True)
            await done.wait()

        await measured("aiormq deliver", consume)


class Confirmed:
    """How many messages RabbitMQ has confirmed."""

    def __init__(self) -> None:
        self.count = 0
        self.progress = asyncio.Event()

    def handle_confirmation(self, confirmation: Confirmation) -> None:
        self.count = max(self.count, confirmation.tag)
        self.progress.set()

    def handle_return(self, returned: Returned) -> None:
        raise AssertionError(returned)


def publishing_in_windows(
    publishing: PublishingChannel, properties: Basic.Properties
) -> Callable[[], Awaitable[None]]:
    """Return what publishes all messages on a new channel, some of them unconfirmed."""
    confirmed = Confirmed()
    number, max_body = publishing.number, publishing.max_content_size
    method = frames.publish_method(number, "", QUEUE, mandatory=True)
    packed = properties.marshal()

    async def publish() -> None:
        sent = 0
        while confirmed.count < MESSAGES:
            room = min(WINDOW - (sent - confirmed.count), MESSAGES - sent)
            contents = (frames.content(number, packed, BODY, max_body) for _ in range(room))
            publishing.publish_batch(b"".join(method + content for content in contents), room)
            sent += room
            confirmed.progress.clear()
            await confirmed.progress.wait()

    publishing.watch(confirmed)
    return publish


async def with_ours(url: str) -> None:
    parts = urlsplit(url)
    login = Login(
        host=parts.hostname or "",
        port=parts.port or 5672,
        user="guest",
        password="guest",  # noqa: S106
    )
    connection = await AmqpConnection.open(login)
    publishing = await connection.open_publishing_channel()
    channel = await connection.open_channel()
    await measured("ours, persistent", publishing_in_windows(publishing, PERSISTENT))
    await channel.queue_purge(QUEUE)
    publishing = await connection.open_publishing_channel()
    await measured("ours publish", publishing_in_windows(publishing, PROPERTIES))
    done = asyncio.Event()

    def take(incoming: Incoming) -> None:
        channel.acknowledge_later(incoming.delivery.tag)
        if incoming.delivery.tag == MESSAGES:
            done.set()

    async def consume() -> None:
        await channel.consume(QUEUE, take, tag="bench")
        await done.wait()

    await measured("ours deliver and ack", consume)
    await channel.queue_delete(QUEUE)
    await connection.end()


async def main(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        await (await connection.channel()).declare_queue(QUEUE, durable=True)
    await with_aio_pika(url)
    await with_aiormq(url)
    await with_ours(url)


uvloop.run(main(sys.argv[1]))
