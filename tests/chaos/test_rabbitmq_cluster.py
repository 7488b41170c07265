"""A node of a RabbitMQ cluster stops and comes back, with queues that live there."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_proxy.bus.base import opened
from ari_proxy.bus.rabbitmq.bus import RabbitMqBus
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions
from tests.support import process
from tests.support.durable import queues_of
from tests.support.foreign import foreign_client
from tests.support.process import environment_of
from tests.support.rabbitmq import RabbitMqServer, not_for_quorum
from tests.support.running import LegacyClient, bus_client, until, until_serving
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.setting import settings_of

pytestmark = not_for_quorum(
    "of two nodes none has a majority without the other: test_rabbitmq_nodes.py has three"
)


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[RabbitMqServer, RabbitMqServer]]:
    """A cluster of two."""
    one = RabbitMqServer()
    two = RabbitMqServer(mapped_by=one)
    try:
        one.start()
        two.start()
        two.join(one)
        yield one, two
    finally:
        two.remove()
        one.remove()


def bus_on(node: RabbitMqServer) -> RabbitMqBus:
    return RabbitMqBus(RabbitMqOptions(urls=(node.url,), name="test"))


async def test_queue_whose_node_was_away_is_consumed_again_and_others_notice_nothing(
    nodes: tuple[RabbitMqServer, RabbitMqServer], capsys: pytest.CaptureFixture[str]
) -> None:
    stays, goes = nodes
    here, there = (f"cluster-{secrets.token_hex(6)}" for _ in range(2))
    got: list[bytes] = []
    async with opened(bus_on(stays)) as bus:
        await bus.wait_connected()
        async with opened(bus_on(goes)) as other:
            await other.wait_connected()
            await queues_of(other).declare([there])
        for queue in (here, there):
            await bus.subscribe(queue, lambda message: got.append(message.payload))
        bus.publish(there, b"before")
        await until(lambda: got == [b"before"])
        await asyncio.to_thread(goes.control, "stop_app")
        await until(lambda: bus.problem)
        problem = bus.problem
        bus.publish(here, b"meanwhile")
        await until(lambda: got == [b"before", b"meanwhile"])
        await asyncio.to_thread(goes.control, "start_app")
        await until(lambda: not bus.problem)
        bus.publish(there, b"after")
        await until(lambda: got == [b"before", b"meanwhile", b"after"])
        await queues_of(bus).delete([here, there])

    assert problem is not None
    assert problem.kind == "deaf"
    assert there in problem.reason
    assert is_of_a_node_that_stops(problem.reason)
    assert (bus.reconnects, bus.refusals) == (0, 1)
    assert capsys.readouterr().out.count("bus.subscription_refused") == 1


def is_of_a_node_that_stops(reason: str) -> bool:
    """Return whether RabbitMQ refuses a queue for its node: the words are those of the moment."""
    return "is down or inaccessible" in reason or "is stopped by supervisor" in reason


async def test_commands_of_a_dialog_go_on_when_the_node_of_its_queues_is_back(
    nodes: tuple[RabbitMqServer, RabbitMqServer], tmp_path: Path
) -> None:
    stays, goes = nodes
    async with scripted_asterisk() as asterisk:
        settings, executors = (settings_of(asterisk, node) for node in (goes, stays))
        environment, environment_of_executor = map(environment_of, (settings, executors))
        async with (
            bus_client(executors) as bus,
            process.running(tmp_path / "ingest", "ingest", **environment) as ingest,
            process.running(tmp_path / "command", "command", **environment_of_executor) as command,
        ):
            await until_serving(bus)
            async with foreign_client(stays.url) as foreign:
                client = LegacyClient(foreign, "demo")
                await client.start()
                await asterisk.push(channel_event("StasisStart", "c"))
                dialog = await client.first_dialog()
                before = await client.command(dialog, "POST", "/channels/c/answer")
            await asyncio.to_thread(goes.control, "stop_app")
            refused = await command.logged("bus.subscription_refused")
            _, ready = await command.admin("/readyz")
            await asyncio.to_thread(goes.control, "start_app")
            # The application comes back as well; what its queues held is gone.
            await until(lambda: len(ingest.events("bus.connected")) == 2)
            async with foreign_client(stays.url) as returned:
                again = LegacyClient(returned, "demo")
                await again.listen(dialog)
                after = await again.command(dialog, "POST", "/channels/c/ring")
                # A new dialog, too.
                await again.start()
                await asterisk.push(channel_event("StasisStart", "next"))
                new = await again.command(
                    await again.first_dialog(), "POST", "/channels/next/answer"
                )

    assert [answer["status_code"] for answer in (before, after, new)] == [204] * 3
    assert is_of_a_node_that_stops(refused["error"])
    assert dialog in json.loads(ready)["checks"]["bus"]
    assert len(command.events("bus.connected")) == 1
