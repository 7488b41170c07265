"""Both forms of dialog ids on real RabbitMQ: what becomes of calls whose client parses a UUID."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from ari_proxy.client.application import call
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogForm, DialogId, ServerId
from ari_proxy.protocol.messages import Command
from tests.support.durable import queues_of
from tests.support.link import Link
from tests.support.running import LegacyClient, bus_client, running_proxy, until, until_running
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import NatsServer
from tests.support.setting import settings_of

SERVER = ServerId("server-1")


class Middleware:
    """Takes dialogs as AsterNET's middleware does: it parses their ids, and has a limit."""

    def __init__(self, channel: aio_pika.abc.AbstractChannel, limit: int) -> None:
        self._channel = channel
        self._limit = limit
        self.active: set[str] = set()
        self.rejected: list[uuid.UUID] = []

    async def start(self) -> None:
        queue = await self._channel.declare_queue("demo", durable=True)
        await queue.consume(self._take)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        dialog_id = json.loads(message.body)["dialog_id"]
        if len(self.active) >= self._limit:
            try:
                self.rejected.append(uuid.UUID(dialog_id))
            except ValueError:
                return  # It throws, and so neither acknowledges nor rejects.
            await message.reject(requeue=True)
            return
        self.active.add(dialog_id)
        events = await self._channel.declare_queue(f"events_{dialog_id}", durable=True)
        await events.consume(self._take_event, no_ack=True)
        await message.ack()

    async def _take_event(self, _: AbstractIncomingMessage) -> None:
        pass


@asynccontextmanager
async def middlewares(link: Link, *limits: int) -> AsyncIterator[list[Middleware]]:
    async with await aio_pika.connect(link.url) as connection:
        made = [Middleware(await connection.channel(), limit) for limit in limits]
        for middleware in made:
            await middleware.start()
        yield made


async def test_middleware_that_parses_dialog_ids_loses_no_call_at_its_limit(
    rabbitmq_link: Link,
) -> None:
    async with scripted_asterisk() as asterisk, middlewares(rabbitmq_link, 2, 50) as instances:
        settings = settings_of(asterisk, rabbitmq_link)
        async with running_proxy(settings, ["ingest"]):
            for number in range(8):
                await asterisk.push(channel_event("StasisStart", f"c{number}"))
            await until(lambda: sum(len(instance.active) for instance in instances) == 8)

    assert len(instances[0].active) == 2
    assert instances[0].rejected
    assert asterisk.requests == []  # No call went on in the dialplan.


def others(form: DialogForm) -> DialogForm:
    return "token" if form == "uuid" else "uuid"


@pytest.mark.parametrize("form", get_args(DialogForm))
async def test_dialogs_outlive_a_change_of_the_form_of_their_ids(
    rabbitmq_link: Link, form: DialogForm
) -> None:
    """The caller tells its dialog by its variable, the leg that was dialled by its own id."""
    async with scripted_asterisk() as asterisk:
        before = settings_of(asterisk, rabbitmq_link, dialog_ids=form)
        after = settings_of(asterisk, rabbitmq_link, dialog_ids=others(form))
        async with bus_client(before) as bus:
            client = LegacyClient(bus, "demo")
            await client.start()
            async with running_proxy(before):
                await until_running(before)
                await asterisk.push(channel_event("StasisStart", "caller"))
                dialog = DialogId(await client.first_dialog())
                await client.command(dialog, "POST", "/channels?endpoint=Local/x&app=demo")
                leg = asterisk.requests[-1].target.partition("channelId=")[2]
                await asterisk.push(channel_event("StasisStart", leg))
                await client.until_events(dialog, 2)
                await until(lambda: asterisk.marks)
            asterisk.add_channel("caller", channelvars={"ARI_PROXY_DIALOG": dialog})
            asterisk.add_channel(leg)
            async with running_proxy(after):
                await client.until(lambda: "ProxyGap" in client.types(dialog))
                await asterisk.push(channel_event("ChannelDtmfReceived", "caller"))
                await asterisk.push(channel_event("ChannelVarset", leg))
                await client.until(lambda: client.types(dialog)[-1] == "ChannelVarset")
                answer = await client.command(dialog, "POST", "/channels/caller/answer")
                await asterisk.push(channel_event("StasisStart", "next"))
                await client.until(lambda: len(client.starts) == 2)

    assert ids.is_of_server(dialog, SERVER)
    assert ids.token_of_object(leg) == ids.token_of_dialog(dialog)
    assert client.types(dialog)[-2:] == ["ChannelDtmfReceived", "ChannelVarset"]
    assert answer["status_code"] == 204
    assert [ids.form_of(start["dialog_id"]) for start in client.starts] == [form, others(form)]


