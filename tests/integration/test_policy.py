"""What commands may do: by application, by dialog, and with recordings; on real buses."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ari_proxy.bus.listeners import has_listener
from ari_proxy.client.application import call
from ari_proxy.protocol.ids import DialogId, ServerId, new_object_id, token_of_dialog
from ari_proxy.protocol.messages import Command
from tests.support.running import LegacyClient, bus_client, running_proxy, until, until_running
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer
from tests.support.setting import Setting, settings_of


@asynccontextmanager
async def proxy_with(
    bus_server: BusServer, served: tuple[str, ...] = ("demo",), /, **command: Any
) -> AsyncIterator[Setting]:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, command=command)
        settings = settings.model_copy(update={"applications": served})
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_running(settings)
            yield Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))


async def outcome(setting: Setting, dialog: str, method: str, url: str) -> tuple[int, str]:
    answer = await setting.client.command(dialog, method, url)
    return answer["status_code"], json.loads(answer["response_body"] or "{}").get("error", "")


REFUSED = (403, "ari_proxy.scope")
TAKEN = (409, "ari_proxy.scope")
DONE = (204, "")


async def begin(setting: Setting, channel: str, application: str = "demo") -> str:
    client = LegacyClient(setting.bus, application)
    await client.start()
    await setting.asterisk.push(channel_event("StasisStart", channel, application))
    dialog = await client.first_dialog()
    setting.client.responses[dialog] = client.responses[dialog]
    setting.client = client
    return dialog


@pytest.mark.parametrize("url", ["/asterisk/modules", "/asterisk/modules/res_pjsip.so"])
async def test_asterisk_itself_is_not_changed_by_default(bus_server: BusServer, url: str) -> None:
    async with proxy_with(bus_server) as setting:
        dialog = await setting.begin()

        assert await outcome(setting, dialog, "DELETE", url) == (403, "ari_proxy.policy")
        dynamic = "/asterisk/config/dynamic/res_pjsip/endpoint/x"
        assert await outcome(setting, dialog, "PUT", dynamic) == (403, "ari_proxy.policy")
        assert await outcome(setting, dialog, "GET", "/asterisk/info?x") != DONE
        assert await outcome(setting, dialog, "GET", "/asterisk/logging") == DONE


async def test_application_has_a_policy_of_its_own(bus_server: BusServer) -> None:
    policies = {"quiet": {"allow": ["GET /**"]}}
    async with proxy_with(bus_server, ("demo", "quiet"), applications=policies) as setting:
        quiet = await begin(setting, "q", "quiet")
        refused = await outcome(setting, quiet, "POST", "/channels/q/answer")
        read = await outcome(setting, quiet, "GET", "/channels/q")
        loud = await begin(setting, "d", "demo")
        done = await outcome(setting, loud, "POST", "/channels/d/answer")

    assert (refused, read, done) == ((403, "ari_proxy.policy"), DONE, DONE)


async def test_dialog_of_narrow_scope_touches_only_its_own_objects(bus_server: BusServer) -> None:
    async with proxy_with(bus_server, scope="dialog") as setting:
        other = await setting.begin("other")
        mine = await begin_second(setting, "mine")
        ours = new_object_id(token_of_dialog(DialogId(mine)))
        theirs = new_object_id(token_of_dialog(DialogId(other)))
        expected = {
            ("POST", "/channels/mine/answer"): DONE,
            ("POST", "/channels/mine;2/answer"): DONE,
            ("POST", f"/channels/{ours}/answer"): DONE,
            ("POST", f"/channels/{theirs}/answer"): REFUSED,
            ("POST", "/channels/other/answer"): REFUSED,
            ("DELETE", "/channels/unknown"): REFUSED,
            ("GET", "/channels"): REFUSED,
            ("POST", "/bridges/named"): DONE,
            ("POST", "/bridges/named/addChannel?channel=mine"): DONE,
            ("POST", "/bridges/named/addChannel?channel=mine,other"): REFUSED,
            ("DELETE", "/bridges/another"): REFUSED,
            ("POST", "/channels/mine/record?name=r&format=wav"): DONE,
            ("POST", "/recordings/live/r/stop"): DONE,
            ("POST", "/recordings/live/s/stop"): REFUSED,
            ("GET", "/endpoints"): DONE,
            ("POST", "/channels/mine/newest"): REFUSED,
        }

        got = {request: await outcome(setting, mine, *request) for request in expected}
        answer = await call(
            setting.bus, ServerId("server-1"), Command("u", "/channels/mine/answer", "POST")
        )

    assert got == expected
    assert answer.status_code == 403


async def begin_second(setting: Setting, channel: str) -> str:
    await setting.asterisk.push(channel_event("StasisStart", channel))
    client = setting.client
    await client.until(lambda: len(client.starts) == 2)
    dialog: str = client.starts[1]["dialog_id"]
    await client.until(lambda: client.types_of(dialog))
    return dialog


@pytest.mark.parametrize(
    ("stored", "own", "other", "listed"),
    [
        ("all", DONE, DONE, DONE),
        ("own", DONE, REFUSED, REFUSED),
        ("none", REFUSED, REFUSED, REFUSED),
    ],
)
async def test_stored_recordings_of_others_can_be_kept_from_a_dialog(
    bus_server: BusServer,
    stored: str,
    own: tuple[int, str],
    other: tuple[int, str],
    listed: tuple[int, str],
) -> None:
    async with proxy_with(bus_server, stored_recordings=stored) as setting:
        dialog = await setting.begin("c")
        assert await outcome(setting, dialog, "POST", "/channels/c/record?name=r") == DONE

        assert await outcome(setting, dialog, "GET", "/recordings/stored/r/file") == own
        assert await outcome(setting, dialog, "GET", "/recordings/stored/x/file") == other
        play = "/channels/c/play?media=recording:"
        assert await outcome(setting, dialog, "POST", f"{play}r") == own
        assert await outcome(setting, dialog, "POST", f"{play}x") == other
        assert await outcome(setting, dialog, "GET", "/recordings/stored") == listed
        # The scope is another matter.
        assert await outcome(setting, dialog, "POST", "/channels/elsewhere/answer") == DONE


async def test_nothing_is_done_that_ingest_could_not_be_asked_about(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, command={"scope": "dialog"})
        async with bus_client(settings) as bus, running_proxy(settings, ["command"]):
            await until_running(settings, ingest=False)
            client = LegacyClient(bus, "demo")
            commands = "commands_server-1.0123456789abcdef"

            async def is_served() -> bool:
                # An executor that comes later would ask the ingest for it, and there is none.
                if bus.queues is not None:
                    await bus.queues.declare([commands])
                return await has_listener(bus, commands, b"DUMMY")

            await until(is_served)
            await client.listen("server-1.0123456789abcdef")
            setting = Setting(asterisk, settings, bus, client)
            got = await outcome(setting, "server-1.0123456789abcdef", "POST", "/channels/c/answer")

    assert got == (503, "ari_proxy.policy")
    assert asterisk.requests == []


#: By kind: what makes an object of a name that the client chooses, what reads it, the event that
#: tells its end, and the request that ends it where no event does.
NAMED = {
    "channel": ("/channels/x?app=demo&endpoint=a", "/channels/x", "ChannelDestroyed", ""),
    "bridge": ("/bridges/x", "/bridges/x", "BridgeDestroyed", ""),
    "playback": ("/channels/{c}/play/x?media=a", "/playbacks/x", "PlaybackFinished", ""),
    "live recording": (
        "/channels/{c}/record?name=x&format=wav",
        "/recordings/live/x",
        "",
        "/recordings/live/x",
    ),
    "stored recording": (
        "/channels/{c}/record?name=x&format=wav",
        "/recordings/stored/x",
        "",
        "/recordings/stored/x",
    ),
}


def end_of(event_type: str) -> str:
    kind = {"ChannelDestroyed": "channel", "BridgeDestroyed": "bridge"}.get(event_type, "playback")
    return json.dumps({"type": event_type, "application": "demo", kind: {"id": "x"}})


@pytest.mark.parametrize("kind", NAMED)
async def test_name_that_is_used_again_is_the_new_dialogs_only(
    bus_server: BusServer, kind: str
) -> None:
    create, read, event_type, delete = NAMED[kind]
    limits: dict[str, Any] = {"scope": "dialog", "stored_recordings": "own"}
    async with (
        proxy_with(bus_server, **limits) as setting,
        running_proxy(setting.settings, ["command"]),
    ):
        first = await setting.begin("first")
        second = await begin_second(setting, "second")

        async def asks(dialog: str, method: str, url: str) -> tuple[int, str]:
            url = url.format(c="first" if dialog == first else "second")
            return await outcome(setting, dialog, method, url)

        before = [await asks(first, "POST", create)]
        before += [await asks(first, "GET", read) for _ in range(4)]  # By either executor.
        taken = await asks(second, "POST", create)
        still = await asks(first, "GET", read)
        if delete:
            before.append(await asks(first, "DELETE", delete))
        else:
            await setting.asterisk.push(end_of(event_type))
            await setting.client.until(lambda: event_type in setting.client.types_of(first))
        again = await asks(second, "POST", create)
        own = [await asks(second, "GET", read) for _ in range(4)]
        others = [await asks(first, method, read) for method in ("GET", "DELETE") * 2]

    assert (before, still, again) == ([DONE] * len(before), DONE, DONE)
    assert taken == TAKEN
    assert (own, others) == ([DONE] * 4, [REFUSED] * 4)


async def test_recording_is_not_got_hold_of_by_recording_it_again(bus_server: BusServer) -> None:
    async with proxy_with(bus_server, stored_recordings="own") as setting:
        first = await setting.begin("first")
        second = await begin_second(setting, "second")
        record = "/channels/{c}/record?name=secret&format=wav"

        async def asks(dialog: str, method: str, url: str, body: str = "") -> tuple[int, str]:
            url = url.format(c="first" if dialog == first else "second")
            answer = await setting.client.command(dialog, method, url, body)
            refusal = json.loads(answer["response_body"] or "{}").get("error", "")
            return answer["status_code"], refusal

        own = [await asks(first, "POST", record)]
        own += [await asks(first, "POST", f"{record}&ifExists={how}") for how in ("append", "fail")]
        await setting.asterisk.push(channel_event("StasisEnd", "first"))
        await setting.client.until(lambda: "StasisEnd" in setting.client.types_of(first))
        late = await asks(first, "GET", "/recordings/stored/secret/file")
        others = [
            await asks(second, "POST", record + "&ifExists=append"),
            await asks(second, "POST", record + "&ifExists=overwrite"),
            await asks(second, "POST", record, '{"ifExists":"overwrite"}'),
            await asks(second, "POST", record.replace("secret", "unknown") + "&ifExists=append"),
            await asks(second, "POST", record.replace("secret", "./secret")),
            await asks(second, "POST", "/channels/{c}/play?media=recording:./secret"),
            await asks(second, "POST", "/channels/{c}/play?media=sound:/var/spool/secret"),
            await asks(second, "GET", "/recordings/stored/secret/file"),
        ]
        taken = await asks(second, "POST", record)

    assert (own, late) == ([DONE] * 3, DONE)
    assert others == [REFUSED] * len(others)
    assert taken == TAKEN
