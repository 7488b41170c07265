"""Watching calls: copies, `tail` and `ladder`, on real buses; the applications notice nothing."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.ending import ending_of
from ari_proxy.tap.facts import CallFacts
from ari_proxy.tap.recorded_calls import RecordedCalls
from ari_proxy.tap.records import Kind, TapRecord
from ari_proxy.tap.watcher import NobodyServesError, Watcher
from ari_proxy.watch import ladder
from ari_proxy.watch.filters import Filter
from ari_proxy.watch.render.descriptions import message_of
from ari_proxy.watch.tail import tail
from tests.support import process
from tests.support.recording import recording
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    until,
    until_running,
)
from tests.support.scripted_asterisk import (
    ScriptedAsterisk,
    channel_event,
    scripted_asterisk,
)
from tests.support.servers import BusServer
from tests.support.setting import Setting, settings_of

SERVER = ServerId("server-1")


@asynccontextmanager
async def proxy(bus_server: BusServer) -> AsyncIterator[Setting]:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(
            asterisk, bus_server, ingest={"grace_seconds": 0, "listener_seconds": 1}
        )
        async with bus_client(settings) as bus, running_proxy(settings):
            await until(asterisk.connected.is_set)
            yield Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))


@asynccontextmanager
async def watching(
    bus: Bus, dialog_id: str = "", **seconds: float
) -> AsyncIterator[list[TapRecord]]:
    found: list[TapRecord] = []

    async def keep(copies: AsyncIterator[TapRecord]) -> None:
        async for copy in copies:
            found.append(copy)  # noqa: PERF401  to be seen at once

    async with Watcher(bus, SERVER, dialog_id, **seconds).watching() as copies:
        keeping = asyncio.create_task(keep(copies))
        try:
            yield found
        finally:
            keeping.cancel()


async def serve(setting: Setting) -> str:
    """Serve a call from its StasisStart to its end."""
    dialog = await setting.begin()
    await setting.client.command(dialog, "POST", "/channels/c/answer")
    await setting.asterisk.push(channel_event("StasisEnd", "c"))
    await setting.client.until(lambda: "StasisEnd" in setting.client.types(dialog))
    return dialog


def kinds(copies: list[TapRecord]) -> list[Kind]:
    return [copy.kind for copy in copies]


async def test_whole_call_is_seen_with_its_messages_as_they_were(bus_server: BusServer) -> None:
    async with proxy(bus_server) as setting, watching(setting.bus) as copies:
        dialog = await serve(setting)
        await until(lambda: "end" in kinds(copies))

        # Ingest and the executor copy each for itself.
        of_executor = [copy for copy in copies if copy.kind in {"command", "request", "response"}]
        of_ingest = [copy for copy in copies if copy not in of_executor]
        assert kinds(of_ingest) == ["app_start", "event", "event", "event", "end"]
        assert kinds(of_executor) == ["command", "request", "response"]
        assert {copy.dialog_id for copy in copies} == {dialog}
        assert message_of(of_ingest[0]) == setting.client.starts[0]
        events = [bytes(copy.message) for copy in copies if copy.kind == "event"]
        assert events[:-1] == setting.client.raw_events
        assert b"ProxyDialogEnded" in events[-1]
        assert message_of(of_executor[-1]) == setting.client.responses[dialog][0]


async def test_watching_is_no_listening(bus_server: BusServer) -> None:
    """Nobody serves the call: it is given up all the same, and seen to be."""
    async with proxy(bus_server) as setting, watching(setting.bus) as copies:
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: any("continue" in r.target for r in setting.asterisk.requests))
        await until(lambda: "unheard" in kinds(copies))

        assert "app_start" not in kinds(copies)


async def test_watcher_of_one_dialog_sees_no_other(bus_server: BusServer) -> None:
    async with proxy(bus_server) as setting:
        dialog = await setting.begin("c")
        async with watching(setting.bus, dialog) as copies:
            await setting.asterisk.push(channel_event("StasisStart", "other"))
            await until(lambda: len(setting.client.starts) == 2)
            await setting.asterisk.push(channel_event("StasisEnd", "c"))
            await until(lambda: "end" in kinds(copies))
        assert {copy.dialog_id for copy in copies} == {dialog}


async def test_copies_end_soon_after_the_last_watcher_has_gone(
    bus_server: BusServer,
) -> None:
    async with proxy(bus_server) as setting:
        heard: list[str] = []
        await setting.bus.subscribe("copies_server-1", lambda message: heard.append(message.topic))
        dialog = await setting.begin()
        async with watching(setting.bus, watch_seconds=0.3, renew_seconds=0.1) as copies:
            await asyncio.sleep(0.6)  # Longer than one asking lasts.
            await setting.asterisk.push(channel_event("ChannelHold", "c"))
            await until(lambda: copies)
        await until(lambda: heard)
        await asyncio.sleep(0.5)
        heard.clear()
        await setting.asterisk.push(channel_event("ChannelUnhold", "c"))
        await setting.client.until(lambda: "ChannelUnhold" in setting.client.types(dialog))
        await setting.bus.flush(timeout_seconds=5)
        assert not heard


async def test_server_that_nobody_serves_is_named(bus_server: BusServer) -> None:
    async with proxy(bus_server) as setting:
        with pytest.raises(ExceptionGroup) as caught:
            async with Watcher(setting.bus, ServerId("nobody")).watching():
                pass
        assert caught.group_contains((NobodyServesError, BusError))


async def test_ladder_of_an_unknown_dialog_says_so(bus_server: BusServer) -> None:
    async with proxy(bus_server) as setting:
        await setting.begin()
        stop = asyncio.Event()
        unknown = "server-1.0123456789abcdef"
        with pytest.raises(ExceptionGroup) as caught:
            await ladder.follow(setting.settings, [SERVER], unknown, stop, [], ladder.silent)
        assert caught.group_contains(ladder.NoSuchDialogError)


@asynccontextmanager
async def tailing(
    settings: Settings, *servers: str, **options: float
) -> AsyncIterator[list[TapRecord]]:
    """Tail servers around a block."""
    found: list[TapRecord] = []
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tail(settings, servers, Filter(), found.append, stop, **options))
        yield found
        stop.set()


async def test_servers_are_shown_by_their_names_and_one_that_is_away_hides_none(
    bus_server: BusServer,
) -> None:
    """It is shown as soon as somebody serves it."""
    async with scripted_asterisk() as one, scripted_asterisk() as other:
        first = settings_of(one, bus_server)
        second = settings_of(other, bus_server).model_copy(update={"server_id": "other"})

        async def shown(asterisk: ScriptedAsterisk, server: str) -> bool:
            await asterisk.push(channel_event("StasisStart", server))
            return any(record.server_id == server for record in found)

        async with (
            bus_client(first) as bus,
            running_proxy([first]),
            AsyncExitStack() as stack,
        ):
            await until_running(first)
            tailed = tailing(first, SERVER, "other", again_seconds=0.1)
            found = await stack.enter_async_context(tailed)
            await LegacyClient(bus, "demo").start()
            await until(partial(shown, one, SERVER))
            async with running_proxy([second]):
                await until(partial(shown, other, "other"))
    for record in found:
        if record.kind == "event":
            body = json.loads(message_of(record)["ari_body"])
            assert body["channel"]["id"] == record.server_id


async def test_none_of_several_servers_is_served(nats_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, nats_server)
        with pytest.raises(ExceptionGroup) as caught:
            async with tailing(settings, "nobody", "nobody-else"):
                await asyncio.Event().wait()

    assert caught.group_contains(NobodyServesError)


@asynccontextmanager
async def apart(bus_server: BusServer, **recorder: object) -> AsyncIterator[Setting]:
    """Run ingest and command apart, each with a recorder of its own."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, ingest={"grace_seconds": 0}, recorder=recorder)
        async with (
            bus_client(settings) as bus,
            running_proxy(settings, ["ingest"]),
            running_proxy(settings, ["command"]),
        ):
            await until_running(settings)
            yield Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))


