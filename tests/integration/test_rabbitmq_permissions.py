"""The rights on RabbitMQ that docs/reference/wire.md names are enough, needed, and no wider."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelAccessRefused

from ari_proxy.protocol import messages
from ari_proxy.protocol.messages import Command
from tests.support.permissions import PASSWORD, Accounts
from tests.support.process import Process, running
from tests.support.rabbitmq import RabbitMqServer
from tests.support.running import LegacyClient, bus_client, until
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk


@pytest.fixture
def accounts(rabbitmq_server: RabbitMqServer) -> Iterator[Accounts]:
    accounts = Accounts(rabbitmq_server)
    yield accounts
    accounts.remove()


@asynccontextmanager
async def processes(
    accounts: Accounts, asterisk: ScriptedAsterisk, directory: Path, form: str = ""
) -> AsyncIterator[dict[str, Process]]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(
                running(
                    directory / f"{name}.log",
                    name,
                    **accounts.environment(accounts.settings(asterisk, name, form)),
                )
            )
            for name in ("ingest", "command")
        }


async def readiness(process: Process) -> str:
    """Return what `/readyz` says of the bus."""
    _, text = await process.admin("/readyz")
    said: str = json.loads(text)["checks"]["bus"]
    return said


async def is_ready(process: Process) -> bool:
    status, _ = await process.admin("/readyz")
    return status == 200


@pytest.mark.parametrize("form", ["uuid", "token"])
async def test_documented_rights_are_enough_for_a_call(
    accounts: Accounts, rabbitmq_server: RabbitMqServer, tmp_path: Path, form: str
) -> None:
    accounts.make(literally=True)
    async with (
        scripted_asterisk() as asterisk,
        processes(accounts, asterisk, tmp_path, form) as proxies,
        bus_client(accounts.settings(asterisk, "application")) as bus,
    ):
        asterisk.standing["GET", f"/applications/{accounts.application}"] = (200, "{}")
        asterisk.standing["GET", "/asterisk/ping"] = (200, "{}")
        for proxy in proxies.values():
            await until(lambda proxy=proxy: is_ready(proxy))  # type: ignore[misc]
        client = LegacyClient(bus, accounts.application)
        await client.start()
        others: list[bytes] = []
        await bus.subscribe(f"events_{accounts.server}", lambda m: others.append(m.payload))
        await asterisk.push(channel_event("StasisStart", "c", accounts.application))
        dialog = await client.first_dialog()
        await asterisk.push(channel_event("ChannelDtmfReceived", "c", accounts.application))
        await client.until_events(dialog, 2)
        own_name = "/channels/create?endpoint=Local/1&channelId=own"  # Ingest is told of it.
        answers = [
            await client.command(dialog, "POST", url) for url in ("/channels/c/answer", own_name)
        ]
        asked = messages.encode(Command("1", "/asterisk/ping", "GET"))
        answer = await bus.request(f"commands_{accounts.server}", asked, timeout_seconds=5)
        await asterisk.push(channel_event("DeviceStateChanged", "none", accounts.application))
        await until(lambda: others)
        for event in ("ChannelHangupRequest", "StasisEnd", "ChannelDestroyed"):
            await asterisk.push(channel_event(event, "c", accounts.application))
        await asterisk.push(channel_event("ChannelDestroyed", "own", accounts.application))
        await client.until(lambda: client.ends.get(dialog))
        problem = bus.problem

        async def is_deleted() -> bool:
            # Not those of the client, who goes on listening.
            queues = await asyncio.to_thread(rabbitmq_server.control, "list_queues", "name")
            return f"commands_{dialog}" not in queues

        await until(is_deleted)
        said = {name: (await readiness(proxy), proxy.log) for name, proxy in proxies.items()}

    assert ("." in dialog) is (form == "token")
    assert [answer["status_code"] for answer in answers] == [204, 204]
    assert json.loads(answer)["status_code"] == 200
    assert problem is None
    for state, log in said.values():
        assert state == "ok"
        assert "refused" not in log.lower(), log
        assert '"level":"error"' not in log.replace(" ", "")


# Each of them is needed

CONFIGURE, WRITE, READ = range(3)


@pytest.mark.parametrize(
    ("name", "kind", "right", "told"),
    [
        ("ingest", CONFIGURE, r"dialogs_asterisk-1|", "dialogs_"),
        ("ingest", CONFIGURE, r"amq\.gen-.*|", "bindings_"),
        ("ingest", WRITE, r"amq\.gen-.*|", "owners_"),
        ("ingest", READ, "ari-proxy|", "handover_"),
        ("ingest", READ, r"|dialogs_asterisk-1", "dialogs_"),
        ("command", CONFIGURE, r"amq\.gen-.*|", "commands_asterisk-1.*"),
        ("command", WRITE, "ari-proxy|", "exchange 'ari-proxy'"),
        ("command", READ, r"amq\.gen-.*|", "commands_asterisk-1.*"),
        ("command", READ, r"commands_asterisk-1|", "commands_asterisk-1"),
    ],
)
async def test_right_that_is_missing_is_told(
    accounts: Accounts, tmp_path: Path, name: str, kind: int, right: str, told: str
) -> None:
    def without(user: str, rights: list[str]) -> list[str]:
        if user != name:
            return rights
        assert right in rights[kind]
        return [*rights[:kind], rights[kind].replace(right, "", 1), *rights[kind + 1 :]]

    accounts.make(without)
    async with scripted_asterisk() as asterisk:
        settings = accounts.settings(asterisk, name)
        log = tmp_path / "log"
        async with running(log, name, **accounts.environment(settings)) as process:
            await until(lambda: is_told(process, accounts.renamed(told)))
            state = await readiness(process)
            status, _ = await process.admin("/readyz")
            _, metrics = await process.admin("/metrics")

    assert status == 503
    assert "403" in state
    labels = f'{{bus="RABBITMQ",server_id="{settings.server_id}"}}'
    assert f"ariproxy_bus_refusals_total{labels}" in metrics
    assert f"ariproxy_bus_refusals_total{labels} 0.0" not in metrics


async def is_told(process: Process, topic: str) -> bool:
    """Return whether the refusal of a topic is logged, and readiness says that there is one."""
    await process.logged("bus.connected")
    refusals = [
        *process.events("bus.subscription_refused"),
        *process.events("bus.publishing_refused"),
    ]
    is_logged = any(topic in line.get("topic", "") + line["error"] for line in refusals)
    return is_logged and "403" in await readiness(process)


async def test_refused_app_start_is_told_and_the_reason_that_the_dialplan_is_told(
    accounts: Accounts, tmp_path: Path
) -> None:
    def without(user: str, rights: list[str]) -> list[str]:
        is_ingest = user == "ingest"
        return [r.replace(r"|amq\.default", "") for r in rights] if is_ingest else rights

    accounts.make(without)
    async with scripted_asterisk() as asterisk:
        environment = accounts.environment(accounts.settings(asterisk, "ingest"))
        environment["ARI_PROXY_INGEST__LISTENER_SECONDS"] = "3"  # Enough to connect anew.
        async with (
            running(tmp_path / "log", "ingest", **environment) as ingest,
            bus_client(accounts.settings(asterisk, "application")) as bus,
        ):
            await LegacyClient(bus, accounts.application).start()
            await asterisk.push(channel_event("StasisStart", "c", accounts.application))
            await until(lambda: len(asterisk.requests) >= 2)
            state = await readiness(ingest)
            refused = ingest.events("bus.publishing_refused")
            disconnections = ingest.events("bus.disconnected")

    assert "value=BUS_REFUSED" in asterisk.requests[0].target
    assert asterisk.requests[1].target == "/ari/channels/c/continue"
    assert "403" in state
    assert "amq.default" in state
    assert len(refused) == 1
    assert len(disconnections) == 1  # Not again and again, for what it keeps of the dialog.


# … and none is wider than it has to be


class Attempts:
    """What an account tries, and what of it RabbitMQ refuses."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self.refused: list[str] = []

    async def __call__(self, what: str, work: Callable[[AbstractChannel], Awaitable[Any]]) -> None:
        channel = await self._connection.channel()
        try:
            await work(channel)
        except ChannelAccessRefused:
            self.refused.append(what)

    async def consume(self, queue: str) -> None:
        async def work(channel: AbstractChannel) -> None:
            await (await channel.get_queue(queue, ensure=False)).get(fail=False)

        await self(f"consume {queue}", work)

    async def bind(self, key: str) -> None:
        async def work(channel: AbstractChannel) -> None:
            queue = await channel.declare_queue(exclusive=True)
            await queue.bind("ari-proxy", key)

        await self(f"bind {key}", work)

    async def delete(self, queue: str) -> None:
        await self(f"delete {queue}", lambda channel: channel.queue_delete(queue))

    async def publish(self, key: str) -> None:
        async def work(channel: AbstractChannel) -> None:
            exchange = await channel.get_exchange("ari-proxy", ensure=False)
            await exchange.publish(aio_pika.Message(b""), key)

        await self(f"publish {key}", work)


