"""`ari-proxy doctor` names each right that an account lacks, and nobody notices that it tries."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import pytest
from pydantic import SecretStr

from ari_proxy.bus.base import Message, opened
from ari_proxy.connections import factories
from ari_proxy.doctor import rights
from ari_proxy.settings.load import Settings, load
from tests.support import documented_rights, permissions
from tests.support.permissions import Accounts
from tests.support.rabbitmq import RabbitMqServer
from tests.support.scripted_asterisk import ScriptedAsterisk
from tests.support.servers import NatsServer

SERVICES = ("ingest", "command")


async def found(settings: Settings) -> dict[str, str]:
    """Return what is found of each service."""
    async with opened(factories.bus(settings, "doctor")) as bus:
        assert await bus.wait_tried() == ""
        findings = [finding async for finding in rights.rights(settings, bus)]
    return {finding.what.rpartition(" ")[2]: str(finding) for finding in findings}


def refused(finding: str) -> str:
    """Return what a finding says that is refused, or ''."""
    return finding.partition("refuses to ")[2].partition("\n")[0]


# NATS


class NatsAccounts:
    """A nats-server whose users lack one documented right each."""

    def __init__(self, directory: Path) -> None:
        #: By name: the service, what it lacks.
        self.lacking: dict[str, tuple[str, str, str]] = {}
        known: list[dict[str, object]] = [{"user": "all", "password": "secret"}]
        for service in SERVICES:
            documented = documented_rights.subjects_on_nats(service)
            known.append(self._user(service, documented))
            for action, subjects in documented.items():
                for number, subject in enumerate(subjects):
                    if (action, subject) == ("subscribe", "_INBOX.ari-proxy.>"):
                        continue  # Without it there is no connection.
                    name = f"{service}-{action}-{number}"
                    self.lacking[name] = service, action, subject
                    rest = {action: [s for s in subjects if s != subject]}
                    known.append(self._user(name, self._connecting(documented | rest)))
        answering = documented_rights.subjects_on_nats("command")
        answering["publish"].remove("_INBOX.>")
        answering = self._connecting(answering)
        known.append(self._user("answering", answering, allow_responses=True))
        config = directory / "nats.conf"
        config.write_text(json.dumps({"authorization": {"users": known}}))
        self.server = NatsServer("-c", str(config))
        self.server.start()

    @staticmethod
    def _connecting(subjects: dict[str, list[str]]) -> dict[str, list[str]]:
        """Return rights with those to one's own inbox, without which there is no connection."""
        return {**subjects, "publish": [*subjects["publish"], "_INBOX.ari-proxy.>"]}

    @staticmethod
    def _user(name: str, subjects: dict[str, list[str]], **more: object) -> dict[str, object]:
        allowed = {action: {"allow": allowed} for action, allowed in subjects.items()}
        return {"user": name, "password": "secret", "permissions": {**allowed, **more}}

    def settings(self, user: str, url: str = "") -> Settings:
        return load(
            server_id=documented_rights.SERVER,
            applications=(documented_rights.APPLICATION,),
            # With it, all of the documented rights are needed.
            ari={"connection": "outbound", "password": "secret"},
            bus={"urls": [url or self.server.url], "user": user, "password": "secret"},
        )


@pytest.fixture
def nats_accounts(tmp_path: Path) -> Iterator[NatsAccounts]:
    accounts = NatsAccounts(tmp_path)
    yield accounts
    accounts.server.stop()


@pytest.mark.parametrize("service", SERVICES)
async def test_documented_account_of_nats_has_all_rights(
    nats_accounts: NatsAccounts, service: str
) -> None:
    findings = await found(nats_accounts.settings(service))

    assert findings[service] == f"   ok  bus, rights of {service}: all granted"


async def test_each_right_that_is_missing_on_nats_is_named(nats_accounts: NatsAccounts) -> None:
    named = {}
    for user, (service, _, _) in nats_accounts.lacking.items():
        named[user] = refused((await found(nats_accounts.settings(user)))[service])

    verbs = {"publish": "publish to", "subscribe": "subscribe to"}
    expected = {
        user: f"{'answer to' if subject == '_INBOX.>' else verbs[action]} {subject}"
        for user, (_, action, subject) in nats_accounts.lacking.items()
    }
    assert named == expected


async def test_account_that_may_answer_what_it_gets_needs_no_right_to_inboxes(
    nats_accounts: NatsAccounts,
) -> None:
    assert refused((await found(nats_accounts.settings("answering")))["command"]) == ""


async def test_what_is_tried_on_nats_reaches_nobody(nats_accounts: NatsAccounts) -> None:
    got: list[Message] = []
    async with opened(factories.bus(nats_accounts.settings("all"), "test")) as bus:
        await bus.wait_connected()
        await bus.subscribe(">", got.append)
        findings = await found(nats_accounts.settings("all"))
        await bus.flush(timeout_seconds=5)

    assert not any(map(refused, findings.values()))
    assert [message.topic for message in got if not message.topic.startswith("_INBOX.")] == []


