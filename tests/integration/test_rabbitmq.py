"""What RabbitMQ adds: queues that outlive processes, commands that come again, certificates."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from structlog.testing import capture_logs

from ari_proxy.bus.base import Bus, opened
from ari_proxy.connections import factories
from ari_proxy.ingest.parts import TIMES, Times
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.topics import of_dialog
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import load
from tests.support import process
from tests.support.durable import queues_of
from tests.support.foreign import ForeignClient, foreign_client
from tests.support.link import Link
from tests.support.process import Process
from tests.support.rabbitmq import RabbitMqServer, needs_many_queues
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    until,
    until_serving,
)
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import PASSWORD
from tests.support.setting import Setting, settings_of


@pytest.fixture
async def foreign(rabbitmq_link: Link) -> AsyncIterator[ForeignClient]:
    async with foreign_client(rabbitmq_link.url) as client:
        yield client


@asynccontextmanager
async def proxy_with(
    link: Link,
    foreign: ForeignClient,
    components: Any = ("ingest", "command"),
    times: Times = TIMES,
    **groups: Any,
) -> AsyncIterator[Setting]:
    """A proxy between a scripted Asterisk and RabbitMQ, and a client of another library."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, link, **groups)
        async with bus_client(settings) as bus, running_proxy(settings, components, times=times):
            if "command" in components:
                await until_serving(bus, ingest="ingest" in components)
            yield Setting(asterisk, settings, bus, LegacyClient(foreign, "demo"))


async def exist(foreign: ForeignClient, queues: tuple[str, ...]) -> list[bool]:
    return [await foreign.depth(queue) is not None for queue in queues]


# Dialogs


async def test_queues_of_an_ended_dialog_are_deleted_after_the_grace_period(
    rabbitmq_link: Link, foreign: ForeignClient
) -> None:
    ingest = {"grace_seconds": 0, "queue_grace_seconds": 1}
    async with proxy_with(rabbitmq_link, foreign, ingest=ingest) as setting:
        dialog = await setting.begin()
        answer = await setting.client.command(dialog, "POST", "/channels/c/answer")
        queues = of_dialog(DialogId(dialog))
        during = await exist(foreign, queues)
        await setting.asterisk.push(channel_event("StasisEnd", "c"))
        await setting.client.until_events(dialog, 2)
        after_end = await exist(foreign, queues)

        async def gone() -> bool:
            return not any(await exist(foreign, queues))

        await until(gone)
        await until(lambda: depth_is(foreign, "dialogs_server-1", (0, 1)))

    assert answer["status_code"] == 204
    assert (during, after_end) == ([True] * 3, [True] * 3)
    assert await foreign.depth("dialogs_server-1") == (0, 0)


async def depth_is(foreign: ForeignClient, queue: str, expected: tuple[int, int]) -> bool:
    return await foreign.depth(queue) == expected


async def test_queues_stay_for_the_grace_period_after_an_outage_in_which_the_dialog_ended(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer
) -> None:
    ingest = {"grace_seconds": 0, "queue_grace_seconds": 3}
    async with (
        foreign_client(rabbitmq_server.url) as foreign,
        proxy_with(rabbitmq_link, foreign, components=["ingest"], ingest=ingest) as setting,
    ):
        dialog = await setting.begin()
        await foreign.cancel_all()
        rabbitmq_link.stop()
        await setting.asterisk.push(channel_event("StasisEnd", "c"))
        await setting.asterisk.push(channel_event("ChannelDestroyed", "c"))
        await asyncio.sleep(4)  # Longer than the grace period.
        rabbitmq_link.start()
        await until(lambda: depth_is(foreign, f"events_{dialog}", (3, 0)))
        await asyncio.sleep(1)
        assert await foreign.depth(f"events_{dialog}") == (3, 0)
        await until(lambda: none_of(foreign, of_dialog(DialogId(dialog))))


