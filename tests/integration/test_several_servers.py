"""Several servers in one process: what is wrong with one does not touch the others."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ari_proxy.aio import first_leaf, run_until_first
from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.listener import Listener
from ari_proxy.ari.message_connection import MessageConnection
from ari_proxy.ari.outbound_events import OutboundEvents
from ari_proxy.ari.websocket import EventSocket
from ari_proxy.backoff import Backoff
from ari_proxy.bus.memory.bus import MemoryBroker
from ari_proxy.connections import factories
from ari_proxy.connections.credentials import RotatingCredentials
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import Settings
from tests.support.memory_proxy import simulator
from tests.support.ports import free_port
from tests.support.process import environment_of, running
from tests.support.running import LegacyClient, bus_client, settings_for, until
from tests.support.scripted_asterisk import ScriptedAsterisk
from tests.support.servers import PASSWORD, NatsServer
from tests.support.shared_process import (
    SharedProcess,
    Stage,
    healthy_asterisk,
    server_at,
    shared_process,
)

ONE, OTHER = "server-1", "other"
#: Round trips of one server's calls while another one is flooded.
ROUNDS = 10
FLOOD = 40_000


@asynccontextmanager
async def client_of(process: SharedProcess) -> AsyncIterator[LegacyClient]:
    """Run an application of a process's calls."""
    async with process.bus() as bus:
        client = LegacyClient(bus, "demo")
        await client.start()
        yield client


async def test_calls_of_all_servers_are_served_and_shown(tmp_path: Path) -> None:
    async with healthy_asterisk() as one, healthy_asterisk() as other:
        servers = [server_at(ONE, one.url), server_at(OTHER, other.url)]
        async with shared_process(tmp_path, servers) as process, client_of(process) as client:
            await until(lambda: process.are_ready(ONE, OTHER))
            first, second = Stage(one, client, ONE), Stage(other, client, OTHER)
            dialogs = [await first.begin(), await second.begin()]

            assert await first.answers(dialogs[0])
            assert await second.answers(dialogs[1])
            _, shown = await process.get("/dialogs")
            assert [(each["server_id"], each["dialog_id"]) for each in shown] == [
                (ONE, dialogs[0]),
                (OTHER, dialogs[1]),
            ]
            assert (await process.get("/dialogs/count"))[1] == {"open": 2}
            assert (await process.get(f"/dialogs/count?server={ONE}"))[1] == {"open": 1}
            for server in (ONE, OTHER):
                assert await process.metric("ariproxy_bus_connected", server_id=server) == 1
                assert await process.metric("ariproxy_ingest_dialogs", server_id=server) == 1
    for asterisk in (one, other):
        commands = [request for request in asterisk.requests if request.target.endswith("/answer")]
        assert len(commands) == 1


async def test_a_wrong_password_takes_no_other_server_out_of_service(tmp_path: Path) -> None:
    async with healthy_asterisk() as one, simulator() as other:
        servers = [server_at(ONE, one.url), server_at(OTHER, other.url, password="wrong")]
        async with shared_process(tmp_path, servers) as process, client_of(process) as client:
            await until(lambda: process.are_ready(ONE))
            stage = Stage(one, client, ONE)
            dialog = await stage.begin()
            assert await stage.answers(dialog)

            status, body = await process.get("/readyz")
            assert (status, body["servers"]) == (200, {ONE: True, OTHER: False})
            assert body["checks"][f"{ONE}.websocket"] == "ok"
            assert body["checks"][f"{OTHER}.websocket"] != "ok"
            assert (await process.get(f"/readyz?server={OTHER}"))[0] == 503
            assert (await process.get("/livez"))[1]["servers"] == {ONE: "running", OTHER: "running"}


async def test_an_asterisk_that_is_away_takes_no_other_server_out_of_service(
    tmp_path: Path,
) -> None:
    away = f"http://127.0.0.1:{free_port()}/ari"
    async with healthy_asterisk() as one:
        servers = [server_at(OTHER, away), server_at(ONE, one.url)]
        async with shared_process(tmp_path, servers) as process, client_of(process) as client:
            await until(lambda: process.are_ready(ONE))
            stage = Stage(one, client, ONE)
            assert await stage.answers(await stage.begin())
            status, body = await process.get("/dialogs/count")
            assert (status, body["servers"]) == (503, [OTHER])
            assert (await process.get(f"/dialogs/count?server={ONE}"))[1] == {"open": 1}


