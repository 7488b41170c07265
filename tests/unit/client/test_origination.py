"""Calls that an App places, on the bus in memory: who gets them, and that nothing is left."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import structlog

from ari_proxy import App, Call
from ari_proxy.bus.base import opened
from ari_proxy.bus.memory.bus import MemoryBus
from ari_proxy.client.bus_at import bus_at
from ari_proxy.client.errors import (
    Busy,
    CallEnded,
    InvalidParameters,
    Misconfigured,
    NoAnswer,
    NotAllowed,
    NotSent,
    OutcomeUnknown,
    Rejected,
)
from ari_proxy.client.events import Event
from tests.support.application import Proxy, asterisks, until

URL = "memory://originate"


class Stage:
    """An App that places calls, and what stands for ari-proxy."""

    def __init__(self, app: App, proxy: Proxy) -> None:
        self.app = app
        self.proxy = proxy

    def originate(self, **options: Any) -> Any:
        return self.app.originate("PJSIP/200", server="server-1", **options)

    @property
    def request(self) -> dict[str, str]:
        """What Asterisk is asked for."""
        url = urlsplit(self.proxy.placed[0]["url"])
        return {"path": url.path} | dict(parse_qsl(url.query))

    @property
    def channel(self) -> str:
        return self.request["channelId"]

    @property
    def dialog(self) -> str:
        return str(self.proxy.placed[0]["dialog_id"])

    @property
    def hang_up(self) -> tuple[str, str]:
        return "DELETE", f"/channels/{self.channel}"

    def send(self, event_type: str, **fields: Any) -> None:
        self.proxy.send_all_of(asterisks(event_type, self.channel, **fields), self.dialog)

    def answer(self) -> None:
        self.send("StasisStart", args=[])

    async def until_placed(self) -> None:
        await until(lambda: self.proxy.placed)

    async def until_nothing_is_left(self) -> None:
        for topic in ("events", "responses"):
            await self.proxy.until_unheard(f"{topic}_{self.dialog}")


@asynccontextmanager
async def stage(app: App | None = None) -> AsyncIterator[Stage]:
    async with opened(bus_at(URL, name="ari-proxy")) as bus, app or App("demo", URL) as running:
        assert isinstance(bus, MemoryBus)
        proxy = Proxy(bus)
        await proxy.place_calls()
        yield Stage(running, proxy)


async def answers(scene: Stage) -> None:
    await scene.until_placed()
    scene.answer()


async def in_vain(scene: Stage, **event: Any) -> None:
    await scene.until_placed()
    scene.send("ChannelDestroyed", **event)


async def test_answered_call_is_a_call_like_any_other_until_its_block_ends() -> None:
    async with stage() as scene, asyncio.TaskGroup() as tasks:
        tasks.create_task(answers(scene))
        options = {"caller_id": "Ann <100>", "variables": {"WHO": "Ann"}, "arguments": ["a", "b"]}
        async with scene.originate(timeout=20, **options) as call:
            assert (call.dialog_id, call.channel_id) == (scene.dialog, scene.channel)
            assert (call.application, call.server_id) == ("demo", "server-1")
            await call.ari.channels.ring(call.channel_id)
            assert (await anext(call.events())).type == "StasisStart"
            assert not call.is_over
        await scene.until_nothing_is_left()

    assert scene.request == {
        "path": "/channels",
        "endpoint": "PJSIP/200",
        "app": "demo",
        "appArgs": "a,b",
        "callerId": "Ann <100>",
        "timeout": "25",
        "channelId": scene.channel,
    }
    assert json.loads(scene.proxy.placed[0]["body"]) == {"variables": {"WHO": "Ann"}}
    assert scene.proxy.done == [("POST", f"/channels/{scene.channel}/ring"), scene.hang_up]


async def test_block_that_raises_hangs_up() -> None:
    async with stage() as scene, asyncio.TaskGroup() as tasks:
        tasks.create_task(answers(scene))
        with pytest.raises(ZeroDivisionError):
            async with scene.originate():
                raise ZeroDivisionError
        await scene.until_nothing_is_left()

    assert scene.proxy.done == [scene.hang_up]


async def test_awaited_call_goes_on_until_somebody_hangs_up() -> None:
    async with stage() as scene, asyncio.TaskGroup() as tasks:
        tasks.create_task(answers(scene))
        call = await scene.originate()
        assert isinstance(call, Call)
        await call.answer()
        scene.send("StasisEnd")
        await scene.until_nothing_is_left()
        assert call.is_over

    assert scene.proxy.done == [("POST", f"/channels/{scene.channel}/answer")]


@pytest.mark.parametrize(
    ("cause", "error"), [(17, Busy), (19, NoAnswer), (34, Rejected)], ids=["busy", "rung", "34"]
)
async def test_call_that_is_not_answered_says_why_and_leaves_nothing(
    cause: int, error: type[Exception]
) -> None:
    async with stage() as scene, asyncio.TaskGroup() as tasks:
        tasks.create_task(in_vain(scene, cause=cause, cause_txt=""))
        with pytest.raises(error, match=r"^PJSIP/200: "):
            async with scene.originate():
                pytest.fail("it was answered")
        await scene.until_nothing_is_left()

    assert scene.proxy.done == []


async def test_call_that_rings_for_too_long_is_hung_up() -> None:
    async with stage() as scene:
        with pytest.raises(NoAnswer):
            await scene.originate(timeout=0.01)
        await scene.until_nothing_is_left()

    assert scene.proxy.done == [scene.hang_up]


async def test_cancelled_while_it_rings_it_is_hung_up() -> None:
    async with stage() as scene:
        async with asyncio.TaskGroup() as tasks:
            placing = tasks.create_task(_placed(scene))
            await scene.until_placed()
            await scene.proxy.until_heard(f"events_{scene.dialog}")
            placing.cancel()
        # The wait itself has seen to that.
        assert scene.proxy.done == [scene.hang_up]
        await scene.until_nothing_is_left()


async def _placed(scene: Stage) -> None:
    await scene.originate()


async def test_cancelled_before_asterisk_has_answered_it_is_hung_up_behind_that() -> None:
    async with stage() as scene:
        scene.proxy.is_answering = False
        async with asyncio.TaskGroup() as tasks:
            placing = tasks.create_task(_placed(scene))
            await scene.until_placed()
            placing.cancel()
            await asyncio.sleep(0)
            assert scene.proxy.done == []  # It might come before the channel.
            scene.proxy.is_answering = True
            scene.proxy.answer_placing()
        assert scene.proxy.done == [scene.hang_up]


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (500, '{"error": "Allocation failed"}', Rejected, "^PJSIP/200: rejected$"),
        (400, '{"message": "Endpoint must be specified"}', InvalidParameters, "Endpoint must"),
        (403, '{"message": "m", "error": "ari_proxy.policy", "sent": false}', NotAllowed, "403"),
        (503, '{"message": "m", "error": "ari_proxy.overload", "sent": false}', NotSent, "m$"),
    ],
)
async def test_refused_request_says_why_and_leaves_nothing(
    status: int, body: str, error: type[Exception], message: str
) -> None:
    async with stage() as scene:
        scene.proxy.placing = status, body
        with pytest.raises(error, match=message):
            await scene.originate()
        await scene.until_nothing_is_left()

    assert scene.proxy.done == []


async def test_request_is_repeated_until_there_is_an_ingest() -> None:
    async with stage() as scene, asyncio.TaskGroup() as tasks:
        working = scene.proxy.placing
        refused = {"message": "m", "error": "ari_proxy.registration", "sent": False}
        scene.proxy.placing = 503, json.dumps(refused)

        async def come() -> None:
            await scene.until_placed()
            scene.proxy.placing = working
            await until(lambda: len(scene.proxy.placed) > 1)
            scene.answer()

        tasks.create_task(come())
        async with scene.originate() as call:
            assert call.channel_id == scene.channel

    assert len({json.dumps(placed) for placed in scene.proxy.placed}) == 1


async def test_request_whose_outcome_is_not_known_is_followed_by_a_hang_up() -> None:
    async with stage(App("demo", URL, response_seconds=0.05)) as scene:
        scene.proxy.is_answering = False
        with pytest.raises(OutcomeUnknown):
            await scene.originate()
        await scene.until_nothing_is_left()

    # Nobody has answered: it was sent again, as its executor may have died.
    assert scene.proxy.done == [scene.hang_up, scene.hang_up]


MISSED = {"message": "no answer in time", "error": "ari_proxy.timeout", "sent": True}


async def test_call_that_asterisk_has_placed_late_is_found() -> None:
    """Its executor did not wait for the answer, and says so."""
    async with stage() as scene, asyncio.TaskGroup() as tasks:
        working = scene.proxy.placing
        scene.proxy.placing = 504, json.dumps(MISSED)

        async def come() -> None:
            await scene.until_placed()
            scene.proxy.placing = working
            await until(lambda: len(scene.proxy.placed) > 1)
            scene.answer()

        tasks.create_task(come())
        async with scene.originate() as call:
            assert call.channel_id == scene.channel

    asked = [(placed["method"], placed["url"]) for placed in scene.proxy.placed[1:]]
    assert asked == [("GET", f"/channels/{scene.channel}")]


async def test_call_that_asterisk_may_place_yet_is_hung_up_at_its_server() -> None:
    async with stage() as scene:
        scene.proxy.placing = 504, json.dumps(MISSED)
        with pytest.raises(OutcomeUnknown):
            await scene.originate()

    asked = [(placed["method"], placed["url"]) for placed in scene.proxy.placed[1:]]
    assert asked == [("GET", f"/channels/{scene.channel}"), scene.hang_up]


async def test_server_that_nobody_serves_is_named() -> None:
    async with App("demo", URL) as app:
        with pytest.raises(NotSent, match=r"no executor of the server 'asterisk' is there"):
            await app.originate("PJSIP/200")


async def test_answer_that_was_lost_is_read_after_a_gap() -> None:
    async with stage() as scene, asyncio.TaskGroup() as tasks:

        async def lose_the_answer() -> None:
            await scene.until_placed()
            up = json.dumps(asterisks("StasisStart", scene.channel)["channel"] | _IN_STASIS)
            scene.proxy.bodies[f"/channels/{scene.channel}"] = up
            scene.proxy.statuses["GET"] = 200
            gap = {"type": "ProxyGap", "reason": "websocket_lost"}
            scene.proxy.send_all_of(gap, scene.dialog)

        tasks.create_task(lose_the_answer())
        async with scene.originate() as call:
            assert not call.is_over


_IN_STASIS = {
    "dialplan": {"context": "", "exten": "", "priority": 1, "app_name": "Stasis", "app_data": ""}
}


async def test_listener_hears_what_comes_before_the_answer() -> None:
    heard: list[str] = []

    def listen(event: Event) -> None:
        heard.append(event.type)

    async with stage() as scene, asyncio.TaskGroup() as tasks:

        async def ring() -> None:
            await scene.until_placed()
            scene.send("ChannelStateChange")
            scene.answer()

        tasks.create_task(ring())
        async with scene.originate(listener=listen) as call:
            scene.send("ChannelHold")
            await call.wait_for(Event, where=lambda event: event.type == "ChannelHold")

    assert heard == ["ChannelStateChange", "StasisStart"]


async def test_dialog_that_ends_before_the_answer_is_rejected() -> None:
    async with stage() as scene, asyncio.TaskGroup() as tasks:

        async def end() -> None:
            await scene.until_placed()
            ended = {"type": "ProxyDialogEnded", "reason": "no_channel"}
            scene.proxy.send_all_of(ended, scene.dialog)

        tasks.create_task(end())
        with pytest.raises(Rejected):
            await scene.originate()
        await scene.until_nothing_is_left()


async def test_app_that_stops_lets_placed_calls_end_and_hangs_up_those_that_do_not() -> None:
    with structlog.testing.capture_logs() as logs:
        app = App("demo", URL, shutdown_seconds=0.01)
        async with stage(app) as scene, asyncio.TaskGroup() as tasks:
            tasks.create_task(answers(scene))
            await scene.originate()
        assert scene.proxy.done == [scene.hang_up]

    assert [line["event"] for line in logs if line["log_level"] in {"warning", "error"}] == [
        "shutdown.calls_cancelled"
    ]


async def test_app_that_stops_ends_a_call_that_rings() -> None:
    app, stop = App("demo", URL, shutdown_seconds=0.01), asyncio.Event()
    failures: list[Exception] = []

    @app.call
    async def serve(_: Call) -> None: ...

    async with opened(bus_at(URL, name="ari-proxy")) as bus, asyncio.TaskGroup() as tasks:
        assert isinstance(bus, MemoryBus)
        scene = Stage(app, Proxy(bus))
        await scene.proxy.place_calls()
        serving = tasks.create_task(app.serve(stop))
        await scene.proxy.until_heard("demo")

        async def place() -> None:
            with pytest.raises(CallEnded) as raised:
                await scene.originate()
            failures.append(raised.value)

        tasks.create_task(place())
        await scene.until_placed()
        stop.set()
        await serving
        await until(lambda: failures)
        assert scene.proxy.done == [scene.hang_up]


async def test_many_at_once_need_no_places() -> None:
    app, count = App("demo", URL, concurrency=1), 300
    answered, all_answered = list[str](), asyncio.Barrier(count)

    async with stage(app) as scene, asyncio.TaskGroup() as tasks:

        async def place() -> None:
            async with scene.originate() as call:
                answered.append(call.dialog_id)
                await all_answered.wait()

        for _ in range(count):
            tasks.create_task(place())
        await until(lambda: len(scene.proxy.placed) == count)
        for command in scene.proxy.placed:
            channel = dict(parse_qsl(urlsplit(command["url"]).query))["channelId"]
            start = asterisks("StasisStart", channel, args=[])
            scene.proxy.send_all_of(start, command["dialog_id"])

    assert len(set(answered)) == count
    assert len(scene.proxy.done) == count


async def test_handler_may_place_a_call_on_the_server_of_its_own() -> None:
    app, placed = App("demo", URL), list[Call]()

    @app.call
    async def serve(call: Call) -> None:
        async with app.originate("PJSIP/200", server=call.server_id) as other:
            placed.append(other)

    async with stage(app) as scene:
        await scene.proxy.begin()
        await answers(scene)
        await until(lambda: placed)
        await scene.until_nothing_is_left()


def test_app_that_does_not_run_places_no_call() -> None:
    with pytest.raises(Misconfigured, match=r"^App\('demo'\) does not run"):
        App("demo", URL).originate("PJSIP/200")


async def test_server_that_can_not_be_is_refused() -> None:
    async with App("demo", URL) as app:
        with pytest.raises(Misconfigured, match=r"'a\.b'"):
            app.originate("PJSIP/200", server="a.b")


async def test_call_is_placed_once() -> None:
    async with stage() as scene, asyncio.TaskGroup() as tasks:
        tasks.create_task(answers(scene))
        placing = scene.originate()
        async with placing:
            with pytest.raises(RuntimeError, match="placed already"):
                await placing