async def test_client_that_comes_after_the_call_has_ended_misses_nothing(
    rabbitmq_link: Link, foreign: ForeignClient
) -> None:
    """The application takes AppStart, and does nothing until the call is over."""
    taken: list[str] = []
    queue = await foreign.declare("demo")

    async def take(message: AbstractIncomingMessage) -> None:
        taken.append(json.loads(message.body)["dialog_id"])
        await message.ack()

    await queue.consume(take)
    async with proxy_with(rabbitmq_link, foreign, components=["ingest"]) as setting:
        for event_type in ("StasisStart", "ChannelVarset", "StasisEnd"):
            await setting.asterisk.push(channel_event(event_type, "c"))
        await until(lambda: taken)
        await until(lambda: depth_is(foreign, f"events_{taken[0]}", (4, 0)))
        await setting.client.listen(taken[0])
        await setting.client.until_events(taken[0], 3)

    assert setting.client.types(taken[0]) == ["StasisStart", "ChannelVarset", "StasisEnd"]


async def test_application_is_told_what_its_queue_did_not_take_and_that_the_call_is_over(
    rabbitmq_link: Link,
    rabbitmq_server: RabbitMqServer,
    foreign: ForeignClient,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with proxy_with(rabbitmq_link, foreign, components=["ingest"]) as setting:
        dialog, client = await setting.begin(), setting.client
        await foreign.cancel_all()
        await asyncio.to_thread(rabbitmq_server.delete_queues, f"events_{dialog}")
        for event_type in ("ChannelVarset", "StasisEnd"):
            await setting.asterisk.push(channel_event(event_type, "c"))
        await until(lambda: "dialog.ended" in capsys.readouterr().out)
        await client.listen(dialog)
        await client.until_events(dialog, 2)
        await client.until(lambda: dialog in client.ends)

    assert client.types(dialog) == ["StasisStart", "ProxyGap"]
    gap = json.loads(client.events[dialog][1]["ari_body"])
    assert gap["reason"] == "unheard"
    assert gap["count"] >= 2


@pytest.fixture
def no_delivery_limit(rabbitmq_server: RabbitMqServer) -> Iterator[None]:
    with rabbitmq_server.without_delivery_limit("demo"):
        yield


@pytest.mark.usefixtures("no_delivery_limit")
async def test_app_start_goes_to_another_instance_when_one_is_at_its_limit(
    rabbitmq_link: Link, foreign: ForeignClient
) -> None:
    """AsterNET's middleware rejects with requeue at its limit of dialogs."""
    rejected: list[bytes] = []
    queue = await foreign.declare("demo")

    async def reject(message: AbstractIncomingMessage) -> None:
        rejected.append(message.body)
        await message.reject(requeue=True)

    tag = await queue.consume(reject)
    async with proxy_with(rabbitmq_link, foreign) as setting:
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: len(rejected) > 10)
        await setting.client.start()
        dialog = await setting.client.first_dialog()
        await queue.cancel(tag)

    assert len(setting.client.starts) == 1
    assert setting.client.types(dialog) == ["StasisStart"]
    assert setting.asterisk.requests == []


@pytest.mark.parametrize("lost", ["sent", "answers"])
async def test_app_start_around_a_lost_connection_comes_once(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer, lost: Literal["sent", "answers"]
) -> None:
    """Either RabbitMQ never gets it, or its confirmation is lost while the application has it."""
    async with (
        foreign_client(rabbitmq_server.url) as foreign,
        proxy_with(rabbitmq_link, foreign, components=["ingest"]) as setting,
    ):
        client = setting.client
        await client.start()
        rabbitmq_link.lose_from(b'"server_id":"server-1","channel_id":"c"', lost)
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: rabbitmq_link.is_losing and (lost == "sent" or client.starts))
        rabbitmq_link.stop()
        rabbitmq_link.start()
        dialog = await client.first_dialog()
        await setting.asterisk.push(channel_event("ChannelVarset", "c"))
        await client.until_events(dialog, 2)

    assert [start["dialog_id"] for start in client.starts] == [dialog]
    assert client.types(dialog) == ["StasisStart", "ChannelVarset"]


