"""The demonstration: a bus, an Asterisk, both services and an application, in one process."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from ari_proxy import connections, standalone
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.bus import embedded
from ari_proxy.bus.base import Bus, Handler, Message, Subscription, opened
from ari_proxy.bus.errors import BusError
from ari_proxy.client.application import Application
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import AppStart, CommandResponse, Event
from ari_proxy.settings.legacy import bus_address
from ari_proxy.settings.load import Settings, load
from ari_proxy.simulator import server as simulator

from . import ladder
from .application import DIGITS, DigitCollector
from .ladder import Record

APPLICATION: Final = "ari-proxy-demo"
SERVER_ID: Final = "asterisk-demo"
#: Name and password of the simulator's user.
USER: Final = "ari"
#: Seconds until everything is connected, and until all calls are done.
READY_SECONDS: Final = 15.0
CALLS_SECONDS: Final = 60.0
CLEAN_UP_SECONDS: Final = 5.0


class DemoFailedError(Exception):
    """The demonstration did not come to its end."""


class Tap:
    """The application's bus, with a record of all that passes.

    It is no subscription of its own on `events_…*`: ingest would take that for the application's.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._records: dict[str, list[tuple[float, ladder.Kind, str]]] = {}
        self.ended: set[str] = set()
        self.changed = asyncio.Event()

    def publish(self, topic: str, payload: bytes, *, reply: str = "", once: bool = False) -> None:
        """Record a command and publish it."""
        for command in messages.decode_commands(payload):
            self._add(topic.partition("_")[2], "command", ladder.describe_command(command))
        self._bus.publish(topic, payload, reply=reply, once=once)

    async def subscribe(self, topic: str, handler: Handler, *, group: str = "") -> Subscription:
        """Subscribe, and record what comes."""

        def record(message: Message) -> None:
            self._record(message)
            handler(message)

        return await self._bus.subscribe(topic, record, group=group)

    def _record(self, message: Message) -> None:
        kind, _, dialog_id = message.topic.partition("_")
        if kind == "events":
            event = msgspec.json.decode(message.payload, type=Event)
            self._add(dialog_id, "event", ladder.describe_event(event))
            if event.type == "StasisEnd":
                self.ended.add(dialog_id)
                self.changed.set()
        elif kind == "responses":
            response = msgspec.json.decode(message.payload, type=CommandResponse)
            self._add(dialog_id, "response", ladder.describe_response(response))
        else:
            start = msgspec.json.decode(message.payload, type=AppStart)
            self._add(start.dialog_id, "app_start", f"{start.application} {start.channel_id}")

    def _add(self, dialog_id: str, kind: ladder.Kind, text: str) -> None:
        self._records.setdefault(dialog_id, []).append((time.monotonic(), kind, text))

    @property
    def dialogs(self) -> list[str]:
        """The dialogs that were seen."""
        return list(self._records)

    def ladders(self) -> list[str]:
        """Return each dialog's ladder."""
        return [
            ladder.draw(dialog_id, [Record(at - rows[0][0], kind, text) for at, kind, text in rows])
            for dialog_id, rows in self._records.items()
        ]


async def run_demo(
    stop: asyncio.Event, *, asterisk: str, endpoint: str, calls: int, bus: str
) -> None:
    """Place some calls, serve them, and print a ladder of each.

    Args:
        stop: set when it should end.
        asterisk: `http://host:port` of a real one, or '' for a simulated one.
        endpoint: whom to call.
        calls: how many.
        bus: `nats://…` or `amqp://…` of a running server, or '' for a nats-server of our own.

    Raises:
        DemoFailedError: not all calls came to their end with their digits.
    """
    with embedded.nats_server(enabled=not bus) as server:
        async with asyncio.TaskGroup() as tasks:
            stopping = asyncio.Event()
            tasks.create_task(_stop_with(stop, stopping))
            try:
                simulated = (
                    {"user": USER, "password": USER, "password_file": ""} if not asterisk else {}
                )
                url = asterisk or await _simulate(tasks, stopping)
                settings = _settings(url, simulated, bus or server.url)
                serving = standalone.serve(settings, ["ingest", "command"], stopping)
                services = tasks.create_task(serving)
                async with opened(connections.bus(settings, "demo")) as own_bus:
                    tap = Tap(own_bus)
                    try:
                        await _serve_calls(settings, own_bus, tap, endpoint, calls)
                    finally:
                        stopping.set()
                        await asyncio.wait([services])
                        await _clean_up(own_bus, tap)
            finally:
                stopping.set()
                stop.set()


