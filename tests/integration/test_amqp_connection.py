"""The connection to RabbitMQ, its channels, and what becomes of them when something goes wrong."""

import asyncio
import logging
import secrets
import ssl
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pamqp import frame as codec
from pamqp.commands import Basic, Queue
from pamqp.header import ContentHeader

from ari_proxy.bus.faults import Faults
from ari_proxy.bus.rabbitmq import frames
from ari_proxy.bus.rabbitmq.channel import AmqpChannel
from ari_proxy.bus.rabbitmq.connection import CHANNELS, AmqpConnection, Login
from ari_proxy.bus.rabbitmq.errors import (
    AmqpError,
    ChannelAbortedError,
    ChannelClosedError,
    ConnectionLostError,
    UnconfirmedError,
)
from ari_proxy.bus.rabbitmq.messages import Incoming
from ari_proxy.bus.rabbitmq.session import Session
from tests.support.link import Link
from tests.support.rabbitmq import RabbitMqServer
from tests.support.running import until

PASSWORD = "p@ss:/%?#+é word"
#: No test declares it; an application's queue stays after the test of its calls.
NO_QUEUE = "no-such-queue"


def login(server: RabbitMqServer | Link, **changes: object) -> Login:
    options: dict[str, object] = {"host": "127.0.0.1", "port": server.port}
    options |= {"user": "guest", "password": "guest"}
    return Login(**(options | changes))  # type: ignore[arg-type]  # They fit.


@asynccontextmanager
async def connected(
    server: RabbitMqServer | Link, **changes: object
) -> AsyncIterator[AmqpConnection]:
    connection = await AmqpConnection.open(login(server, **changes))
    try:
        yield connection
    finally:
        await connection.end()


# Channels


async def test_channel_beyond_the_last_number_is_an_error_and_costs_nothing(
    rabbitmq_server: RabbitMqServer,
) -> None:
    async with connected(rabbitmq_server) as connection:
        channels = [await connection.open_channel() for _ in range(CHANNELS)]
        with pytest.raises(AmqpError, match=f"{CHANNELS} channels") as caught:
            await connection.open_channel()
        await channels[7].release()
        again = await connection.open_channel()

        assert not isinstance(caught.value, ConnectionLostError)
        assert again.number == channels[7].number
        assert not connection.lost.done()


async def test_connection_has_as_many_channels_as_rabbitmq_allows(
    rabbitmq_server: RabbitMqServer,
) -> None:
    allow = "application:set_env(rabbit, channel_max, {})."
    await asyncio.to_thread(rabbitmq_server.control, "eval", allow.format(5))
    try:
        async with connected(rabbitmq_server) as connection:
            for _ in range(5):
                await connection.open_channel()
            with pytest.raises(AmqpError, match="5 channels"):
                await connection.open_channel()

            assert not connection.lost.done()
        before = asyncio.all_tasks()
        with pytest.raises(AmqpError, match="5 channels"):
            await Session.open(login(rabbitmq_server), Faults())

        assert asyncio.all_tasks() == before
    finally:
        await asyncio.to_thread(rabbitmq_server.control, "eval", allow.format(2047))


@pytest.mark.parametrize("steps", range(12))
async def test_opening_and_releasing_may_be_cancelled_at_any_moment(
    rabbitmq_server: RabbitMqServer, steps: int
) -> None:
    """No number is lost by that, and none is used twice."""

    async def open_and_release(connection: AmqpConnection) -> None:
        await (await connection.open_channel()).release()

    async with connected(rabbitmq_server) as connection:
        for _ in range(2 * CHANNELS):
            task = asyncio.create_task(open_and_release(connection))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            other = await connection.open_channel()
            await other.queue_declare("", exclusive=True)
            await other.release()
        await until(lambda: not connection.channels)

        assert not connection.lost.done()