async def serve_to_the_hang_up(setting: Setting) -> str:
    """Serve a call that the application hangs up after a command that fails."""
    dialog = await setting.begin()
    refusal = 404, '{"message":"Playback not found"}'
    setting.asterisk.answer("DELETE", "/playbacks/p", *refusal)
    await setting.client.command(dialog, "DELETE", "/playbacks/p")
    await setting.client.command(dialog, "DELETE", "/channels/c")
    await setting.asterisk.push(channel_event("StasisEnd", "c"))
    await setting.client.until(lambda: setting.client.ends.get(dialog))
    return dialog


async def ended_call(setting: Setting, dialog: str) -> CallFacts:
    """Return a call once both processes have said what they know."""
    found: list[CallFacts] = []

    async def is_known() -> bool:
        calls = await RecordedCalls(setting.bus, SERVER).calls()
        found[:] = [facts for facts in calls if facts.dialog_id == dialog]
        return bool(found and found[0].ended_at and found[0].departures)

    await until(is_known)
    return found[0]


async def test_call_that_is_over_is_known_with_why_it_ended(bus_server: BusServer) -> None:
    async with apart(bus_server) as setting:
        dialog = await serve_to_the_hang_up(setting)
        facts = await ended_call(setting, dialog)

    assert ending_of(facts) == (
        "hung_up_by_application",
        (
            "the application hung up with DELETE /channels/c, "
            "after DELETE /playbacks/p had failed: 404 Playback not found"
        ),
    )
    assert (facts.application, facts.channel_id) == ("demo", "c")
    assert [(one.request, one.status) for one in facts.failed] == [("DELETE /playbacks/p", 404)]


