"""The console in a real browser, and what it must never do to calls."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from ari_proxy.admin.console.console import MAX_DIALOGS, MAX_STREAMS
from tests.support.browser import SCREENSHOTS, Page, page
from tests.support.link import Link
from tests.support.ports import free_port
from tests.support.running import LegacyClient, bus_client, running_proxy, until
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import BusServer, NatsServer
from tests.support.setting import Setting, settings_of

STEPS = "[...document.querySelectorAll('.step title')].map(title => title.textContent)"
CHANNEL = "1780000000.12"
#: Channels of calls by application.
CALLERS = {
    "support": ("1780000000.12", "1780000004.17", "1780000009.23"),
    "voicemail": ("1780000002.15", "1780000007.20"),
}


@dataclass
class Shown:
    setting: Setting
    url: str
    session: aiohttp.ClientSession
    stop: asyncio.Event


@asynccontextmanager
async def shown(bus_server: BusServer, *, enabled: bool = True) -> AsyncIterator[Shown]:
    port = free_port()
    async with scripted_asterisk() as asterisk:
        asterisk.standing["GET", "/applications/demo"] = 200, "{}"
        asterisk.standing["GET", "/asterisk/ping"] = 200, "{}"
        settings = settings_of(
            asterisk,
            bus_server,
            ingest={"grace_seconds": 0},
            admin={"port": port, "console": enabled},
        )
        async with (
            bus_client(settings) as bus,
            running_proxy(settings) as stop,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        ):
            await until(asterisk.connected.is_set)
            setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
            yield Shown(setting, f"http://127.0.0.1:{port}/console", session, stop)


async def test_dialogs_and_a_ladder_are_seen_live(bus_server: BusServer, chromium: str) -> None:
    async with shown(bus_server) as console, page(chromium) as browser:
        setting = console.setting
        await browser.open(console.url)
        await browser.until("document.querySelectorAll('#checks .ok').length == 4")
        dialog = await setting.begin(CHANNEL)
        await browser.until("document.querySelector('#dialogs button') !== null")
        row = "document.querySelector('#dialogs').innerText.split('\\t')"
        assert await browser.evaluate(row) == [dialog, "demo", "open", "1", CHANNEL]

        await browser.evaluate("document.querySelector('#dialogs button').click()")
        await browser.until("source !== null && source.readyState === 1")
        await browser.until("document.querySelectorAll('.step').length == 2")
        await setting.client.command(dialog, "POST", f"/channels/{CHANNEL}/answer")
        await setting.asterisk.push(
            channel_event("ChannelDtmfReceived", CHANNEL, more='"digit":"5",')
        )
        refusal = 404, '{"message":"Channel not found"}'
        setting.asterisk.answer("DELETE", "/channels/1780000000.3", *refusal)
        await setting.client.command(dialog, "DELETE", "/channels/1780000000.3")
        await browser.until("document.querySelectorAll('.step').length == 9")
        assert await browser.evaluate(STEPS) == [
            f"AppStart demo {CHANNEL}",
            "1 StasisStart",
            f"POST /channels/{CHANNEL}/answer",
            f"POST /channels/{CHANNEL}/answer",
            "204",
            "2 ChannelDtmfReceived 5",
            "DELETE /channels/1780000000.3",
            "DELETE /channels/1780000000.3",
            "404 Channel not found",
        ]
        assert await browser.evaluate("document.querySelectorAll('.step .failed').length") == 1

        hostile = '"digit":"<img src=x onerror=alert(1)>",'
        await setting.asterisk.push(channel_event("ChannelDtmfReceived", CHANNEL, more=hostile))
        await browser.until("document.querySelectorAll('.step').length == 10")
        assert "<img src=x" in (await browser.evaluate(STEPS))[-1]
        assert await browser.evaluate("document.querySelectorAll('main img').length") == 0

        await setting.asterisk.push(channel_event("StasisEnd", CHANNEL))
        await browser.until("document.querySelector('#note').textContent.includes('ended')")
        await browser.until("document.querySelector('#dialogs').rows.length == 0")
        await browser.until("document.querySelector('#ended')?.rows.length == 1")
        await browser.evaluate("document.querySelector('#find').value = 'none'; refresh()")
        assert browser.complaints == []


async def test_picture_shows_calls_of_two_servers(
    nats_server: NatsServer, tmp_path: Path, chromium: str
) -> None:
    port = free_port()
    async with scripted_asterisk() as first, scripted_asterisk() as second:
        both = [
            settings_of(
                asterisk,
                nats_server,
                ingest={"grace_seconds": 0},
                admin={"port": port, "console": True},
            ).model_copy(update={"server_id": name, "applications": tuple(CALLERS)})
            for name, asterisk in (("asterisk-1", first), ("asterisk-2", second))
        ]
        for application in CALLERS:
            first.standing["GET", f"/applications/{application}"] = 200, "{}"
        first.standing["GET", "/asterisk/ping"] = 200, "{}"
        async with (
            bus_client(both[0]) as bus,
            running_proxy(both),
            page(chromium) as browser,
        ):
            await until(lambda: first.connected.is_set() and second.connected.is_set())
            client = LegacyClient(bus, "support")
            others = LegacyClient(bus, "voicemail")
            for each in (client, others):
                await each.start()
            for application, channels in CALLERS.items():
                for number, channel in enumerate(channels):
                    begin = channel_event("StasisStart", channel, application)
                    await first.push(begin.replace('"state"', f'{_caller(number)},"state"'))
            await client.until(lambda: len(client.starts) == len(CALLERS["support"]))
            await others.until(lambda: len(others.starts) == len(CALLERS["voicemail"]))
            ended, channel = client.starts[0]["dialog_id"], client.starts[0]["channel_id"]
            await client.command(ended, "DELETE", f"/channels/{channel}")
            for over, application in ((channel, "support"), (CALLERS["voicemail"][0], "voicemail")):
                await first.push(channel_event("StasisEnd", over, application))
            await _look_at_a_call(browser, f"http://127.0.0.1:{port}/console", first, client)
            for theme in ("light", "dark"):
                feature = {"name": "prefers-color-scheme", "value": theme}
                await browser.do("Emulation.setEmulatedMedia", features=[feature])
                picture = (SCREENSHOTS or tmp_path) / f"console-{theme}.png"
                await browser.screenshot(picture)
                assert 10_000 < picture.stat().st_size < 300_000
        assert browser.complaints == []


def _caller(number: int) -> str:
    return f'"caller":{{"name":"","number":"+1555010{number}"}},"dialplan":{{"exten":"700"}}'


async def _look_at_a_call(
    browser: Page, url: str, asterisk: ScriptedAsterisk, client: LegacyClient
) -> None:
    """Open the ladder of a call, and let some things happen in it, one of which fails."""
    size = {"width": 1000, "height": 800, "deviceScaleFactor": 1.5, "mobile": False}
    await browser.do("Emulation.setDeviceMetricsOverride", **size)
    await browser.open(f"{url}?server=asterisk-1")
    await browser.until("document.querySelectorAll('#checks .ok').length == 4")
    await browser.until("document.querySelectorAll('#dialogs tr').length == 3")
    await browser.until("document.querySelectorAll('#ended tr').length == 2")
    start = client.starts[-1]
    dialog, channel = start["dialog_id"], start["channel_id"]
    await browser.evaluate(f"watch('{dialog}')")
    await browser.until("source !== null && source.readyState === 1")
    await client.command(dialog, "POST", f"/channels/{channel}/answer")
    await client.command(dialog, "POST", f"/channels/{channel}/play?media=sound:hello-world")
    digit = '"digit":"5",'
    await asterisk.push(channel_event("ChannelDtmfReceived", channel, "support", more=digit))
    await client.until_events(dialog, 2)
    asterisk.answer("DELETE", "/playbacks/over", 404, '{"message":"Playback not found"}')
    await client.command(dialog, "DELETE", "/playbacks/over")
    await browser.until("document.querySelectorAll('.step').length == 12")
    await browser.until("document.querySelector('#dialogs tr.shown').cells[3].innerText == '2'")


async def test_link_leads_to_a_filtered_list(nats_server: NatsServer, chromium: str) -> None:
    """Dashboards link to it, and people send it to each other."""
    rows = "[...document.querySelector('#dialogs').rows].map(row => row.cells[4].innerText)"
    async with shown(nats_server) as console, page(chromium) as browser:
        for channel in ("caller-1", "caller-2"):
            await console.setting.begin(channel)
        await browser.open(f"{console.url}?server=server-1&find=caller-2")
        await browser.until("document.querySelectorAll('#dialogs tr').length == 1")
        assert await browser.evaluate(rows) == ["caller-2"]
        assert await browser.evaluate("document.querySelector('#find').value") == "caller-2"

        await browser.evaluate(
            "byId('find').value = 'caller'; byId('find').dispatchEvent(new Event('input'))"
        )
        await browser.until("document.querySelectorAll('#dialogs tr').length == 2")
        assert await browser.evaluate("location.search") == "?server=server-1&find=caller"
        assert browser.complaints == []


async def test_link_to_a_server_of_another_console_says_so_and_leaves_a_choice(
    nats_server: NatsServer, chromium: str
) -> None:
    async with shown(nats_server) as console, page(chromium) as browser:
        await browser.open(f"{console.url}?server=elsewhere")
        await browser.until("document.querySelector('#checks .failed') !== null")
        assert await browser.evaluate("document.querySelector('#checks').innerText") == (
            "✗ console: no server 'elsewhere' is served here"
        )
        await console.setting.begin(CHANNEL)
        choice = "[byId('servers').hidden, [...byId('servers').options].map(one => one.text)]"
        assert await browser.evaluate(choice) == [False, ["server-1"]]
        await browser.evaluate(
            "byId('servers').value = 'server-1'; byId('servers').dispatchEvent(new Event('change'))"
        )
        await browser.until("document.querySelectorAll('#dialogs tr').length == 1")
        await browser.evaluate("server = 'elsewhere'; choose()")
        await browser.until("document.querySelectorAll('#dialogs tr').length == 0")
        assert await browser.evaluate("byId('count').textContent") == "0 of 0 dialogs"


async def test_call_that_is_over_is_found_with_why_it_ended(
    bus_server: BusServer, chromium: str
) -> None:
    async with shown(bus_server) as console, page(chromium) as browser:
        setting = console.setting
        dialog = await setting.begin(CHANNEL)
        await setting.client.command(dialog, "DELETE", f"/channels/{CHANNEL}")
        await setting.asterisk.push(channel_event("StasisEnd", CHANNEL))
        await setting.client.until(lambda: setting.client.ends.get(dialog))

        await browser.open(f"{console.url}?find={CHANNEL}")
        await browser.until("document.querySelector('#ended')?.rows.length == 1")
        row = "document.querySelector('#ended').innerText.split('\\t').slice(-3)"
        why = f"the application hung up with DELETE /channels/{CHANNEL}"
        assert await browser.evaluate(row) == ["demo", why, dialog]

        await browser.evaluate("document.querySelector('#ended button').click()")
        note = f"The dialog has ended: {why}."
        await browser.until(f"document.querySelector('#note').textContent == {json.dumps(note)}")
        drawn = await browser.evaluate(STEPS)
        assert drawn[:2] == [f"AppStart demo {CHANNEL}", "1 StasisStart"]
        assert f"DELETE /channels/{CHANNEL}" in drawn
        assert browser.complaints == []


async def test_stream_begins_when_copies_come(nats_server: NatsServer) -> None:
    """A browser that shows it as open misses nothing from then on."""
    link = Link(nats_server.port, kind="NATS")
    link.start()
    try:
        async with shown(link) as console, asyncio.TaskGroup() as tasks:
            dialog = await console.setting.begin(CHANNEL)
            link.freeze()
            asked = console.session.get("/console/copies", params={"dialog": dialog})
            stream_ = tasks.create_task(asked.__aenter__())
            for _ in range(20):  # Whatever it said at once would be here by then.
                async with console.session.get("/console") as page_:
                    await page_.read()
            assert not stream_.done()
            link.thaw()
            answer = await stream_
            assert await answer.content.readline() == b": watching\n"
            answer.close()
    finally:
        link.remove()


async def test_console_is_off_by_default(bus_server: BusServer) -> None:
    async with shown(bus_server, enabled=False) as console:
        for path in ("/console", "/console/state", "/console/ended", "/console/copies?dialog=x"):
            async with console.session.get(path) as answer:
                assert answer.status == 404


async def test_nothing_can_be_changed_and_nothing_foreign_be_loaded(bus_server: BusServer) -> None:
    async with shown(bus_server) as console:
        for path in ("/console", "/console/console.js", "/console/console.css", "/console/state"):
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                async with console.session.request(method, path) as answer:
                    assert answer.status == 405
            async with console.session.get(path) as answer:
                assert answer.status == 200
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                text = (await answer.text()).replace("http://www.w3.org/2000/svg", "")
                assert "://" not in text


async def test_dialogs_are_found_by_what_they_have(bus_server: BusServer) -> None:
    async with shown(bus_server) as console:
        await console.setting.begin("channel-1")
        for find, count in (("channel-1", 1), ("demo", 1), ("nothing", 0), ("", 1)):
            async with console.session.get("/console/state", params={"find": find}) as answer:
                state = await answer.json()
                assert (state["found"], state["total"]) == (count, 1)


async def test_only_the_newest_of_many_dialogs_are_shown(
    bus_server: BusServer,
) -> None:
    async with shown(bus_server) as shown_:
        for number in range(MAX_DIALOGS + 1):
            await shown_.setting.asterisk.push(channel_event("StasisStart", f"channel-{number}"))

        async def state() -> dict[str, Any]:
            async with shown_.session.get("/console/state") as answer:
                told: dict[str, Any] = await answer.json()
                return told

        async def has_all() -> bool:
            return bool((await state())["found"] == MAX_DIALOGS + 1)

        await until(has_all)
        dialogs = (await state())["dialogs"]
        newest = [[f"channel-{number}"] for number in range(MAX_DIALOGS, 0, -1)]
        assert [dialog["channels"] for dialog in dialogs] == newest


async def test_ladders_open_at_once_are_limited_and_room_comes_back(bus_server: BusServer) -> None:
    async with shown(bus_server) as shown_:
        path = "/console/copies?dialog=server-1.x"
        async with shown_.session.get("/console/copies") as answer:
            assert answer.status == 400
        async with AsyncExitStack() as streams:
            for _ in range(MAX_STREAMS):
                stream = await streams.enter_async_context(shown_.session.get(path))
                async with asyncio.timeout(20):
                    assert await stream.content.readline() == b": watching\n"
                assert stream.status == 200
            async with shown_.session.get(path) as above:
                assert above.status == 429

        async def has_room() -> bool:
            async with shown_.session.get(path) as answer:
                return answer.status == 200

        await until(has_room)


async def test_open_ladder_does_not_keep_the_process(bus_server: BusServer) -> None:
    async with (
        shown(bus_server) as console,
        console.session.get("/console/copies?dialog=server-1.x") as answer,
        asyncio.timeout(20),
    ):
        assert await answer.content.readline() == b": watching\n"
        console.stop.set()
        await answer.content.read()


async def test_step_of_a_stream_is_what_the_ladder_shows(bus_server: BusServer) -> None:
    async with shown(bus_server) as console:
        dialog = await console.setting.begin()
        async with console.session.get(f"/console/copies?dialog={dialog}") as answer:
            async with asyncio.timeout(20):
                assert await answer.content.readline() == b": watching\n"
                secret = '"variable":"API_TOKEN","value":"s3cr3t",'
                push = console.setting.asterisk.push
                await push(channel_event("ChannelVarset", "c", more=secret))
                await push(channel_event("StasisEnd", "c"))
                text = (await answer.content.read()).decode()
        rows = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        assert [(row["kind"], row["source"], row["target"]) for row in rows] == [
            ("event", "Asterisk", "application"),
            ("event", "Asterisk", "application"),
            ("event", "Asterisk", "application"),
            ("end", None, None),
        ]
        assert [row["text"] for row in rows[:3]] == [
            "2 ChannelVarset API_TOKEN=***",
            "3 StasisEnd",
            "4 ProxyDialogEnded channels_left",
        ]