async def test_app_start_that_waits_for_a_busy_application_is_not_offered_again(
    rabbitmq_link: Link, rabbitmq_server: RabbitMqServer
) -> None:
    """Its confirmation is lost, and it stands in the queue, behind what the application is at."""
    times = Times(taker_seconds=0.1)
    async with (
        foreign_client(rabbitmq_server.url) as foreign,
        proxy_with(rabbitmq_link, foreign, components=["ingest"], times=times) as setting,
    ):
        await foreign.channel.set_qos(prefetch_count=1)
        queue = await foreign.declare("demo")
        foreign.publish("demo", b"{}")
        taken: list[AbstractIncomingMessage] = []

        async def take(message: AbstractIncomingMessage) -> None:
            taken.append(message)

        tag = await queue.consume(take)
        await until(lambda: taken)
        rabbitmq_link.lose_from(b'"server_id":"server-1","channel_id":"c"', "answers")
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: is_waiting(foreign, "demo", 1))
        rabbitmq_link.stop()
        rabbitmq_link.start()
        await until(lambda: setting.bus.reconnects)
        await asyncio.sleep(1)  # Longer than a taker has.
        assert await is_waiting(foreign, "demo", 1)
        await taken[0].ack()
        await until(lambda: len(taken) == 2)
        await taken[1].ack()
        dialog = json.loads(taken[1].body)["dialog_id"]
        await setting.client.listen(dialog)
        await setting.client.until_events(dialog, 1)
        await queue.cancel(tag)

    assert len(taken) == 2


async def is_waiting(foreign: ForeignClient, queue: str, count: int) -> bool:
    return (await foreign.depth(queue) or (0, 0))[0] == count


@pytest.mark.parametrize("consumer", ["none", "takes and does not come"])
async def test_call_that_no_application_serves_goes_on_in_the_dialplan(
    rabbitmq_link: Link, foreign: ForeignClient, consumer: str
) -> None:
    queue = await foreign.declare("demo")

    async def take(message: AbstractIncomingMessage) -> None:
        await message.ack()

    if consumer != "none":
        await queue.consume(take)
    ingest = {"listener_seconds": 0.5}
    async with proxy_with(rabbitmq_link, foreign, components=["ingest"], ingest=ingest) as setting:
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: len(setting.asterisk.requests) == 2)

    targets = [request.target.removeprefix("/ari") for request in setting.asterisk.requests]
    status = "/channels/c/variable?variable=ARI_PROXY_STATUS&value=NO_APPLICATION"
    assert targets == [status, "/channels/c/continue"]
    assert (await foreign.depth("demo") or (1, 0))[0] == 0


async def test_call_whose_application_has_had_events_is_not_given_up(
    rabbitmq_link: Link, foreign: ForeignClient
) -> None:
    async with proxy_with(
        rabbitmq_link, foreign, components=["ingest"], ingest={"listener_seconds": 2}
    ) as setting:
        dialog = await setting.begin()
        await foreign.cancel_all()
        await setting.asterisk.push(channel_event("ChannelVarset", "c"))
        await until(lambda: depth_is(foreign, f"events_{dialog}", (1, 0)))
        # Looked at later than the first one: when it is given up, that one was not.
        await setting.asterisk.push(channel_event("StasisStart", "unserved"))
        await until(lambda: len(setting.asterisk.requests) == 2)

    assert [r.target.split("/")[3].split("?")[0] for r in setting.asterisk.requests] == [
        "unserved",
        "unserved",
    ]


async def test_crashed_ingest_leaves_no_queue_behind(
    rabbitmq_link: Link,
    foreign: ForeignClient,
    tmp_path: Path,
) -> None:
    client = LegacyClient(foreign, "demo")
    await client.start()
    async with scripted_asterisk() as asterisk:
        async with ingest_process(tmp_path, asterisk, rabbitmq_link) as ingest:
            await ingest.logged("websocket.connected")
            for channel in ("living", "over"):
                await asterisk.push(channel_event("StasisStart", channel))
            await client.until(lambda: len(client.events) == 2 and all(client.events.values()))
        # Killed. While it is away one of the calls ends.
        dialogs = {start["channel_id"]: DialogId(start["dialog_id"]) for start in client.starts}
        asterisk.channels = [{"id": "living"}]
        asterisk.connected.clear()
        settings = settings_of(
            asterisk, rabbitmq_link, ingest={"queue_grace_seconds": 0.2, "grace_seconds": 0.2}
        )
        async with running_proxy(settings):
            await until(lambda: none_of(foreign, of_dialog(dialogs["over"])))
            living = await exist(foreign, of_dialog(dialogs["living"]))
            answer = await client.command(dialogs["living"], "POST", "/channels/living/answer")
            asterisk.channels = []
            await until(lambda: none_of(foreign, of_dialog(dialogs["living"])))

    assert living == [True] * 3
    assert answer["status_code"] == 204


async def none_of(foreign: ForeignClient, queues: tuple[str, ...]) -> bool:
    return not any(await exist(foreign, queues))