async def test_recorder_that_is_off_keeps_nothing(bus_server: BusServer) -> None:
    async with (
        apart(bus_server, enabled=False) as setting,
        bus_client(setting.settings, "ingest") as bus,
    ):
        await serve_to_the_hang_up(setting)
        other = await recording(bus, "other", SERVER)  # Without it, nobody might have been asked.
        other.copy("event", "server-1.other")

        async def only_the_other_knows_a_call() -> bool:
            calls = await RecordedCalls(setting.bus, SERVER).calls()
            return [facts.dialog_id for facts in calls] == ["server-1.other"]

        await until(only_the_other_knows_a_call)


async def test_ladder_of_an_open_call_begins_with_the_call(bus_server: BusServer) -> None:
    async with apart(bus_server) as setting, asyncio.TaskGroup() as tasks:
        dialog = await setting.begin()
        await setting.client.command(dialog, "POST", "/channels/c/answer")
        found: list[TapRecord] = []
        follow = ladder.follow(
            setting.settings, [SERVER], dialog, asyncio.Event(), found, ladder.silent
        )
        following = tasks.create_task(follow)
        await until(lambda: "event" in kinds(found))
        secret = '"variable":"API_TOKEN","value":"s3cr3t",'
        await setting.asterisk.push(channel_event("ChannelVarset", "c", more=secret))
        await setting.asterisk.push(channel_event("StasisEnd", "c"))
        async with asyncio.timeout(30):
            await following

    shown = b"".join(bytes(record.message) for record in found)
    assert (b"ChannelVarset" in shown, b"s3cr3t" in shown) == (True, False)
    of_ingest = [kind for kind in kinds(found) if kind in {"app_start", "event", "end"}]
    assert of_ingest == ["app_start", *["event"] * 4, "end"]
    assert {"command", "request", "response"} <= set(kinds(found))


# As users run them