async def test_application_may_not_do_what_ari_proxy_does(
    accounts: Accounts, rabbitmq_server: RabbitMqServer
) -> None:
    accounts.make()
    server = accounts.server
    dialog = f"{server}.{1:016}"
    queues = [
        f"other-{accounts.application}",
        f"commands_{dialog}",
        f"commands_{server}",
        f"dialogs_{server}",
    ]
    topics = [f"copies_{server}", f"owners_{server}", "#"]
    account = f"{accounts.users['application']}:{PASSWORD}"
    async with (
        await aio_pika.connect(rabbitmq_server.url) as everybody,
        await aio_pika.connect(rabbitmq_server.url.replace("//", f"//{account}@")) as application,
    ):
        channel = await everybody.channel()
        await channel.declare_exchange("ari-proxy", aio_pika.ExchangeType.TOPIC, durable=True)
        for queue in queues:
            await channel.declare_queue(queue, durable=True)
        attempts = Attempts(application)
        for queue in queues:
            await attempts.consume(queue)
        for topic in (*topics, f"events_{server}"):  # It may have the last one.
            await attempts.bind(topic)
        await attempts.delete(queues[-1])
        await attempts.publish(f"deleted.events_{dialog}")
        for queue in queues:
            await channel.queue_delete(queue)

    assert attempts.refused == [
        *[f"consume {queue}" for queue in queues],
        *[f"bind {topic}" for topic in topics],
        f"delete {queues[-1]}",
        f"publish deleted.events_{dialog}",
    ]