@asynccontextmanager
async def ingest_process(
    directory: Path, asterisk: ScriptedAsterisk, link: Link
) -> AsyncIterator[Process]:
    config = directory / "ingest.json"
    config.write_text(settings_of(asterisk, link).model_dump_json(include={"ari", "bus"}))
    environment = environment_of(asterisk, link)
    async with process.running(directory / "ingest.log", "ingest", **environment) as ingest:
        yield ingest


def environment_of(asterisk: ScriptedAsterisk, link: Link) -> dict[str, str]:
    return {
        "ARI_PROXY_SERVER_ID": "server-1",
        "ARI_PROXY_APPLICATIONS": '["demo"]',
        "ARI_PROXY_ARI__REST_URL": asterisk.url,
        "ARI_PROXY_ARI__WEBSOCKET_URL": asterisk.websocket_url,
        "ARI_PROXY_ARI__PASSWORD": PASSWORD,
        "ARI_PROXY_BUS__KIND": "RABBITMQ",
        "ARI_PROXY_BUS__URLS": json.dumps([link.url]),
    }


# Commands


async def test_command_with_reply_to_is_answered_there_too(
    rabbitmq_link: Link, foreign: ForeignClient
) -> None:
    async with proxy_with(rabbitmq_link, foreign) as setting:
        dialog = await setting.begin()
        replies = await foreign.channel.declare_queue(exclusive=True)
        answers: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await replies.consume(answers.put, no_ack=True)
        command = {"unique_id": "u", "method": "POST", "url": "/channels/c/answer", "body": ""}
        message = aio_pika.Message(
            json.dumps(command).encode(), reply_to=replies.name, correlation_id="c-1"
        )
        await foreign.channel.default_exchange.publish(message, f"commands_{dialog}")
        answer = await answers.get()
        await setting.client.until(lambda: setting.client.responses[dialog])

    assert answer.correlation_id == "c-1"
    assert json.loads(answer.body) == setting.client.responses[dialog][0]
    assert json.loads(answer.body)["status_code"] == 204


async def test_command_that_a_dead_executor_had_not_begun_is_executed(
    rabbitmq_link: Link, foreign: ForeignClient
) -> None:
    async with proxy_with(rabbitmq_link, foreign, components=["ingest"]) as setting:
        dialog = await setting.begin()
        for method in ("POST", "GET"):
            command = {"unique_id": method, "method": method, "url": "/channels/c/x", "body": ""}
            foreign.publish(f"commands_{dialog}", json.dumps(command).encode())
        await until(lambda: depth_is(foreign, f"commands_{dialog}", (3, 0)))  # DUMMY as well.
        await die_with_all_of(rabbitmq_link, f"commands_{dialog}", 3)
        async with running_proxy(setting.settings, ["command"]):
            await setting.client.until(lambda: len(setting.client.responses[dialog]) == 2)

    answers = [(r["unique_id"], r["status_code"]) for r in setting.client.responses[dialog]]
    assert answers == [("POST", 204), ("GET", 204)]
    assert [request.method for request in setting.asterisk.requests] == ["POST", "GET"]


async def die_with_all_of(link: Link, queue: str, count: int) -> None:
    """Take messages as an executor, and end without a word on what became of them."""
    taken: list[bytes] = []
    async with await aio_pika.connect(link.url) as connection:
        channel = await connection.channel()

        async def take(message: AbstractIncomingMessage) -> None:
            taken.append(message.body)

        await (await channel.get_queue(queue)).consume(take)
        await until(lambda: len(taken) == count)


@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_another_executor_takes_over_from_a_dead_one(
    rabbitmq_link: Link, foreign: ForeignClient, tmp_path: Path, fault: str
) -> None:
    async with proxy_with(rabbitmq_link, foreign, components=["ingest"]) as setting:
        environment = environment_of(setting.asterisk, rabbitmq_link)
        environment["ARI_PROXY_BUS__HEARTBEAT_SECONDS"] = "1"
        async with (
            process.running(tmp_path / "one", "command", **environment) as one,
            process.running(tmp_path / "two", "command", **environment) as two,
        ):
            await one.logged("bus.connected")
            await two.logged("bus.connected")
            await setting.begin()
            for number in range(19):
                await setting.asterisk.push(channel_event("StasisStart", f"c{number}"))
            client = setting.client
            await client.until(lambda: len(client.events) == 20)
            await until(lambda: all_have(foreign, list(client.events), 2))
            before = [
                await client.command(dialog, "POST", "/channels/c/answer")
                for dialog in client.events
            ]
            if fault == "kill":
                one.kill()
            else:
                one.freeze()  # RabbitMQ learns of it by its heartbeats.
            answers = await asyncio.gather(
                *(client.command(dialog, "POST", "/channels/c/ring") for dialog in client.events)
            )

    # What was on the way to the one that died had not been begun there.
    assert [answer["status_code"] for answer in (*before, *answers)] == [204] * 40
    assert len(setting.asterisk.requests) == 40