@pytest.mark.parametrize("form", get_args(DialogForm))
async def test_only_the_leg_that_was_dialled_tells_the_dialog_again(
    rabbitmq_link: Link, form: DialogForm
) -> None:
    """No channel is left that has the variable."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, rabbitmq_link, dialog_ids=others(form))
        dialog = ids.new_dialog_id(SERVER, form=form)
        leg = ids.new_object_id(ids.token_of_dialog(dialog))
        asterisk.add_channel(leg)
        async with bus_client(settings) as bus, running_proxy(settings):
            client = LegacyClient(bus, "demo")
            await client.listen(dialog)
            await client.until(lambda: client.types(dialog))
            await asterisk.push(channel_event("ChannelVarset", leg))
            await client.until_events(dialog, 2)
            answer = await client.command(dialog, "POST", f"/channels/{leg}/answer")

    assert client.types(dialog) == ["ProxyGap", "ChannelVarset"]
    assert answer["status_code"] == 204


@pytest.mark.parametrize("form", get_args(DialogForm))
async def test_client_may_choose_a_dialog_in_either_form(
    rabbitmq_link: Link, form: DialogForm
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, rabbitmq_link)
        dialog = ids.new_dialog_id(SERVER, form=form)
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_running(settings)
            client = LegacyClient(bus, "demo")
            await queues_of(bus).declare(list(topics.of_dialog(dialog)))
            await client.listen(dialog)
            command = Command("1", "/channels?endpoint=Local/x&app=demo", "POST", dialog_id=dialog)
            response = await call(bus, SERVER, command)
            leg = asterisk.requests[-1].target.partition("channelId=")[2]
            await asterisk.push(channel_event("StasisStart", leg))
            await client.until_events(dialog, 1)
            await queues_of(bus).delete(list(topics.of_dialog(dialog)))

    assert (response.status_code, response.dialog_id) == (204, dialog)
    assert ids.token_of_object(leg) == ids.token_of_dialog(dialog)


async def test_uuid_whose_commands_nobody_would_get_is_refused(nats_server: NatsServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, nats_server)
        dialog = ids.new_dialog_id(SERVER, form="uuid")
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_running(settings)
            command = Command("1", "/channels?endpoint=Local/x&app=demo", "POST", dialog_id=dialog)
            response = await call(bus, SERVER, command)

    assert response.status_code == 400
    assert "<server_id>.<token>" in response.response_body
    assert asterisk.requests == []


async def test_call_that_the_only_instance_rejects_goes_on_in_the_dialplan(
    rabbitmq_link: Link,
) -> None:
    async with scripted_asterisk() as asterisk, middlewares(rabbitmq_link, 0) as instances:
        settings = settings_of(asterisk, rabbitmq_link, ingest={"listener_seconds": 1})
        async with running_proxy(settings, ["ingest"]):
            await asterisk.push(channel_event("StasisStart", "c"))
            await until(lambda: [r for r in asterisk.requests if r.target.endswith("/continue")])

    assert instances[0].rejected
    assert "NO_APPLICATION" in asterisk.requests[0].target
