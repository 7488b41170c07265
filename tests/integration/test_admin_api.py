"""The admin API tells the truth; on real NATS and RabbitMQ."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ari_proxy.telemetry.metrics_table import TABLE
from tests.support.ports import free_port
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    settings_for,
    until_running,
)
from tests.support.scripted_asterisk import (
    ScriptedAsterisk,
    asterisk_at,
    channel_event,
    scripted_asterisk,
)
from tests.support.servers import PASSWORD, Asterisk, BusServer
from tests.support.setting import Setting, settings_of

#: Labels that exist once per call or per request would grow without end.
BOUNDED = {
    "action",
    "application",
    "bus",
    "code",
    "kind",
    "method",
    "operation",
    "reason",
    "result",
    "server_id",
    "type",
}


@dataclass
class Admin:
    session: aiohttp.ClientSession
    url: str

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def checks(self) -> dict[str, str]:
        status, text = await self.get("/readyz")
        result: dict[str, Any] = json.loads(text)
        assert result["ready"] is (status == 200)
        assert result["ready"] is all(check == "ok" for check in result["checks"].values())
        return dict(result["checks"])

    async def until(self, **expected: str) -> None:
        """Wait until the checks have these words in them and all others are ok."""
        last: dict[str, str] = {}
        try:
            async with asyncio.timeout(20):
                while not _agree(last, expected):
                    try:
                        last = await self.checks()
                    except aiohttp.ClientConnectorError:
                        last = {}
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"readyz stayed {last}, not {expected}")

    async def until_answer(self, path: str, status: int, text: str = "") -> str:
        """Wait for an answer of a status, and with a text in it; return the answer."""
        last: tuple[int, str] = (0, "")
        try:
            async with asyncio.timeout(20):
                while last[0] != status or text not in last[1]:
                    with suppress(aiohttp.ClientConnectorError):
                        last = await self.get(path)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{path} stayed {last}, not {status} {text}")
        return last[1]

    async def until_open(self, count: int) -> None:
        await self.until_answer("/dialogs/count", 200, f'{{"open":{count}}}')

    async def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        status, text = await self.get("/metrics")
        assert status == 200
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def _agree(checks: dict[str, str], expected: dict[str, str]) -> bool:
    return bool(checks) and all(
        expected[name] in problem if name in expected else problem == "ok"
        for name, problem in checks.items()
    )


def healthy(asterisk: ScriptedAsterisk) -> None:
    asterisk.standing[("GET", "/asterisk/ping")] = (200, "{}")
    asterisk.standing[("GET", "/applications/demo")] = (200, "{}")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


@pytest.fixture
async def admin(
    own_bus_server: BusServer, session: aiohttp.ClientSession
) -> AsyncIterator[tuple[Admin, Setting]]:
    port = free_port()
    async with scripted_asterisk() as asterisk:
        healthy(asterisk)
        settings = settings_of(asterisk, own_bus_server, admin={"port": port})
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_running(settings)
            admin = Admin(session, f"http://127.0.0.1:{port}")
            await admin.until()
            yield admin, Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))


async def test_ready_only_while_calls_can_be_served(
    admin: tuple[Admin, Setting], own_bus_server: BusServer
) -> None:
    api, setting = admin
    registered = setting.asterisk.standing.pop(("GET", "/applications/demo"))
    setting.asterisk.standing[("GET", "/applications/demo")] = (404, "{}")
    await api.until(applications="404")
    setting.asterisk.standing[("GET", "/applications/demo")] = registered
    await api.until()

    own_bus_server.stop()
    await api.until(bus="no connection")
    own_bus_server.start()
    await api.until()

    assert (await api.get("/livez"))[0] == 200


async def test_taken_application_is_not_fought_for(admin: tuple[Admin, Setting]) -> None:
    api, setting = admin
    await setting.client.listen("server-1")
    await setting.asterisk.push('{"type":"ApplicationReplaced","application":"demo"}')
    await setting.client.until(lambda: setting.client.types("server-1"))

    await api.until(applications="another client has taken demo")

    assert len(setting.asterisk.upgrades) == 1
    await setting.asterisk.drop()
    await api.until()
    assert len(setting.asterisk.upgrades) == 2


async def test_not_ready_without_asterisk_and_alive(
    bus_server: BusServer, session: aiohttp.ClientSession
) -> None:
    port, asterisk_port = free_port(), free_port()
    settings = settings_of(asterisk_at(asterisk_port), bus_server, admin={"port": port})
    admin = Admin(session, f"http://127.0.0.1:{port}")
    async with running_proxy(settings):
        await admin.until(websocket="not connected", applications="", asterisk="")
        checks = await admin.checks()
        assert (await admin.get("/livez"))[0] == 200
        assert "/applications/demo" in checks["applications"]
        assert "/asterisk/ping" in checks["asterisk"]
        async with scripted_asterisk(asterisk_port) as late:
            healthy(late)
            await admin.until()


async def test_command_alone_has_its_own_checks_and_no_dialogs(
    bus_server: BusServer, session: aiohttp.ClientSession
) -> None:
    port = free_port()
    async with scripted_asterisk() as asterisk:
        healthy(asterisk)
        settings = settings_of(asterisk, bus_server, admin={"port": port})
        admin = Admin(session, f"http://127.0.0.1:{port}")
        async with running_proxy(settings, ["command"]):
            await admin.until()

            assert set(await admin.checks()) == {"bus", "asterisk"}
            assert (await admin.get("/dialogs"))[0] == 404
            assert (await admin.get("/dialogs/count"))[0] == 404


async def test_dialogs_show_their_state(admin: tuple[Admin, Setting]) -> None:
    api, setting = admin
    await setting.asterisk.push(channel_event("StasisStart", "early"))
    async with asyncio.timeout(10):
        while (await api.get("/dialogs"))[1] == "[]":
            await asyncio.sleep(0.01)
    (early,) = json.loads((await api.get("/dialogs"))[1])
    await setting.client.start()
    dialog = await setting.client.first_dialog()
    served = early
    async with asyncio.timeout(10):
        while served["state"] == "waiting":  # The application has it a moment before we know.
            (served,) = json.loads((await api.get("/dialogs"))[1])
    await setting.asterisk.push(channel_event("StasisEnd", "early"))
    await setting.client.until_events(dialog, 2)
    (ended,) = json.loads((await api.get("/dialogs"))[1])

    assert [early["state"], served["state"], ended["state"]] == ["waiting", "open", "ended"]
    assert served | {"state": ""} == {
        "server_id": "server-1",
        "dialog_id": dialog,
        "application": "demo",
        "channels": ["early"],
        "events": 1,
        "state": "",
    }
    assert (ended["channels"], ended["events"]) == ([], 2)


async def test_number_is_that_of_dialogs_that_are_not_over(admin: tuple[Admin, Setting]) -> None:
    api, setting = admin
    await api.until_open(0)
    await setting.begin("a")
    for channel in "bc":
        await setting.asterisk.push(channel_event("StasisStart", channel))
    await setting.client.until(lambda: len(setting.client.starts) == 3)
    await api.until_open(3)
    dialog = setting.client.starts[0]["dialog_id"]
    await setting.asterisk.push(channel_event("StasisEnd", "a"))
    await setting.client.until_events(dialog, 2)

    assert await api.get("/dialogs/count") == (200, '{"open":2}')
    states = [dialog["state"] for dialog in json.loads((await api.get("/dialogs"))[1])]
    assert sorted(states) == ["ended", "open", "open"]


async def test_number_is_told_when_all_dialogs_are_known(
    bus_server: BusServer, session: aiohttp.ClientSession
) -> None:
    """Calls that are there already are no dialogs yet: 0 would be a lie that costs them."""
    port = free_port()
    async with scripted_asterisk() as asterisk:
        for channel in "ab":
            asterisk.add_channel(channel)
        asterisk.unlisted = 1_000_000
        settings = settings_of(asterisk, bus_server, admin={"port": port})
        admin = Admin(session, f"http://127.0.0.1:{port}")
        # With an application, for which ingest does not wait at its end.
        async with bus_client(settings) as bus, running_proxy(settings, ["ingest"]):
            await LegacyClient(bus, "demo").start()
            await asterisk.connected.wait()
            await admin.until_answer("/dialogs/count", 503)
            assert "not known" in (await admin.get("/dialogs/count"))[1]
            asterisk.unlisted = 0
            assert await admin.until_answer("/dialogs/count", 200) == '{"open":2}'


async def test_number_is_not_known_before_asterisk_was_reached(
    bus_server: BusServer, session: aiohttp.ClientSession
) -> None:
    """A pod that takes the place of another one: its calls wait in Asterisk."""
    port, asterisk_port = free_port(), free_port()
    settings = settings_of(asterisk_at(asterisk_port), bus_server, admin={"port": port})
    admin = Admin(session, f"http://127.0.0.1:{port}")
    async with bus_client(settings) as bus, running_proxy(settings, ["ingest"]):
        await LegacyClient(bus, "demo").start()
        await admin.until_answer("/dialogs/count", 503)
        async with scripted_asterisk(asterisk_port) as late:
            late.add_channel("a")
            assert await admin.until_answer("/dialogs/count", 200) == '{"open":1}'


async def test_number_of_one_that_stands_by_is_zero(
    bus_server: BusServer, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    lease = {"kind": "file", "file": str(tmp_path / "lock")}
    ports = free_port(), free_port()
    first, second = (Admin(session, f"http://127.0.0.1:{port}") for port in ports)
    async with scripted_asterisk() as asterisk:
        both = [
            settings_of(asterisk, bus_server, admin={"port": port}, lease=lease) for port in ports
        ]
        async with bus_client(both[0]) as bus, running_proxy(both[0], ["ingest"]):
            setting = Setting(asterisk, both[0], bus, LegacyClient(bus, "demo"))
            await setting.begin()
            await first.until_open(1)
            async with running_proxy(both[1], ["ingest"]):
                await second.until_open(0)


async def test_metrics_count_what_happened_with_bounded_labels(
    admin: tuple[Admin, Setting],
) -> None:
    api, setting = admin
    before = await api.samples()
    dialog = await setting.begin()
    await setting.client.command(dialog, "POST", "/channels/c/answer")
    await setting.client.command(dialog, "POST", "//elsewhere")
    await setting.asterisk.push("this is no event")
    await setting.asterisk.push(channel_event("ChannelDtmfReceived", "c"))
    await setting.client.until_events(dialog, 2)
    after = await api.samples()

    def difference(name: str, **labels: str) -> float:
        key = (name, frozenset({"server_id": "server-1", **labels}.items()))
        return after.get(key, 0) - before.get(key, 0)

    assert difference("ariproxy_ingest_events_received_total", type="StasisStart") == 1
    assert difference("ariproxy_ingest_events_received_total", type="ChannelDtmfReceived") == 1
    assert difference("ariproxy_ingest_malformed_frames_total") == 1
    assert difference("ariproxy_ingest_dialogs") == 1
    started = {"application": "demo", "result": "accepted"}
    assert difference("ariproxy_ingest_app_starts_total", **started) == 1
    operation = {"operation": "POST /channels/{channelId}/answer", "code": "204"}
    assert difference("ariproxy_command_requests_total", **operation) == 1
    assert difference("ariproxy_command_rejected_total", reason="url") == 1
    assert difference("ariproxy_ingest_events_published_total") > 0
    assert difference("ariproxy_ingest_received_bytes_total") > 0
    assert difference("ariproxy_command_request_duration_seconds_count", method="POST") == 1
    serves = frozenset({"server_id": "server-1", "application": "demo"}.items())
    assert after["ariproxy_ingest_websocket_connected", serves] == 1
    names = {name for name, _ in after}
    plain = (row for row in TABLE if not row.labels and row.kind != "histogram")
    own = {row.name for row in plain if "_operator_" not in row.name}
    assert own <= names
    used = {label for _, labels in after for label, _ in labels}
    assert used <= BOUNDED | {"version", "component", "le"}
    assert not [value for _, labels in after for _, value in labels if dialog in value]


async def test_readiness_on_a_real_asterisk(
    asterisk: Asterisk, bus_server: BusServer, session: aiohttp.ClientSession
) -> None:
    port = free_port()
    settings = settings_for(
        bus_server,
        rest_url=asterisk.url,
        websocket_url=asterisk.websocket_url,
        application="wanted",
        admin={"port": port},
    )
    admin = Admin(session, f"http://127.0.0.1:{port}")
    async with running_proxy(settings):
        await admin.until()
        credentials = {"Authorization": aiohttp.encode_basic_auth("ari", PASSWORD)}
        thief = f"{asterisk.websocket_url}?app=wanted"
        async with session.ws_connect(thief, headers=credentials):
            await admin.until(applications="another client has taken wanted")