async def test_executor_that_stops_for_some_seconds_loses_no_command_to_another(
    rabbitmq_link: Link, foreign: ForeignClient, tmp_path: Path
) -> None:
    async with proxy_with(rabbitmq_link, foreign, components=["ingest"]) as setting:
        environment = environment_of(setting.asterisk, rabbitmq_link)
        async with process.running(tmp_path / "log", "command", **environment) as executor:
            await executor.logged("bus.connected")
            dialog = await setting.begin()
            client = setting.client
            await client.command(dialog, "POST", "/channels/c/answer")
            executor.freeze()
            for number in range(20):
                url = f"/channels/c/ring?n={number}"
                command = {"unique_id": f"{number}", "method": "POST", "url": url, "body": ""}
                foreign.publish(f"commands_{dialog}", json.dumps(command).encode())
            await asyncio.sleep(4)  # As a virtual machine that is moved.
            executor.thaw()
            await client.until(lambda: len(client.responses[dialog]) == 21)

    statuses = [response["status_code"] for response in client.responses[dialog]]
    assert statuses == [204] * 21
    targets = [request.target for request in setting.asterisk.requests[1:]]
    assert targets == [f"/ari/channels/c/ring?n={number}" for number in range(20)]


async def test_executor_that_rabbitmq_took_for_dead_refuses_nothing_that_others_have(
    rabbitmq_link: Link, foreign: ForeignClient, tmp_path: Path
) -> None:
    """It wakes up with commands that it has no room for, and that another one has executed."""
    async with proxy_with(rabbitmq_link, foreign, components=["ingest"]) as setting:
        environment = environment_of(setting.asterisk, rabbitmq_link)
        environment["ARI_PROXY_BUS__HEARTBEAT_SECONDS"] = "1"
        narrow = environment | {"ARI_PROXY_COMMAND__MAX_PENDING": "1"}
        async with process.running(tmp_path / "one", "command", **narrow) as one:
            await one.logged("bus.connected")
            dialog = await setting.begin()
            client = setting.client
            setting.asterisk.hold = asyncio.Event()
            for number in range(20):
                command = {"unique_id": f"{number}", "method": "GET", "url": "/endpoints"}
                foreign.publish(f"commands_{dialog}", json.dumps(command).encode())
                if number == 0:
                    await until(lambda: setting.asterisk.requests)
                    one.freeze()
            setting.asterisk.hold.set()
            async with process.running(tmp_path / "two", "command", **environment) as two:
                await two.logged("bus.connected")
                await client.until(lambda: len(client.responses[dialog]) == 19)
                one.thaw()
                await client.until(lambda: len(client.responses[dialog]) >= 20)
                two.signal()
                assert await two.ended() == 0
                # It is back, and what it has published before is here.
                await client.command(dialog, "GET", "/endpoints")

    # What was answered around the break may come twice.
    answered = {(found["unique_id"], found["status_code"]) for found in client.responses[dialog]}
    assert answered == {("", 204), *((f"{number}", 204) for number in range(20))}