async def test_request_of_a_caller_that_is_cancelled_costs_nothing(
    rabbitmq_server: RabbitMqServer,
) -> None:
    """Aiormq closes the channel for that, with all consumers on it."""
    async with connected(rabbitmq_server) as connection:
        channel = await connection.open_channel()
        queue = (await channel.queue_declare("", exclusive=True)).queue or ""
        for steps in range(6):
            task = asyncio.create_task(channel.queue_declare(queue, passive=True))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        answers = [channel.queue_declare(queue, passive=True), channel.basic_qos()]
        declared, _ = await asyncio.gather(*answers)

        assert isinstance(declared, Queue.DeclareOk)
        assert declared.queue == queue
        assert not channel.is_closed


@pytest.mark.parametrize("silent_seconds", [0.0, 2.5], ids=["for a moment", "beyond a heartbeat"])
async def test_channels_that_were_given_up_cost_nothing_once_they_are_answered(
    rabbitmq_server: RabbitMqServer, silent_seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    """RabbitMQ ends the connection when a number is closed twice, or is opened while it is open."""
    queues = [f"silent-{number}-{secrets.token_hex(4)}" for number in range(2)]
    async with connected(rabbitmq_server, heartbeat_seconds=1) as connection:
        other = await connection.open_channel()
        for queue in queues:
            await other.queue_declare(queue, durable=True)
            await asyncio.to_thread(rabbitmq_server.suspend_queue, queue)
        for channel in await connection.open_channels(CHANNELS // 2):
            for queue in queues:
                channel.request(Queue.Declare(queue=queue, passive=True))
            channel.abandon()
        await asyncio.sleep(silent_seconds)
        later = [await connection.open_channel() for _ in range(3)]
        for queue in queues:
            await asyncio.to_thread(rabbitmq_server.resume_queue, queue)
            await other.queue_declare(queue, passive=True)
        await until(lambda: len(connection.channels) == 1 + len(later))
        for channel in later:
            await channel.queue_declare(queues[0], passive=True)
        for queue in queues:
            await other.queue_delete(queue)

        assert not connection.lost.done()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_refusal_fails_one_request_and_those_behind_it_otherwise(
    rabbitmq_server: RabbitMqServer,
) -> None:
    async with connected(rabbitmq_server) as connection:
        channel = await connection.open_channel()
        told: list[ChannelClosedError] = []
        channel.on_refused(told.append)
        requests = [
            channel.queue_declare("", exclusive=True),
            channel.queue_declare("there-is-none", passive=True),
            channel.queue_declare("", exclusive=True),
        ]
        answers = await asyncio.gather(*requests, return_exceptions=True)
        with pytest.raises(ChannelAbortedError):
            await channel.basic_qos()
        for tag in range(50):
            channel.acknowledge(tag)  # RabbitMQ would end the connection for that.
        other = await connection.open_channel()
        await other.queue_declare("", exclusive=True)

        assert [type(one) for one in answers] == [
            Queue.DeclareOk,
            ChannelClosedError,
            ChannelAbortedError,
        ]
        assert [error.code for error in told] == [404]
        assert channel.refusal is told[0]
        assert not connection.lost.done()


# Messages


@asynccontextmanager
async def consumed(
    connection: AmqpConnection, *, fails: bool = False
) -> AsyncIterator[tuple[AmqpChannel, str, list[Incoming]]]:
    channel = await connection.open_channel()
    queue = (await channel.queue_declare("", exclusive=True)).queue or ""
    got: list[Incoming] = []

    def take(incoming: Incoming) -> None:
        got.append(incoming)
        channel.acknowledge_later(incoming.delivery.tag)
        if fails:
            raise RuntimeError("a handler fails")

    await channel.consume(queue, take, tag="test")
    yield channel, queue, got


@pytest.mark.parametrize(
    "properties",
    [
        Basic.Properties(correlation_id="xxxx", reply_to="there"),
        Basic.Properties(content_type="xxxx"),
        Basic.Properties(headers={"xxxx": 1}),
    ],
    ids=["correlation_id", "content_type", "header"],
)
async def test_message_that_is_not_utf_8_is_taken_and_ends_nothing(
    rabbitmq_server: RabbitMqServer, properties: Basic.Properties
) -> None:
    """Aiormq would end the connection, and again whenever RabbitMQ delivers it."""
    async with connected(rabbitmq_server) as connection:
        async with consumed(connection) as (_, queue, got):
            publishing = await connection.open_publishing_channel()
            method = frames.publish_method(publishing.number, "", queue, mandatory=True)
            head = codec.marshal(
                ContentHeader(body_size=0, properties=properties), publishing.number
            )
            publishing.publish_batch(method + head.replace(b"xxxx", b"\xff\xfe\xfd\xfc"), 1)
            publishing.publish(queue, b"next", Basic.Properties(), exchange="", mandatory=True)
            await until(lambda: len(got) == 2)

        assert [incoming.body for incoming in got] == [b"", b"next"]
        assert not connection.lost.done()


async def test_routing_key_that_is_not_utf_8_ends_nothing(rabbitmq_server: RabbitMqServer) -> None:
    async with connected(rabbitmq_server) as connection:
        async with consumed(connection) as (channel, queue, got):
            await channel.exchange_declare("fan", exchange_type="fanout", auto_delete=True)
            await channel.queue_bind(queue, "fan")
            method = frames.publish_method(channel.number, "fan", "xxxx", mandatory=False)
            illegible = method.replace(b"xxxx", b"\xff\xfe\xfd\xfc")
            publishing = await connection.open_publishing_channel()
            head = frames.content(publishing.number, b"\0\0", b"body", 4096)
            raw = illegible.replace(
                channel.number.to_bytes(2, "big"), publishing.number.to_bytes(2, "big"), 1
            )
            publishing.publish_batch(raw + head, 1)
            await until(lambda: got)

        assert got[0].delivery.routing_key == "\ufffd" * 4
        assert not connection.lost.done()


async def test_consumer_that_rabbitmq_ends_leaves_nothing_behind(
    rabbitmq_server: RabbitMqServer,
) -> None:
    """Each dialog's queue is deleted in the end, and its consumer was on a channel that stays."""

    class Handler:
        def __call__(self, _: Incoming) -> None:
            """Take a message."""

    async with connected(rabbitmq_server) as connection:
        channel, other = await connection.open_channels(2)
        queue = (await channel.queue_declare("", exclusive=True)).queue or ""
        handler = Handler()
        left = weakref.ref(handler)
        await channel.consume(queue, handler, tag="test")
        del handler
        await other.queue_delete(queue)
        await until(lambda: left() is None)

        assert not channel.has_ended


async def test_messages_are_acknowledged_before_their_channel_is_closed(
    rabbitmq_server: RabbitMqServer,
) -> None:
    async with connected(rabbitmq_server) as connection:
        channel = await connection.open_channel()
        queue = (await channel.queue_declare("", exclusive=True)).queue or ""
        released: list[asyncio.Task[None]] = []

        def take(incoming: Incoming) -> None:
            released.append(asyncio.create_task(channel.release()))
            channel.acknowledge_later(incoming.delivery.tag)

        await channel.consume(queue, take, tag="test")
        other = await connection.open_channel()
        other.publish(queue, b"x", Basic.Properties(), exchange="", mandatory=True)
        await until(lambda: released)
        await released[0]
        left = await other.queue_declare(queue, passive=True)

    assert left.message_count == 0


async def test_handler_that_fails_ends_nothing(rabbitmq_server: RabbitMqServer) -> None:
    async with connected(rabbitmq_server) as connection:
        async with consumed(connection, fails=True) as (channel, queue, got):
            for number in range(3):
                body = b"%d" % number
                channel.publish(queue, body, Basic.Properties(), exchange="", mandatory=True)
            await until(lambda: len(got) == 3)

        assert [incoming.body for incoming in got] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("size", [0, 1, 131_064, 131_065, 400_000])
async def test_bodies_of_any_size_come_whole(rabbitmq_server: RabbitMqServer, size: int) -> None:
    async with connected(rabbitmq_server) as connection:
        async with consumed(connection) as (channel, queue, got):
            body = bytes(index % 251 for index in range(size))
            channel.publish(queue, body, Basic.Properties(), exchange="", mandatory=True)
            await until(lambda: got)

        assert got[0].body == body


async def test_outcome_of_each_message_is_told(rabbitmq_server: RabbitMqServer) -> None:
    async with connected(rabbitmq_server) as connection:
        async with consumed(connection) as (_, queue, got):
            asking = await connection.open_asking_channel()
            asked = [
                asking.ask(queue if number % 2 else NO_QUEUE, b"x", Basic.Properties(), exchange="")
                for number in range(20)
            ]
            outcomes = await asyncio.gather(*asked)
            await until(lambda: len(got) == 10)

        assert outcomes == [bool(number % 2) for number in range(20)]


@pytest.mark.parametrize(
    ("exchange", "first", "second"),
    [
        ("", UnconfirmedError, ConnectionLostError),
        ("no-such-exchange", ChannelClosedError, ChannelAbortedError),
    ],
    ids=["connection lost", "channel closed"],
)
async def test_message_is_unconfirmed_only_if_it_was_sent(
    rabbitmq_link: Link, exchange: str, first: type[AmqpError], second: type[AmqpError]
) -> None:
    async with connected(rabbitmq_link) as connection:
        asking = await connection.open_asking_channel()
        if not exchange:
            rabbitmq_link.lose_from(b"the first", "answers")
        sent = asking.ask(NO_QUEUE, b"the first", Basic.Properties(), exchange=exchange)
        if not exchange:
            await until(lambda: rabbitmq_link.is_losing)
            rabbitmq_link.stop()
        with pytest.raises(first) as of_the_first:
            await sent
        with pytest.raises(second) as of_the_second:
            await asking.ask(NO_QUEUE, b"too late", Basic.Properties(), exchange="")

    assert (of_the_first.type, of_the_second.type) == (first, second)


# How it ends


async def test_silent_connection_ends_and_nobody_is_cancelled_by_that(
    rabbitmq_server: RabbitMqServer,
) -> None:
    """Aiormq cancels all that waits; whoever asked must get an error instead."""
    link = Link(rabbitmq_server.port)
    link.start()
    try:
        async with connected(link, heartbeat_seconds=1) as connection:
            channel = await connection.open_channel()
            asking = await connection.open_asking_channel()
            link.freeze()
            waiting: list[asyncio.Future[Any]] = [
                asyncio.create_task(channel.basic_qos()),
                asyncio.create_task(connection.open_channel()),
                asking.ask(NO_QUEUE, b"", Basic.Properties(), exchange=""),
            ]
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            lost = await connection.lost
    finally:
        link.remove()

    assert [type(answer) for answer in answers] == [ConnectionLostError] * 2 + [UnconfirmedError]
    assert "stopped sending heartbeats" in str(lost)


async def test_messages_alone_are_a_sign_of_life(rabbitmq_server: RabbitMqServer) -> None:
    """RabbitMQ sends no heartbeats beside them, and aiormq does not see them."""
    async with connected(rabbitmq_server, heartbeat_seconds=1) as connection:
        async with consumed(connection) as (channel, queue, got):
            end = connection.loop.time() + 6  # Two heartbeats longer than it waits for a sign.
            while connection.loop.time() < end:
                before = len(got)
                channel.publish(queue, b"x", Basic.Properties(), exchange="", mandatory=True)
                await until(lambda before=before: len(got) > before)  # type: ignore[misc]

        assert not connection.lost.done()


@pytest.mark.parametrize("is_frozen", [False, True])
async def test_end_leaves_no_task_behind(
    rabbitmq_server: RabbitMqServer, *, is_frozen: bool
) -> None:
    """Aiormq's own would be destroyed with the loop, which asyncio reports as an error."""
    link = Link(rabbitmq_server.port)
    link.start()
    try:
        before = asyncio.all_tasks()
        connection = await AmqpConnection.open(login(link))
        await connection.open_channel()
        if is_frozen:
            link.freeze()
        await connection.end()

        assert asyncio.all_tasks() == before
    finally:
        link.remove()


async def test_end_has_a_deadline_when_rabbitmq_does_not_answer(
    rabbitmq_server: RabbitMqServer,
) -> None:
    link = Link(rabbitmq_server.port)
    link.start()
    try:
        connection = await AmqpConnection.open(login(link))
        channel = await connection.open_channel()
        link.freeze()
        asked = asyncio.create_task(channel.basic_qos())
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await connection.end()
        with pytest.raises(ConnectionLostError):
            await asked
    finally:
        link.remove()


async def test_connection_that_rabbitmq_ends_says_why(rabbitmq_server: RabbitMqServer) -> None:
    async with connected(rabbitmq_server) as connection:
        channel = await connection.open_channel()
        await asyncio.to_thread(
            rabbitmq_server.control, "close_all_connections", "going down for a test"
        )
        lost = await connection.lost
        with pytest.raises(ConnectionLostError):
            await channel.basic_qos()

    assert str(lost).startswith("RabbitMQ closed the connection: 320 CONNECTION_FORCED")
    assert "going down for a test" in str(lost)


async def test_what_refuses_the_virtual_host_is_told(rabbitmq_server: RabbitMqServer) -> None:
    with pytest.raises(ConnectionLostError, match="530 NOT_ALLOWED"):
        await AmqpConnection.open(login(rabbitmq_server, virtual_host="there/is none"))


# Who logs in


@pytest.fixture(scope="module")
def certificate_server() -> Iterator[RabbitMqServer]:
    server = RabbitMqServer(takes_certificates=True)
    server.start()
    yield server
    server.remove()


def trusting(server: RabbitMqServer) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(server.certificates.authority))
    context.load_cert_chain(server.certificates.client, server.certificates.client_key)
    return context


async def test_certificate_is_an_account(certificate_server: RabbitMqServer) -> None:
    """EXTERNAL: rabbitmq.com/docs/ssl#peer-verification-and-auth."""
    await asyncio.to_thread(
        certificate_server.control, "add_user", "client@example.org", "not-this-one"
    )
    await asyncio.to_thread(
        certificate_server.control, "set_permissions", "client@example.org", ".*", ".*", ".*"
    )
    options = {
        "host": "localhost",
        "port": certificate_server.tls_port,
        "tls": trusting(certificate_server),
        "by_certificate": True,
    }
    async with connected(certificate_server, **options) as connection:
        await (await connection.open_channel()).queue_declare("", exclusive=True)
        shown = await asyncio.to_thread(
            certificate_server.control, "list_connections", "user", "auth_mechanism"
        )

    assert shown.split()[-2:] == ["client@example.org", "EXTERNAL"]


async def test_account_is_used_where_rabbitmq_takes_no_certificates(
    rabbitmq_server: RabbitMqServer,
) -> None:
    options = {
        "host": "localhost",
        "port": rabbitmq_server.tls_port,
        "tls": trusting(rabbitmq_server),
        "by_certificate": True,
    }
    async with connected(rabbitmq_server, **options) as connection:
        await connection.open_channel()


async def test_empty_password_is_sent_as_it_is(rabbitmq_server: RabbitMqServer) -> None:
    """Aiormq would send 'guest' instead."""
    with pytest.raises(ConnectionLostError, match="ACCESS_REFUSED"):
        await AmqpConnection.open(login(rabbitmq_server, password=""))


async def test_password_of_any_characters_opens_and_shows_nowhere(
    rabbitmq_server: RabbitMqServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="aiormq")
    await asyncio.to_thread(rabbitmq_server.control, "add_user", "odd", PASSWORD)
    try:
        await asyncio.to_thread(rabbitmq_server.control, "set_permissions", "odd", ".*", ".*", ".*")
        async with connected(rabbitmq_server, user="odd", password=PASSWORD) as connection:
            shown = f"{connection} {connection!r} {await connection.open_channel()!r}"
        with pytest.raises(ConnectionLostError, match="ACCESS_REFUSED") as caught:
            await AmqpConnection.open(
                login(rabbitmq_server, user="odd", password="hush-" + PASSWORD)
            )
    finally:
        await asyncio.to_thread(rabbitmq_server.control, "delete_user", "odd")

    told = f"{shown} {caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert "p@ss" not in told
    assert "p%40ss" not in told
    assert str(rabbitmq_server.port) in shown