async def _clean_up(bus: Bus, tap: Tap) -> None:
    """Leave nothing on a server that is not ours."""
    server = ServerId(SERVER_ID)
    names = [APPLICATION, topics.commands(server), topics.registry(server)]
    names += [name for dialog in tap.dialogs for name in topics.of_dialog(DialogId(dialog))]
    with suppress(BusError, TimeoutError):
        async with asyncio.timeout(CLEAN_UP_SECONDS):
            await bus.delete(names)


async def _stop_with(stop: asyncio.Event, stopping: asyncio.Event) -> None:
    await stop.wait()
    stopping.set()


async def _simulate(tasks: asyncio.TaskGroup, stop: asyncio.Event) -> str:
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = simulator.serve(stop, port=0, user=USER, password=USER, listening=port.set_result)
    tasks.create_task(serving)
    return f"http://127.0.0.1:{await port}"


def _settings(asterisk: str, account: dict[str, str], bus_url: str) -> Settings:
    parts = urlsplit(asterisk)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise DemoFailedError(f"--asterisk {asterisk!r} is no URL like http://127.0.0.1:8088")
    secure = "s" if parts.scheme == "https" else ""
    return load(
        server_id=SERVER_ID,
        applications=(APPLICATION,),
        ari={
            "websocket_url": f"ws{secure}://{parts.netloc}/ari/events",
            "rest_url": f"http{secure}://{parts.netloc}/ari",
            **account,
        },
        bus={"kind": _kind(bus_url), **bus_address(bus_url)},
        admin={"enabled": False},
    )


def _kind(bus_url: str) -> str:
    return "RABBITMQ" if urlsplit(bus_url).scheme in {"amqp", "amqps"} else "NATS"


async def _serve_calls(settings: Settings, bus: Bus, tap: Tap, endpoint: str, calls: int) -> None:
    collector = DigitCollector()
    async with asyncio.TaskGroup() as tasks:
        await _within(READY_SECONDS, "the bus is not connected", bus.wait_connected())
        application = Application(tap, APPLICATION, collector.serve)
        serving = tasks.create_task(application.run())
        async with connections.rest_client(settings) as rest:
            await _within(READY_SECONDS, "Asterisk is not ready", _registered(rest))
            for _ in range(calls):
                query = urlencode({"endpoint": endpoint, "app": APPLICATION})
                answer = await rest.request("POST", f"/channels?{query}")
                if answer.status != 200:  # noqa: PLR2004  HTTP's OK
                    raise DemoFailedError(f"no call to {endpoint}: {answer.status} {answer.body}")
            await _within(CALLS_SECONDS, "a call has not ended", _all_ended(tap, calls))
        serving.cancel()
    print("\n\n".join(tap.ladders()))
    served = [digits for digits in collector.digits.values() if len(digits) == DIGITS]
    print(f"\n{len(served)} of {calls} calls served, digits: {', '.join(served)}")
    if len(served) != calls:
        raise DemoFailedError(f"only {len(served)} of {calls} calls were served")


async def _within(seconds: float, failure: str, work: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError as error:
        raise DemoFailedError(f"{failure} after {seconds:g} s") from error


async def _registered(rest: RestClient) -> None:
    """Wait until ingest has registered the application with Asterisk."""
    while True:
        with suppress(TransportError):
            answer = await rest.request("GET", f"/applications/{APPLICATION}")
            if answer.status == 200:  # noqa: PLR2004  HTTP's OK
                return
        await asyncio.sleep(0.05)


async def _all_ended(tap: Tap, calls: int) -> None:
    while len(tap.ended) < calls:
        tap.changed.clear()
        await tap.changed.wait()