async def test_executor_that_rabbitmq_took_for_dead_begins_nothing_that_others_have(
    rabbitmq_link: Link, foreign: ForeignClient, tmp_path: Path
) -> None:
    """It wakes up with commands in its hands that RabbitMQ has given to the other one."""
    async with proxy_with(rabbitmq_link, foreign, components=["ingest"]) as setting:
        environment = environment_of(setting.asterisk, rabbitmq_link)
        environment["ARI_PROXY_BUS__HEARTBEAT_SECONDS"] = "1"
        async with process.running(tmp_path / "one", "command", **environment) as one:
            await one.logged("bus.connected")
            dialog = await setting.begin()
            client = setting.client
            setting.asterisk.hold = asyncio.Event()
            for number in range(20):
                url = f"/channels/c/ring?n={number}"
                command = {"unique_id": f"{number}", "method": "POST", "url": url, "body": ""}
                foreign.publish(f"commands_{dialog}", json.dumps(command).encode())
            await until(lambda: setting.asterisk.requests)  # The first one is begun.
            one.freeze()
            setting.asterisk.hold.set()
            async with process.running(tmp_path / "two", "command", **environment) as two:
                await two.logged("bus.connected")
                await client.until(lambda: len(client.responses[dialog]) == 19)
                one.thaw()
                await client.until(lambda: len(client.responses[dialog]) == 20)
                await client.command(dialog, "POST", "/channels/c/answer")

    targets = [request.target for request in setting.asterisk.requests]
    assert sorted(targets) == sorted(
        [*(f"/ari/channels/c/ring?n={number}" for number in range(20)), "/ari/channels/c/answer"]
    )


async def all_have(foreign: ForeignClient, dialogs: list[str], consumers: int) -> bool:
    depths = [await foreign.depth(f"commands_{dialog}") for dialog in dialogs]
    return all(found is not None and found[1] == consumers for found in depths)


@pytest.mark.every_rabbitmq
async def test_calls_go_on_after_rabbitmq_was_killed() -> None:
    server = RabbitMqServer()
    link = Link(server.port)
    try:
        server.start()
        link.start()
        async with scripted_asterisk() as asterisk:
            settings = settings_of(asterisk, link)
            async with bus_client(settings) as bus, running_proxy(settings):
                await until_serving(bus)
                client = LegacyClient(bus, "demo")
                await client.start()
                await asterisk.push(channel_event("StasisStart", "c"))
                dialog = await client.first_dialog()
                await asyncio.to_thread(server.sync)
                await asyncio.to_thread(server.kill)
                await until(lambda: not bus.is_connected)
                for number in range(100):
                    more = f'"variable":"n","value":"{number}",'
                    await asterisk.push(channel_event("ChannelVarset", "c", more=more))
                await asyncio.to_thread(server.start)
                await client.until_events(dialog, 101)
                answer = await client.command(dialog, "POST", "/channels/c/answer")
                await asterisk.push(channel_event("StasisStart", "next"))
                await client.until(lambda: len(client.events) == 2)
    finally:
        link.remove()
        server.remove()

    assert answer["status_code"] == 204
    assert [event["sequence"] for event in client.events[dialog]] == list(range(1, 102))


