"""App on the bus in memory: its handler's life, its end, and what it refuses."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

import ari_proxy
from ari_proxy import App, Call
from ari_proxy.bus.base import opened
from ari_proxy.bus.errors import BusSettingsError
from ari_proxy.bus.memory.bus import MAX_MESSAGE_BYTES, MemoryBus
from ari_proxy.bus.memory.named import named_broker
from ari_proxy.client.bus_at import bus_at
from ari_proxy.client.errors import CallEnded, Misconfigured, NotSent
from ari_proxy.client.events import ChannelDtmfReceived
from tests.support.application import DIALOG, Proxy, asterisks, until
from tests.support.environments import environment

URL = "memory://test"
SECOND = "server-1.zzzzzzzzzzzzzzzz"
GIVEN_BACK = ["/channels/c/variable?variable=ARI_PROXY_STATUS&value=FAILED", "/channels/c/continue"]


@asynccontextmanager
async def proxy() -> AsyncIterator[Proxy]:
    async with opened(bus_at(URL, name="ari-proxy")) as bus:
        await bus.wait_connected()
        assert isinstance(bus, MemoryBus)
        yield Proxy(bus)


def recording(app: App, seen: list[str]) -> None:
    """Register a handler that records its life."""

    @app.call
    async def serve(call: Call) -> None:
        seen.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            await call.command("GET", "/cleaned-up")
            seen.append("cleaned up")


@pytest.mark.parametrize(
    "end",
    [asterisks("StasisEnd"), {"type": "ProxyDialogEnded", "reason": "channels_gone"}],
    ids=["StasisEnd", "ProxyDialogEnded"],
)
async def test_handler_is_cancelled_when_its_call_is_over_and_cleans_up(
    end: dict[str, object],
) -> None:
    app, seen = App("demo", URL), list[str]()
    recording(app, seen)

    with structlog.testing.capture_logs() as logs:
        async with proxy() as ari_proxy, app:
            await ari_proxy.begin()
            await until(lambda: seen)
            ari_proxy.send_all_of(end)
            ari_proxy.send_all_of({"type": "ProxyDialogEnded", "reason": "channels_left"})
            await ari_proxy.until_unheard(f"events_{DIALOG}")
            assert seen == ["begun", "cancelled", "cleaned up"]
            assert ari_proxy.done == [("GET", "/cleaned-up")]

    assert [line for line in logs if line["log_level"] in {"warning", "error"}] == []


async def test_handler_that_ends_with_its_call_has_not_failed() -> None:
    app = App("demo", URL)
    ended: list[CallEnded] = []

    @app.call
    async def serve(call: Call) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await call.wait_for(ChannelDtmfReceived)
            except CallEnded as error:
                ended.append(error)
                raise

    with structlog.testing.capture_logs() as logs:
        async with proxy() as ari_proxy, app:
            await ari_proxy.begin()
            ari_proxy.send_all_of(asterisks("StasisEnd"))
            await ari_proxy.until_unheard(f"events_{DIALOG}")

    assert [error.who for error in ended] == ["command"]
    assert [line for line in logs if line["log_level"] == "error"] == []


@pytest.mark.parametrize(
    "error", [RuntimeError("no database"), TimeoutError(), CallEnded("another", "peer")]
)
async def test_handler_that_raises_gives_its_call_back(error: Exception) -> None:
    app = App("demo", URL)

    @app.call
    async def serve(_: Call) -> None:
        raise error

    with structlog.testing.capture_logs() as logs:
        async with proxy() as ari_proxy, app:
            await ari_proxy.begin()
            await ari_proxy.until_unheard(f"events_{DIALOG}")
            assert [url for _, url in ari_proxy.done] == GIVEN_BACK

    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["dialog.failed"]


async def test_app_that_stops_lets_open_calls_end() -> None:
    app, seen, stop = App("demo", URL), list[str](), asyncio.Event()
    recording(app, seen)

    async with proxy() as ari_proxy, asyncio.TaskGroup() as tasks:
        tasks.create_task(app.serve(stop))
        await ari_proxy.until_heard("demo")
        await ari_proxy.begin()
        stop.set()
        await ari_proxy.until_unheard("demo")
        assert seen == ["begun"]
        ari_proxy.send_all_of(asterisks("StasisEnd"))

    assert seen == ["begun", "cancelled", "cleaned up"]


async def test_calls_that_do_not_end_in_time_go_back_to_the_dialplan() -> None:
    app, seen, stop = App("demo", URL, shutdown_seconds=0.01), list[str](), asyncio.Event()
    recording(app, seen)

    with structlog.testing.capture_logs() as logs:
        async with proxy() as ari_proxy, asyncio.TaskGroup() as tasks:
            tasks.create_task(app.serve(stop))
            await ari_proxy.until_heard("demo")
            await ari_proxy.begin()
            stop.set()
            await ari_proxy.until_unheard(f"events_{DIALOG}")

    assert seen == ["begun", "cancelled", "cleaned up"]
    assert [url for _, url in ari_proxy.done] == ["/cleaned-up", *GIVEN_BACK]
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "shutdown.calls_cancelled"
    ]


async def test_app_that_is_cancelled_gives_its_calls_back() -> None:
    app, seen = App("demo", URL), list[str]()
    recording(app, seen)

    async with proxy() as ari_proxy, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(app.serve())
        await ari_proxy.until_heard("demo")
        await ari_proxy.begin()
        serving.cancel()
        await ari_proxy.until_unheard(f"events_{DIALOG}")

    assert seen == ["begun", "cancelled", "cleaned up"]
    assert [url for _, url in ari_proxy.done] == ["/cleaned-up", *GIVEN_BACK]


async def test_block_that_raises_ends_the_app_at_once_with_its_own_error() -> None:
    app, seen = App("demo", URL), list[str]()
    recording(app, seen)

    async def block(ari_proxy: Proxy) -> None:
        async with app:
            await ari_proxy.begin()
            raise ZeroDivisionError("of the block")

    async with proxy() as ari_proxy:
        with pytest.raises(ZeroDivisionError, match="of the block"):
            await block(ari_proxy)

    assert seen == ["begun", "cancelled", "cleaned up"]


async def test_app_can_be_run_again() -> None:
    app, seen = App("demo", URL), list[str]()
    recording(app, seen)

    async with proxy() as ari_proxy:
        for dialog in (DIALOG, SECOND):
            async with app as running:
                assert running is app
                await ari_proxy.begin(dialog)
                ari_proxy.send_all_of(asterisks("StasisEnd"), dialog)

    assert seen == ["begun", "cancelled", "cleaned up"] * 2


def test_url_that_is_none_of_a_bus_is_refused_at_once_without_its_password() -> None:
    with pytest.raises(BusSettingsError, match="the URL of ") as raised:
        App("demo", "nats://user:s3cret@host:port")

    assert "s3cret" not in str(raised.value)


def test_password_shows_in_no_repr() -> None:
    assert repr(App("demo", "nats://user@host", password="s3cret")) == "App('demo')"


def test_app_has_one_handler() -> None:
    app = App("demo", URL)
    recording(app, [])

    with pytest.raises(Misconfigured, match=r"^App\('demo'\) has a handler of calls already$"):
        recording(app, [])


async def test_app_without_a_handler_does_not_run() -> None:
    app = App("demo", URL)

    with pytest.raises(Misconfigured, match=r"decorate one with @app\.call$"):
        app.run()
    with pytest.raises(Misconfigured):
        await app.serve()


def test_app_that_could_serve_no_call_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"^concurrency is 0: no call could be served$"):
        App("demo", URL, concurrency=0)


@pytest.mark.parametrize(
    ("line", "left_out"),
    [
        ("import ari_proxy", "ari_proxy."),
        (
            "from ari_proxy import App, Call",
            "aiohttp aiormq fastapi nats pydantic ari_proxy.ingest",
        ),
    ],
)
def test_front_door_imports_only_what_it_needs(line: str, left_out: str) -> None:
    names = tuple(left_out.split())
    found = f"[name for name in sys.modules if name.startswith({names})]"
    program = f"{line}; import sys; print(*{found})"

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ended.stdout.split() == []


def test_front_door_has_no_other_names() -> None:
    assert set(ari_proxy.__all__) == {"App", "Call"}
    with pytest.raises(AttributeError, match="'ari_proxy' has no attribute 'Appp'"):
        _ = ari_proxy.Appp


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ari://user:s3cret@host:port", "the URL of Asterisk has a port that is no number"),
        ("ari://user:s3cret@host,ari://other", "the URL of Asterisk names more than one"),
        ("ari://user:s3cret@host?app=x", "the URL of Asterisk must not have a query"),
    ],
)
def test_asterisk_that_can_not_be_used_is_refused_without_its_password(
    url: str, message: str
) -> None:
    with pytest.raises(Misconfigured) as raised:
        App("demo", url)

    assert str(raised.value).startswith(message)
    assert "s3cret" not in str(raised.value)


def test_asterisk_takes_nothing_of_a_bus() -> None:
    with pytest.raises(Misconfigured, match=r"ari\.token") as raised:
        App("demo", "ari://user@host", token="s3cret")

    assert "s3cret" not in str(raised.value)


def test_embedding_says_what_to_install(tmp_path: Path) -> None:
    program = "from ari_proxy import App; App('demo', 'ari://user:password@127.0.0.1:8088')"

    ended = subprocess.run(
        [environment(tmp_path), "-c", program], capture_output=True, text=True, check=False
    )

    assert "Misconfigured: ari:// needs " in ended.stderr
    assert ended.stderr.endswith("which is not installed: pip install 'ari-proxy[server]'\n")


async def test_command_that_the_bus_has_not_taken_was_not_sent_and_is_not_executed_later() -> None:
    app = App("demo", URL, response_seconds=0.05)
    failures: list[NotSent] = []
    broker = named_broker("test")

    @app.call
    async def serve(call: Call) -> None:
        broker.stop()
        with pytest.raises(NotSent) as raised:
            await call.ari.channels.answer(call.channel_id)
        failures.append(raised.value)
        broker.start()
        await call.ari.channels.hangup(call.channel_id)

    async with proxy() as ari_proxy, app:
        await ari_proxy.begin()
        await until(lambda: ari_proxy.done)

    assert [str(error) for error in failures] == [
        "POST /channels/c/answer: the bus has taken nothing since"
    ]
    assert ari_proxy.done == [("DELETE", "/channels/c")]


async def test_command_that_the_bus_refuses_fails_at_once() -> None:
    app = App("demo", URL)
    failures: list[str] = []

    @app.call
    async def serve(call: Call) -> None:
        with pytest.raises(NotSent) as raised:
            await call.command("POST", "/channels/c/variable", body="x" * MAX_MESSAGE_BYTES)
        failures.append(str(raised.value))

    async with proxy() as ari_proxy, app:
        await ari_proxy.begin()
        await ari_proxy.until_unheard(f"events_{DIALOG}")

    (failure,) = failures
    assert failure.startswith(
        "POST /channels/c/variable: the bus does not take it: it is too large"
    )


async def test_call_whose_process_is_gone_has_a_handler_of_its_own() -> None:
    app, taken = App("demo", URL), list[str]()

    @app.call
    async def serve(_: Call) -> None:
        taken.append("new")

    @app.recovered
    async def go_on(call: Call) -> None:
        taken.append(f"recovered {call.channel_id}")
        await asyncio.Event().wait()

    async with proxy() as ari_proxy, app:
        await ari_proxy.begin(recovered=True)
        ari_proxy.announce(recovered=True)  # Once more, around a lost connection.
        await until(lambda: taken)
        ari_proxy.send_all_of(asterisks("StasisEnd"))
        await ari_proxy.until_unheard(f"events_{DIALOG}")

    assert taken == ["recovered c"]


async def test_call_that_this_process_has_left_may_come_back_to_it_as_recovered() -> None:
    app, taken = App("demo", URL), list[str]()

    @app.call
    async def serve(call: Call) -> None:
        await anext(call.events())
        taken.append("new")

    @app.recovered
    async def go_on(_: Call) -> None:
        taken.append("recovered")

    async with proxy() as ari_proxy, app:
        await ari_proxy.begin()
        await ari_proxy.until_unheard(f"events_{DIALOG}")
        ari_proxy.announce()
        ari_proxy.announce(recovered=True)
        await until(lambda: len(taken) == 2)

    assert taken == ["new", "recovered"]


async def test_app_without_a_handler_of_recovered_calls_asks_for_none() -> None:
    app = App("demo", URL)
    recording(app, [])

    async with proxy() as ari_proxy, app:
        await ari_proxy.until_heard("demo")
        await ari_proxy.until_unheard("recovered_demo")


def test_app_has_one_handler_of_recovered_calls() -> None:
    app = App("demo", URL)

    @app.recovered
    async def go_on(_: Call) -> None: ...

    with pytest.raises(Misconfigured, match=r"a handler of recovered calls already$"):
        app.recovered(go_on)


@pytest.mark.parametrize("topic", ["demo", "recovered_demo"])
async def test_app_at_its_limit_listens_for_no_calls(topic: str) -> None:
    app = App("demo", URL, concurrency=1)
    recording(app, [])

    @app.recovered
    async def go_on(_: Call) -> None: ...

    async with proxy() as ari_proxy, app:
        await ari_proxy.until_heard(topic)
        await ari_proxy.begin()
        await ari_proxy.until_unheard(topic)
        ari_proxy.send_all_of(asterisks("StasisEnd"))
        await ari_proxy.until_heard(topic)