@asynccontextmanager
async def older(server: NatsServer) -> AsyncIterator[str]:
    """A TCP proxy to a server that makes it one of 2.10, which can't tell; yields its URL."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", server.port)
        hello = await answers.readline()
        writer.write(re.sub(rb'"version":"[^"]*"', b'"version":"2.10.0"', hello))
        await asyncio.gather(forward(reader, requests), forward(answers, writer))

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with proxy:
        yield f"nats://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"


async def test_server_that_can_not_tell_is_not_called_well(nats_accounts: NatsAccounts) -> None:
    async with older(nats_accounts.server) as url:
        findings = await found(nats_accounts.settings("ingest-publish-2", url))

    assert "not tried: to publish to demo, publish to recovered_demo," in findings["ingest"]
    assert "2.11" in findings["ingest"]


# RabbitMQ


@pytest.fixture
def accounts(rabbitmq_server: RabbitMqServer) -> Iterator[Accounts]:
    accounts = Accounts(rabbitmq_server)
    accounts.make()
    yield accounts
    accounts.remove()


CONFIGURE, WRITE, READ = range(3)
OWN = r"amq\.gen-.*|"
UUIDS = "0849b3a2-ff"
#: The right that is taken away → all that is refused then, in the names of the documentation.
MISSING = {
    ("ingest", CONFIGURE, "demo|"): "declare demo",
    ("ingest", CONFIGURE, "recovered_demo|"): "declare recovered_demo",
    ("ingest", CONFIGURE, "dialogs_asterisk-1|"): "declare dialogs_asterisk-1",
    ("ingest", CONFIGURE, "events|"): "declare events_*",
    ("ingest", CONFIGURE, "|responses"): "declare responses_*",
    ("ingest", WRITE, r"|amq\.default"): (
        "publish to demo, publish to recovered_demo, publish to events_*"
    ),
    ("ingest", READ, "|dialogs_asterisk-1"): "consume dialogs_asterisk-1",
    ("command", CONFIGURE, "|commands_asterisk-1"): "declare commands_asterisk-1",
    ("command", READ, "commands_asterisk-1|"): "consume commands_asterisk-1",
    ("command", READ, f"|{UUIDS}"): "consume commands_*",
    ("command", WRITE, r"|amq\.default"): "publish to responses_*",
}
_TOPICS = {
    "ingest": ("bindings", "owners", "handover", "watching", "copies"),
    "command": ("watching", "commands"),
}
for _service, _topics in _TOPICS.items():
    _heard = [f"subscribe to {topic}_asterisk-1" for topic in _topics]
    if _service == "command":
        _heard[-1] += ".*"
    for _kind, _right in ((CONFIGURE, OWN), (READ, OWN), (READ, "ari-proxy|"), (WRITE, OWN)):
        MISSING[_service, _kind, _right] = ", ".join(_heard)


@pytest.mark.parametrize("service", SERVICES)
async def test_each_right_that_is_missing_on_rabbitmq_is_named(
    accounts: Accounts, rabbitmq_server: RabbitMqServer, service: str
) -> None:
    settings = settings_of(accounts, service)
    (documented,) = [r for c, u, *r in permissions.on_rabbitmq() if u == service]
    named, expected = {}, {}
    assert refused((await found(settings))[service]) == ""
    for (user, kind, right), told in MISSING.items():
        if user != service:
            continue
        assert right in documented[kind]
        given = [accounts.renamed(text) for text in documented]
        given[kind] = accounts.renamed(documented[kind].replace(right, "", 1))
        rabbitmq_server.change_account("set_permissions", accounts.users[service], *given)
        expected[kind, right] = accounts.renamed(told)
        named[kind, right] = refused((await found(settings))[service])

    assert named == expected


def settings_of(accounts: Accounts, service: str) -> Settings:
    return accounts.settings(ScriptedAsterisk("http://127.0.0.1:1", "ws://127.0.0.1:1"), service)


async def test_what_is_tried_on_rabbitmq_reaches_nobody(
    accounts: Accounts, rabbitmq_server: RabbitMqServer
) -> None:
    server, application = accounts.server, accounts.application
    queues = (application, f"commands_{server}", f"dialogs_{server}")
    settings = settings_of(accounts, "ingest")
    guest = {"user": "guest", "password": SecretStr("guest")}
    settings = settings.model_copy(update={"bus": settings.bus.model_copy(update=guest)})
    before = rabbitmq_server.control("list_queues", "name", "arguments", "durable")
    async with await aio_pika.connect(rabbitmq_server.url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("ari-proxy", "topic", durable=True)
        passing = await channel.declare_queue(exclusive=True)
        await passing.bind(exchange, "#")
        waiting = [await channel.declare_queue(name, durable=True) for name in queues]
        for queue in waiting:
            await channel.default_exchange.publish(aio_pika.Message(b"waits"), queue.name)
        findings = await found(settings)
        got = [await queue.get() for queue in waiting]
        others = [await queue.get(fail=False) for queue in (*waiting, passing)]
        for queue in waiting:
            await queue.delete(if_unused=False, if_empty=False)
    after = rabbitmq_server.control("list_queues", "name", "arguments", "durable")

    assert not any(map(refused, findings.values()))
    assert [(message.body, message.redelivered) for message in got] == [(b"waits", False)] * 3
    assert others == [None] * 4
    assert after == before