async def test_persistent_messages_outlive_a_rabbitmq_that_is_killed(
    own_rabbitmq_server: RabbitMqServer,
) -> None:
    """Those that it has confirmed; the others are published again."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, own_rabbitmq_server, bus={"persistent": True})
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_serving(bus)
            starts: list[str] = []
            await bus.subscribe(
                "demo", lambda message: starts.append(json.loads(message.payload)["dialog_id"])
            )
            await asterisk.push(channel_event("StasisStart", "c"))
            for number in range(99):
                more = f'"variable":"n","value":"{number}",'
                await asterisk.push(channel_event("ChannelVarset", "c", more=more))
            await until(lambda: starts)
            events = f"events_{starts[0]}"
            await until(lambda: count_is(bus, events, 100))
            await asyncio.to_thread(own_rabbitmq_server.sync)
            await asyncio.to_thread(own_rabbitmq_server.kill)
            await until(lambda: not bus.is_connected)
            await asyncio.to_thread(own_rabbitmq_server.start)
            client = LegacyClient(bus, "demo")
            await client.listen(starts[0])
            await client.until_events(starts[0], 100)
            answer = await client.command(starts[0], "POST", "/channels/c/answer")
            await asyncio.to_thread(own_rabbitmq_server.delete_queues, "demo", "dialogs_server-1")

    assert {event["sequence"] for event in client.events[starts[0]]} == set(range(1, 101))
    assert answer["status_code"] == 204


async def count_is(bus: Bus, queue: str, expected: int) -> bool:
    return await queues_of(bus).backlog(queue) == expected


# The connection


def secure(server: RabbitMqServer, **changes: object) -> dict[str, object]:
    options: dict[str, object] = {
        "kind": "RABBITMQ",
        "urls": [server.tls_url],
        **server.certificates.settings(with_client=True),
    }
    return {name: value for name, value in (options | changes).items() if value is not None}


async def test_rabbitmq_is_reached_by_tls_with_a_client_certificate(
    rabbitmq_server: RabbitMqServer,
) -> None:
    settings = load(bus=secure(rabbitmq_server))
    async with opened(factories.bus(settings, "test")) as bus:
        async with asyncio.timeout(20):
            await bus.wait_connected()
        bus.publish("events_tls", b"x" * 100_000)
        await bus.flush(timeout_seconds=5)


@pytest.mark.parametrize(
    "changes", [{"certificate_file": None, "key_file": None}, {"ca_file": None}]
)
async def test_without_a_certificate_of_either_side_there_is_no_connection(
    rabbitmq_server: RabbitMqServer, changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load(bus=secure(rabbitmq_server, **changes))
    async with opened(factories.bus(settings, "test")) as bus:
        await until(lambda: "bus.refused" in capsys.readouterr().out)

        assert not bus.is_connected


def test_certificate_that_is_none_is_an_error_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("this is no certificate")
    settings = load(bus={"kind": "RABBITMQ", "ca_file": str(file)})

    with pytest.raises(SettingsError, match=r"ca\.pem"):
        factories.bus(settings, "test")


async def test_wrong_password_is_reported_without_it(
    rabbitmq_server: RabbitMqServer, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = {"kind": "RABBITMQ", "urls": [rabbitmq_server.url], "user": "u", "password": "hush"}
    log = ""
    async with opened(factories.bus(load(bus=bus), "test")):
        async with asyncio.timeout(20):
            while "bus.refused" not in log:
                log += capsys.readouterr().out
                await asyncio.sleep(0.01)

    assert "ACCESS_REFUSED" in log
    assert "hush" not in log


async def test_connection_has_the_name_of_its_component(
    rabbitmq_server: RabbitMqServer,
) -> None:
    settings = load(server_id="server-1", bus={"kind": "RABBITMQ", "urls": [rabbitmq_server.url]})
    async with opened(factories.bus(settings, "ingest")) as bus:
        await bus.wait_connected()
        shown = await asyncio.to_thread(
            rabbitmq_server.control, "list_connections", "client_properties"
        )

    assert '{"connection_name","ari-proxy ingest server-1"}' in shown


async def test_outage_is_not_taken_for_an_application_that_never_came(
    rabbitmq_server: RabbitMqServer, rabbitmq_link: Link
) -> None:
    """What has gathered in the queue by the deadline is not what nobody ever read."""
    own_link = Link(rabbitmq_server.port)
    own_link.start()
    try:
        async with scripted_asterisk() as asterisk:
            settings = settings_of(asterisk, rabbitmq_link, ingest={"listener_seconds": 1})
            own = load(bus={"kind": "RABBITMQ", "urls": [own_link.url]})
            async with bus_client(own) as bus, running_proxy(settings):
                setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
                dialog = await setting.begin()
                own_link.stop()
                rabbitmq_link.stop()
                await asyncio.sleep(2.5)  # The deadline passes.
                for _ in range(20):
                    await asterisk.push(channel_event("ChannelVarset", "c"))
                rabbitmq_link.start()
                # Two rounds of looking after the deadline, with nobody there to read.
                await asyncio.sleep(3)
                own_link.start()
                await setting.client.until_events(dialog, 21)
    finally:
        own_link.remove()

    assert asterisk.requests == []


@needs_many_queues
async def test_subscriptions_of_many_calls_wait_for_a_busy_rabbitmq(rabbitmq_link: Link) -> None:
    """It has not answered the last within the time for an answer; it is not silent, though."""
    settings = load(bus={"kind": "RABBITMQ", "urls": [rabbitmq_link.url]})
    async with bus_client(settings) as bus:
        rabbitmq_link.answer_rate = 8_000  # 600 declarations in 7 s.
        with capture_logs() as logs:
            async with asyncio.TaskGroup() as tasks:
                for number in range(600):
                    topic = f"events_busy-{number}.{'x' * 16}"
                    tasks.create_task(bus.subscribe(topic, lambda _: None))
        rabbitmq_link.answer_rate = 0

    assert [entry for entry in logs if entry["log_level"] in {"warning", "error"}] == []