async def printed(setting: Setting, directory: Path, *arguments: str) -> list[str]:
    """Return the lines that a command of the CLI prints before it ends by itself."""
    async with command_line(setting, directory, *arguments) as running, asyncio.timeout(60):
        assert running.stdout is not None
        lines = (await running.stdout.read()).decode().splitlines()
        assert await running.wait() == 0
    return lines


async def test_calls_and_the_ladder_of_one_that_is_over(
    bus_server: BusServer, tmp_path: Path
) -> None:
    async with apart(bus_server) as setting:
        dialog = await serve_to_the_hang_up(setting)
        facts = await ended_call(setting, dialog)
        rows = await printed(setting, tmp_path, "calls", "--failed", "--json")
        assert await printed(setting, tmp_path, "calls", "--application", "other") == []
        (drawn,) = await printed(setting, tmp_path, "ladder", "c", "--format", "json")
        text = await printed(setting, tmp_path, "ladder", dialog)

    assert [json.loads(row)["dialog_id"] for row in rows] == [dialog]
    assert json.loads(rows[0])["why"] == ending_of(facts).sentence
    assert json.loads(drawn)["dialog_id"] == dialog
    assert json.loads(drawn)["why"]["reason"] == "hung_up_by_application"
    steps = [step["kind"] for step in json.loads(drawn)["steps"]]
    assert steps.count("command") == steps.count("response") == 2
    assert steps[-1] == "end"
    assert text[0] == f"dialog {dialog}"
    assert ending_of(facts).sentence in text[-1]


@asynccontextmanager
async def command_line(
    setting: Setting, directory: Path, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ari_proxy",
        *arguments,
        cwd=directory,
        env=os.environ | process.environment_of(setting.settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            _, errors = await running.communicate()
        assert not errors, errors.decode()


async def test_tail_and_ladder_of_a_call(bus_server: BusServer, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    async with proxy(bus_server) as setting:
        dialog = await setting.begin()
        async with (
            command_line(setting, tmp_path, "tail", "--json") as tail,
            command_line(
                setting, tmp_path, "tail", "--type", "ChannelHold", "--type", "StasisEnd"
            ) as filtered,
            command_line(setting, tmp_path, "ladder", dialog) as live,
        ):
            # All three watch once each has shown an event.
            lines = await _shown(setting, tail)
            await _shown(setting, filtered)
            await _shown(setting, live)
            await setting.client.command(dialog, "POST", "/channels/c/answer")
            await _shown(setting, live)
            await asyncio.sleep(1)
            await setting.asterisk.push(channel_event("StasisEnd", "c"))
            async with asyncio.timeout(20):
                assert tail.stdout is not None
                assert filtered.stdout is not None
                while '"kind":"end"' not in lines[-1]:
                    lines.append((await tail.stdout.readline()).decode())
                while "ChannelHold" in (line := (await filtered.stdout.readline()).decode()):
                    pass
                assert line.rstrip().endswith("StasisEnd")
                assert await live.wait() == 0  # At the dialog's end.
        record.write_text("".join(lines))
        async with command_line(
            setting, tmp_path, "ladder", dialog, "--from", str(record), "--format", "json"
        ) as drawing:
            assert drawing.stdout is not None
            drawn = json.loads(await drawing.stdout.read())
        kinds = [step["kind"] for step in drawn["steps"]]
        assert kinds[-2:] == ["event", "end"]
        assert [kind for kind in kinds if kind != "event"][:3] == ["command", "request", "response"]


async def _shown(setting: Setting, running: asyncio.subprocess.Process) -> list[str]:
    """Let events happen until a process has shown one; return what it has shown."""
    assert running.stdout is not None
    async with asyncio.timeout(20):
        while True:
            await setting.asterisk.push(channel_event("ChannelHold", "c"))
            try:
                async with asyncio.timeout(0.5):
                    while line := (await running.stdout.readline()).decode():
                        if "ChannelHold" in line:
                            return [line]
            except TimeoutError:
                continue