async def test_a_server_that_cannot_start_is_started_later_and_the_other_serves(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "password"
    async with healthy_asterisk() as one, healthy_asterisk() as other:
        late = server_at(OTHER, other.url, password_file=str(secret))
        async with (
            shared_process(tmp_path, [server_at(ONE, one.url), late]) as process,
            client_of(process) as client,
        ):
            await until(lambda: process.are_ready(ONE))
            first = Stage(one, client, ONE)
            assert await first.answers(await first.begin())
            _, alive = await process.get("/livez")
            assert alive["servers"][ONE] == "running"
            assert f"ari.password_file {secret}: No such file" in alive["servers"][OTHER]
            failures = await process.metric("ariproxy_server_failures_total", server_id=OTHER)
            assert failures >= 1

            secret.write_text(PASSWORD)
            await until(lambda: process.are_ready(ONE, OTHER))
            second = Stage(other, client, OTHER)
            assert await second.answers(await second.begin())


class FailingEvents(EventSocket):
    """Events whose reader fails once a test says so, as a fault of ours would have it."""

    def __init__(self, settings: Settings, fail: asyncio.Event) -> None:
        credentials = RotatingCredentials(settings.ari)
        super().__init__(settings.ari.websocket_url, settings.applications, credentials)
        self._fail = fail

    async def read(self, connection: MessageConnection, take: Callable[[bytes], None]) -> None:
        await run_until_first(super().read(connection, take), self._fail.wait())
        if self._fail.is_set():
            self._fail.clear()
            raise ValueError("a fault")


async def test_a_server_that_fails_at_work_is_active_again(tmp_path: Path) -> None:
    """Its former services have locked the file of its lease."""
    fail = asyncio.Event()
    parts = {"event_socket": failing(OTHER, fail)}
    async with healthy_asterisk() as one, healthy_asterisk() as other:
        servers = [
            {**server_at(name, asterisk.url), "lease": {"file": str(tmp_path / name)}}
            for name, asterisk in ((ONE, one), (OTHER, other))
        ]
        async with (
            shared_process(tmp_path, servers, parts=parts, lease={"kind": "file"}) as process,
            client_of(process) as client,
        ):
            await until(lambda: process.are_ready(ONE, OTHER))
            fail.set()
            await until(lambda: process.has_failed(OTHER))
            await until(lambda: process.are_ready(ONE, OTHER))
            second = Stage(other, client, OTHER)
            assert await second.answers(await second.begin())


async def test_a_server_whose_services_have_failed_shows_nothing_active(tmp_path: Path) -> None:
    fail = asyncio.Event()
    never = Backoff(first_seconds=1000, last_seconds=1000)
    parts = {"event_socket": failing(OTHER, fail), "restart": never}
    async with healthy_asterisk() as one, healthy_asterisk() as other:
        servers = [server_at(ONE, one.url), server_at(OTHER, other.url)]
        async with (
            shared_process(tmp_path, servers, parts=parts) as process,
            client_of(process) as client,
        ):
            await until(lambda: process.are_ready(ONE, OTHER))
            stages = [Stage(one, client, ONE), Stage(other, client, OTHER)]
            for stage in stages:
                await stage.begin()
            fail.set()
            await until(lambda: process.has_failed(OTHER))
            for name in (
                "ariproxy_ingest_active",
                "ariproxy_ingest_dialogs",
                "ariproxy_ingest_websocket_connected",
                "ariproxy_bus_connected",
            ):
                assert await process.metric(name, server_id=ONE) == 1, name
                assert await process.metric(name, server_id=OTHER) == 0, name


@pytest.mark.parametrize("path", ["events", "commands"])
async def test_an_asterisk_whose_server_cannot_start_is_told_to_wait(
    tmp_path: Path, path: str
) -> None:
    """It connects to us: with its own credentials it is no intruder."""
    listen = f"127.0.0.1:{free_port()}"
    own = {"connection": "outbound", "listen": listen}
    servers = [
        server_at(ONE, "http://127.0.0.1:1/ari", **own),
        server_at(OTHER, "http://127.0.0.1:1/ari", **own, password="of-the-other"),
    ]

    def outbound_events(settings: Settings, listener: Listener) -> OutboundEvents:
        if settings.server_id == OTHER:
            raise SettingsError(["it can't be made"])
        return factories.outbound_events(settings, listener)

    async def status(server: str, password: str) -> int:
        headers = {"Authorization": Credentials("ari", password).authorization}
        url = f"http://{listen}/{server}/{path}"
        async with aiohttp.ClientSession() as http:
            try:
                await http.ws_connect(url, headers=headers)
            except aiohttp.WSServerHandshakeError as error:
                return error.status
            except aiohttp.ClientConnectionError:
                return 0
            return 101

    never = Backoff(first_seconds=1000, last_seconds=1000)
    parts = {"outbound_events": outbound_events, "restart": never}
    async with shared_process(tmp_path, servers, parts=parts) as process:
        await until(lambda: process.has_failed(OTHER))

        async def is_listening() -> bool:
            return await status(OTHER, "of-the-other") != 0

        await until(is_listening)
        assert await status(OTHER, "of-the-other") == 503
        assert await status(OTHER, PASSWORD) == 401


def failing(server: str, fail: asyncio.Event) -> Callable[[Settings], EventSocket]:
    """Return what makes the events of servers, and fails for one of them."""
    return lambda settings: FailingEvents(
        settings, fail if settings.server_id == server else asyncio.Event()
    )


async def test_a_process_none_of_whose_servers_can_start_ends_with_the_reason(
    tmp_path: Path,
) -> None:
    missing = str(tmp_path / "missing")
    servers = [
        server_at(name, f"http://127.0.0.1:{free_port()}/ari", password_file=missing)
        for name in (ONE, OTHER)
    ]
    with pytest.raises(ExceptionGroup) as raised:
        async with shared_process(tmp_path, servers):
            await asyncio.Event().wait()

    assert isinstance(first_leaf(raised.value), SettingsError)
    assert missing in str(first_leaf(raised.value))


async def test_a_flood_of_one_server_neither_reorders_nor_holds_up_another(tmp_path: Path) -> None:
    """An event of one server waits for a turn of the loop, not for what another has sent before."""
    async with flooding(FLOOD) as url, healthy_asterisk() as one:
        servers = [server_at(ONE, one.url), server_at(OTHER, url)]
        async with (
            shared_process(tmp_path, servers, command={"transport": "http"}) as process,
            client_of(process) as client,
        ):
            await until(lambda: process.is_ready(ONE))
            stage = Stage(one, client, ONE)
            dialog = await stage.begin()
            await until(lambda: client_has(client, OTHER))
            await start(url)
            await client.until(lambda: client_has(client, OTHER) > FLOOD // 100)
            waited = []
            for number in range(ROUNDS):
                before = client_has(client, OTHER)
                await stage.round_trip(dialog, number)
                waited.append(client_has(client, OTHER) - before)

            assert client_has(client, OTHER) < FLOOD
            assert max(waited) < FLOOD // 10


def client_has(client: LegacyClient, server: str) -> int:
    """Return how many events of a server's calls an application has got."""
    dialogs = client.events.items()
    return sum(len(events) for dialog, events in dialogs if dialog.startswith(f"{server}."))


async def test_endless_answers_to_one_server_do_not_hold_up_another(tmp_path: Path) -> None:
    async with healthy_asterisk() as one, healthy_asterisk() as other:
        other.large["/channels/c"] = (1 << 34, False)
        servers = [server_at(ONE, one.url), server_at(OTHER, other.url)]
        async with (
            shared_process(tmp_path, servers, command={"transport": "http"}) as process,
            client_of(process) as client,
        ):
            await until(lambda: process.are_ready(ONE, OTHER))
            first, second = Stage(one, client, ONE), Stage(other, client, OTHER)
            dialogs = [await first.begin(), await second.begin()]
            async with asyncio.TaskGroup() as tasks:
                for _ in range(4):
                    tasks.create_task(client.command(dialogs[1], "GET", "/channels/c"))
                await client.until(lambda: other.written)
                for _ in range(ROUNDS):
                    assert await first.answers(dialogs[0])
            refused = client.responses[dialogs[1]]
            assert {answer["status_code"] for answer in refused} == {502}


async def test_no_answer_to_one_server_holds_up_another(tmp_path: Path) -> None:
    """All that may be in flight to one Asterisk is, and waits; the other's commands pass."""
    async with healthy_asterisk() as one, healthy_asterisk() as other:
        servers = [server_at(ONE, one.url), server_at(OTHER, other.url, max_connections=2)]
        async with (
            shared_process(tmp_path, servers, command={"transport": "http"}) as process,
            client_of(process) as client,
        ):
            await until(lambda: process.are_ready(ONE, OTHER))
            first, second = Stage(one, client, ONE), Stage(other, client, OTHER)
            dialogs = [await first.begin(), await second.begin()]
            other.hold = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(second.answers(dialogs[1]))
                for _ in range(ROUNDS):
                    assert await first.answers(dialogs[0])
                assert not waiting.done()
                other.hold.set()
            assert waiting.result()


async def test_a_standby_takes_over_the_calls_of_all_servers(tmp_path: Path) -> None:
    """As with one server: each has a lease of its own, and its dialogs are handed over."""
    broker = MemoryBroker()
    async with healthy_asterisk() as one, healthy_asterisk() as other:
        servers = [
            {**server_at(name, asterisk.url), "lease": {"file": str(tmp_path / name)}}
            for name, asterisk in ((ONE, one), (OTHER, other))
        ]
        given: dict[str, Any] = {
            "broker": broker,
            "components": ["ingest"],
            "lease": {"kind": "file"},
        }
        async with AsyncExitStack() as stack:
            former = AsyncExitStack()
            first = await former.enter_async_context(shared_process(tmp_path, servers, **given))
            await until(lambda: first.are_ready(ONE, OTHER))
            client = await stack.enter_async_context(client_of(first))
            stages = [Stage(one, client, ONE), Stage(other, client, OTHER)]
            dialogs = [await stage.begin() for stage in stages]
            standby = await stack.enter_async_context(shared_process(tmp_path, servers, **given))
            await until(lambda: standby.are_ready(ONE, OTHER))
            assert (await standby.get("/dialogs"))[1] == []
            await former.aclose()

            for stage, dialog in zip(stages, dialogs, strict=True):
                await until(partial(standby.has_dialogs, stage.server, 1))
                await stage.round_trip(dialog, 0)
            assert len(client.starts) == 2  # Nobody was announced anew.


async def test_a_signal_drains_all_servers(tmp_path: Path, nats_server: NatsServer) -> None:
    async with healthy_asterisk() as one, healthy_asterisk() as other:
        settings = settings_for(
            nats_server, rest_url=one.url, websocket_url=one.websocket_url, application="demo"
        )
        servers = [server_at(ONE, one.url), server_at(OTHER, other.url)]
        environment = environment_of(settings) | {"ARI_PROXY_SERVERS": json.dumps(servers)}
        del environment["ARI_PROXY_SERVER_ID"]
        async with running(tmp_path / "log", "standalone", **environment) as process:

            async def are_ready() -> bool:
                _, text = await process.admin("/readyz")
                return set(json.loads(text)["servers"].values()) == {True}

            await until(are_ready)
            async with bus_client(settings) as bus:
                client = LegacyClient(bus, "demo")
                await client.start()
                stages = [Stage(one, client, ONE), Stage(other, client, OTHER)]
                dialogs = [await stage.begin() for stage in stages]
                for asterisk in (one, other):
                    asterisk.hold = asyncio.Event()
                async with asyncio.TaskGroup() as tasks:
                    asked = [
                        tasks.create_task(stage.answers(dialog))
                        for stage, dialog in zip(stages, dialogs, strict=True)
                    ]
                    await until(lambda: all(has_command(each) for each in (one, other)))
                    process.signal()
                    await process.logged("drain.started")
                    for asterisk in (one, other):
                        assert asterisk.hold is not None
                        asterisk.hold.set()
                assert all(each.result() for each in asked)
            assert await process.ended() == 0
            passive = process.events("ingest.passive")
            assert {line["server_id"] for line in passive} == {ONE, OTHER}


def has_command(asterisk: ScriptedAsterisk) -> bool:
    """Return whether a command has come to an Asterisk."""
    return any(request.target.endswith("/answer") for request in asterisk.requests)


async def start(url: str) -> None:
    """Let a flood begin."""
    async with aiohttp.ClientSession() as http, http.post(f"{url}/start") as answer:
        assert answer.status == 204


@asynccontextmanager
async def flooding(events: int) -> AsyncIterator[str]:
    """Run an Asterisk that sends as fast as it can, once it is told to; yield its URL."""
    arguments = ("-m", "tests.support.flood", str(events), "4", "1000000")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}/ari"
    finally:
        process.kill()
        await process.wait()
