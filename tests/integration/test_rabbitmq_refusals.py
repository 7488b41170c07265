"""What RabbitMQ refuses or takes away costs that only, is told, and is tried again."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr

from ari_proxy.bus.base import opened
from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.bus.listeners import has_listener
from ari_proxy.bus.rabbitmq.bus import RabbitMqBus
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions
from tests.support.durable import queues_of
from tests.support.foreign import foreign_client
from tests.support.link import Link
from tests.support.rabbitmq import RabbitMqServer, not_for_quorum
from tests.support.running import LegacyClient, bus_client, running_proxy, until, until_serving
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.setting import Setting, settings_of


@pytest.fixture
def queue() -> str:
    return f"refused-{secrets.token_hex(6)}"


@asynccontextmanager
async def connected(
    link: Link | RabbitMqServer, *, user: str = "", registry: str = ""
) -> AsyncIterator[RabbitMqBus]:
    options = RabbitMqOptions(
        urls=(link.url,), name="test", user=user, password=user, registry=registry
    )
    async with opened(RabbitMqBus(options)) as bus:
        assert isinstance(bus, RabbitMqBus)
        await bus.wait_connected()
        yield bus


@asynccontextmanager
async def proxy_on(link: Link) -> AsyncIterator[Setting]:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, link)
        async with (
            foreign_client(link.url) as foreign,
            bus_client(settings) as bus,
            running_proxy(settings),
        ):
            await until_serving(bus)
            yield Setting(asterisk, settings, bus, LegacyClient(foreign, "demo"))


@pytest.mark.every_rabbitmq
async def test_queue_that_may_not_be_read_costs_no_other_subscription(
    rabbitmq_link: Link,
    rabbitmq_server: RabbitMqServer,
    queue: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    got: list[str] = []
    names = {"may": f"may-{queue}", "secret": f"secret-{queue}"}
    with rabbitmq_server.account(configure=".*", write=".*", read="^(may|amq|ari)") as user:
        async with connected(rabbitmq_link, user=user) as bus:
            for name in (names["secret"], names["may"]):
                await bus.subscribe(name, lambda message: got.append(message.topic))
            for name in names.values():
                bus.publish(name, b"x")
            await until(lambda: got == [names["may"]])
            problem = bus.problem
            reconnects = bus.reconnects
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            await asyncio.to_thread(rabbitmq_server.permit, user, **everything)
            await until(lambda: got == [names["may"], names["secret"]])
            problem_later = bus.problem
            await queues_of(bus).delete(list(names.values()))

    assert problem is not None
    assert problem.kind == "deaf"
    assert "403" in problem.reason
    assert names["secret"] in problem.reason
    assert (reconnects, bus.refusals, problem_later) == (0, 1, None)
    log = capsys.readouterr().out
    assert log.count("bus.subscription_refused") == 1
    assert log.count("bus.subscription_granted") == 1


async def test_refused_queue_of_a_kind_that_works_costs_no_other_subscription_for_long(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    """RabbitMQ closes the channel that all of them share."""
    got: list[str] = []
    names = [f"kind_{queue}-{name}" for name in ("one", "two", "secret")]
    with rabbitmq_server.account(configure=".*", write=".*", read="(one|two)$|^(amq|ari)") as user:
        async with connected(rabbitmq_link, user=user) as bus:
            for name in names:
                await bus.subscribe(name, lambda message: got.append(message.topic))
            for name in names:
                bus.publish(name, b"x")
            await until(lambda: len(got) == 2)
            problem = bus.problem
            await queues_of(bus).delete(names)

    assert sorted(got) == names[:1] + names[1:2]
    assert problem is not None
    assert names[2] in problem.reason
    assert (bus.reconnects, bus.refusals) == (0, 1)


async def test_queue_that_somebody_has_for_himself_is_consumed_when_he_is_gone(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    got: list[bytes] = []
    async with connected(rabbitmq_link) as bus:
        async with await aio_pika.connect(rabbitmq_server.url) as connection:
            channel = await connection.channel()
            await channel.declare_queue(queue, exclusive=True)
            await bus.subscribe(queue, lambda message: got.append(message.payload))
            problem = bus.problem
        await until(lambda: not bus.problem)
        bus.publish(queue, b"1")
        await until(lambda: got)
        await queues_of(bus).delete([queue])

    assert problem is not None
    assert "405" in problem.reason
    assert bus.reconnects == 0


@pytest.mark.every_rabbitmq
async def test_deleted_queue_is_declared_and_consumed_again(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    got: list[bytes] = []
    async with connected(rabbitmq_link) as bus:
        await bus.subscribe(queue, lambda message: got.append(message.payload))
        for number in range(2):
            await asyncio.to_thread(rabbitmq_server.delete_queues, queue)
            await until(lambda: has_listener(bus, queue, b""))
            bus.publish(queue, b"%d" % number)
            await until(lambda number=number: len(got) > number)  # type: ignore[misc]
        await queues_of(bus).delete([queue])

    assert got == [b"0", b"1"]
    assert bus.reconnects == 0


async def test_commands_go_on_after_somebody_has_deleted_their_queue(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer
) -> None:
    async with proxy_on(rabbitmq_link) as setting:
        dialog = await setting.begin()
        before = await setting.client.command(dialog, "POST", "/channels/c/answer")
        await asyncio.to_thread(rabbitmq_server.delete_queues, f"commands_{dialog}")
        after = await setting.client.command(dialog, "POST", "/channels/c/ring")

    assert [answer["status_code"] for answer in (before, after)] == [204, 204]


async def test_deleted_queue_of_a_dialog_comes_back_without_any_client(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer
) -> None:
    async with proxy_on(rabbitmq_link) as setting:
        dialog = await setting.begin()
        commands = f"commands_{dialog}"
        await until(lambda: has_listener(setting.bus, commands, b""))
        await asyncio.to_thread(rabbitmq_server.delete_queues, commands)
        await until(lambda: has_listener(setting.bus, commands, b""))


async def test_new_dialogs_have_commands_after_the_directory_was_deleted(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer
) -> None:
    async with proxy_on(rabbitmq_link) as setting:
        dialog = await setting.begin()
        bindings = await asyncio.to_thread(
            rabbitmq_server.control, "list_bindings", "destination_name", "routing_key"
        )
        rows = [line.split("\t") for line in bindings.splitlines()]
        directories = {queue for queue, key in rows if key == "declared.commands_server-1.*"}
        for directory in directories:
            await asyncio.to_thread(rabbitmq_server.delete_queue_of_another, directory)
        await setting.asterisk.push(channel_event("StasisStart", "next"))
        await setting.client.until(lambda: len(setting.client.starts) == 2)
        answers = [
            await setting.client.command(start["dialog_id"], "POST", "/channels/c/answer")
            for start in setting.client.starts
        ]

    assert len(directories) == 1
    assert [answer["status_code"] for answer in answers] == [204, 204]
    assert setting.client.starts[0]["dialog_id"] == dialog


@pytest.mark.every_rabbitmq
async def test_registry_that_was_declared_otherwise_is_told(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = f"server-{secrets.token_hex(4)}"
    registry = f"dialogs_{server}"
    names = [f"events_{server}.{1:016}"]
    async with await aio_pika.connect(rabbitmq_server.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(registry, durable=True, arguments={"x-max-length": 1000})
        async with connected(rabbitmq_link, registry=registry) as bus:
            await queues_of(bus).declare(names, note="note")
            await until(lambda: bus.problem)
            problem = bus.problem
            await channel.queue_delete(registry)
            await until(lambda: not bus.problem)
            reconnects = bus.reconnects
        async with connected(rabbitmq_link, registry=registry) as successor:
            found = await anext(queues_of(successor).orphans())
            await queues_of(successor).delete(names)
            await queues_of(successor).delete([registry])

    assert problem is not None
    assert problem.kind == "deaf"
    assert registry in problem.reason
    assert "406" in problem.reason
    assert reconnects == 0
    assert capsys.readouterr().out.count("bus.subscription_refused") == 1
    assert found.topics == tuple(names)


@pytest.mark.every_rabbitmq
async def test_queue_for_which_rabbitmq_does_not_answer_costs_no_other(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    """As a quorum queue without a leader."""
    silent = f"silent-{secrets.token_hex(4)}"
    got: list[bytes] = []
    async with await aio_pika.connect(rabbitmq_server.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(silent, durable=True, arguments={"x-queue-type": "quorum"})
    async with connected(rabbitmq_link) as bus:
        await asyncio.to_thread(rabbitmq_server.suspend_queue, silent)
        for topic in (silent, queue):
            await bus.subscribe(topic, lambda message: got.append(message.payload))
        problem = bus.problem
        bus.publish(queue, b"1")
        await until(lambda: got == [b"1"])
        await asyncio.to_thread(rabbitmq_server.resume_queue, silent)
        await until(lambda: not bus.problem)
        bus.publish(silent, b"2")
        await until(lambda: got == [b"1", b"2"])
        reconnects = bus.reconnects
        await queues_of(bus).delete([queue, silent])

    assert problem is not None
    assert problem.kind == "deaf"
    assert silent in problem.reason
    assert reconnects == 0


@pytest.mark.every_rabbitmq
async def test_queue_for_which_rabbitmq_does_not_answer_costs_no_new_connection(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    """As the registry in a cluster, while its node is cut off."""
    server = f"server-{secrets.token_hex(4)}"
    registry = f"dialogs_{server}"
    declared = [f"events_{server}.{1:016}"]
    got: list[bytes] = []
    async with connected(rabbitmq_link, registry=registry) as bus:
        await bus.subscribe(queue, lambda message: got.append(message.payload))
        await queues_of(bus).declare(declared, note="note")
        for silent in (registry, *declared):
            await asyncio.to_thread(rabbitmq_server.suspend_queue, silent)
        rabbitmq_link.stop()
        bus.publish(queue, b"meanwhile")
        rabbitmq_link.start()
        await until(lambda: got == [b"meanwhile"])
        for _ in range(20):  # No channel is kept by a queue that does not answer.
            await queues_of(bus).declare([queue])
        await until(lambda: bus.problem)
        problem = bus.problem
        for silent in (registry, *declared):
            await asyncio.to_thread(rabbitmq_server.resume_queue, silent)
        await until(lambda: not bus.problem)
        reconnects = bus.reconnects
        await queues_of(bus).delete([*declared, queue])
    await asyncio.to_thread(rabbitmq_server.delete_queues, registry)

    assert problem is not None
    assert registry in problem.reason
    assert reconnects == 1


@not_for_quorum("a silent quorum queue holds the channel of its consumers, too")
async def test_queues_for_which_rabbitmq_does_not_answer_cost_no_other_of_their_pattern(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer
) -> None:
    """As in a cluster, those of a node that is cut off; more than there are channels to ask."""
    server = f"server-{secrets.token_hex(4)}"
    living, *silent = (f"commands_{server}.{number:016}" for number in range(21))
    got: list[bytes] = []
    async with (
        connected(rabbitmq_server, registry=f"dialogs_{server}") as bus,
        connected(rabbitmq_link) as executor,
    ):
        await queues_of(bus).declare([living, *silent], note="note")
        await executor.subscribe(
            f"commands_{server}.*", lambda message: got.append(message.payload)
        )
        await until(lambda: has_listener(bus, silent[-1], b""))
        for queue in silent:
            await asyncio.to_thread(rabbitmq_server.suspend_queue, queue)
        rabbitmq_link.stop()
        rabbitmq_link.start()
        await until(lambda: executor.refusals >= len(silent))
        bus.publish(living, b"1")
        await until(lambda: b"1" in got)
        for queue in silent:
            await asyncio.to_thread(rabbitmq_server.resume_queue, queue)
        await until(lambda: not executor.problem)
        reconnects = executor.reconnects
        await queues_of(bus).delete([living, *silent])
        await queues_of(bus).delete([f"dialogs_{server}"])

    assert reconnects == 1


@pytest.mark.every_rabbitmq
async def test_exchange_that_may_not_be_written_costs_what_goes_there(
    rabbitmq_link: Link,
    rabbitmq_server: RabbitMqServer,
    queue: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    got: list[bytes] = []
    lost: list[tuple[str, bytes, str]] = []
    with rabbitmq_server.account(configure=".*", write="^(amq|refused)", read=".*") as user:
        async with connected(rabbitmq_link) as listener, connected(rabbitmq_link, user=user) as bus:
            for topic in (queue, "events_refusals"):
                await listener.subscribe(topic, lambda message: got.append(message.payload))
            bus.set_drop_handler(lambda *what: lost.append(what))
            bus.publish("events_refusals", b"refused")
            await until(lambda: bus.problem and bus.problem.kind == "deaf")
            problem = bus.problem
            bus.publish(queue, b"1")
            for _ in range(20):
                bus.publish("events_refusals", b"refused")
            await bus.flush(timeout_seconds=10)
            with pytest.raises(BusRefusedError, match="403"):
                await bus.publish_to_listener("events_refusals", b"refused")
            reconnects, dropped, refused = bus.reconnects, bus.dropped, bus.refused
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            await asyncio.to_thread(rabbitmq_server.permit, user, **everything)
            await until(lambda: not bus.problem)
            refused_later = bus.refused
            bus.publish("events_refusals", b"2")
            await until(lambda: len(got) == 2)
            await queues_of(listener).delete([queue])

    assert got == [b"1", b"2"]
    assert problem is not None
    assert "'ari-proxy'" in problem.reason
    assert (reconnects, dropped) == (1, 21)
    assert (refused, refused_later) == (1, 0)
    assert lost == [("events_refusals", b"refused", "refused")] * 21
    log = capsys.readouterr().out
    assert log.count("bus.publishing_refused") == 1
    assert log.count("bus.message_refused") == 0
    assert 1 <= log.count("bus.messages_dropped") < 5


async def test_refused_account_is_the_reason_that_the_dialplan_is_told(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    with rabbitmq_server.account(**everything) as user:
        async with scripted_asterisk() as asterisk:
            settings = settings_of(asterisk, rabbitmq_link, ingest={"listener_seconds": 1})
            own = settings.bus.model_copy(update={"user": user, "password": SecretStr(user)})
            settings = settings.model_copy(update={"bus": own})
            async with running_proxy(settings, ["ingest"]):
                await until(asterisk.connected.is_set)
                # Which RabbitMQ asks for when a connection begins.
                await asyncio.to_thread(rabbitmq_server.control, "change_password", user, "other")
                rabbitmq_link.stop()
                rabbitmq_link.start()
                await until(lambda: "ACCESS_REFUSED" in capsys.readouterr().out)
                await asterisk.push(channel_event("StasisStart", "c"))
                await until(lambda: len(asterisk.requests) == 2)

    variable = "variable?variable=ARI_PROXY_STATUS&value=BUS_REFUSED"
    assert asterisk.requests[0].target == f"/ari/channels/c/{variable}"


async def test_server_that_refuses_and_is_gone_later_is_told_as_gone(rabbitmq_link: Link) -> None:
    options = RabbitMqOptions(
        urls=(rabbitmq_link.url,), name="test", user="nobody", password="secret"
    )
    async with opened(RabbitMqBus(options)) as bus:
        for _ in range(2):
            await until(lambda: bus.problem and bus.problem.kind == "refused")
            rabbitmq_link.stop()
            await until(lambda: bus.problem and bus.problem.kind == "away")
            rabbitmq_link.start()


# Through which exchange a message came


async def test_command_through_a_foreign_exchange_belongs_to_the_dialog_of_its_queue(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer
) -> None:
    """As the ari4java fork publishes: an exchange of its own, the queue bound by another key."""
    async with proxy_on(rabbitmq_link) as setting:
        dialog = await setting.begin()
        client = setting.client
        await client.command(dialog, "POST", "/channels/c/answer")
        async with await aio_pika.connect(rabbitmq_server.url) as connection:
            channel = await connection.channel()
            exchange = await channel.declare_exchange(
                f"fork-{secrets.token_hex(4)}", aio_pika.ExchangeType.DIRECT, auto_delete=True
            )
            commands = await channel.get_queue(f"commands_{dialog}")
            await commands.bind(exchange, routing_key="commands")
            body = {"unique_id": "u", "method": "POST", "url": "/bridges?type=mixing", "body": ""}
            await exchange.publish(aio_pika.Message(json.dumps(body).encode()), "commands")
            await client.until(lambda: len(client.responses[dialog]) == 2)

    assert client.responses[dialog][1]["unique_id"] == "u"
    # The bridge is named as one of this dialog's.
    bridge = setting.asterisk.requests[-1].target
    assert "bridgeId=ari" in bridge


async def test_topics_are_those_of_their_queues(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, queue: str
) -> None:
    got: list[str] = []
    server = f"server-{secrets.token_hex(4)}"
    dialog = f"{server}.{1:016}"
    names = [queue, f"events_{dialog}", f"commands_{dialog}", f"commands_{server}"]
    registry = f"dialogs_{server}"
    async with connected(rabbitmq_link, registry=registry) as bus:
        await queues_of(bus).declare(names[1:3], note="note")
        for topic in (queue, names[1], f"commands_{server}.*", names[3]):
            await bus.subscribe(topic, lambda message: got.append(message.topic))
        await bus.subscribe(
            f"owners_{server}", lambda message: got.append(message.topic), group="g"
        )
        async with await aio_pika.connect(rabbitmq_server.url) as connection:
            channel = await connection.channel()
            exchange = await channel.declare_exchange(
                f"fork-{secrets.token_hex(4)}", aio_pika.ExchangeType.FANOUT, auto_delete=True
            )
            group = f"ari-proxy.g.owners_{server}"
            for name in (*names, group):
                await (await channel.get_queue(name)).bind(exchange)
            await exchange.publish(aio_pika.Message(b"{}"), "")
            await until(lambda: len(got) == 5)
        await queues_of(bus).delete(names[1:3])
        await queues_of(bus).delete([queue, names[3], registry])

    assert sorted(got) == sorted([*names, f"owners_{server}"])


async def test_app_start_is_offered_again_with_what_is_left_of_its_time(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer
) -> None:
    """Its queue has a consumer, and the bus was away in between: it lives no longer for that."""
    expirations: list[float] = []
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, rabbitmq_link, ingest={"listener_seconds": 4})
        async with (
            await aio_pika.connect(rabbitmq_server.url) as connection,
            bus_client(settings) as bus,
            running_proxy(settings, ["ingest"]),
        ):
            await until_serving(bus, command=False)
            await asterisk.push(channel_event("StasisStart", "c"))
            await until(lambda: asterisk.marks)
            await asyncio.sleep(2)  # Of its four seconds.
            channel = await connection.channel()
            queue = await channel.declare_queue("demo", durable=True)

            async def take(message: AbstractIncomingMessage) -> None:
                assert isinstance(message.expiration, int | float)
                expirations.append(float(message.expiration))
                await message.ack()

            await queue.consume(take)
            await until(lambda: expirations)

    assert 0 < expirations[0] <= 2
