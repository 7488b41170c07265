"""What ari-proxy is to an application, on the bus in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.client.application import Application, ApplicationBus, Serve
from ari_proxy.client.call import GIVE_BACK_SECONDS, RESPONSE_SECONDS
from tests.support.client_events import channel

DIALOG = "server-1.2g88jhgcnt8dm6c8"
#: As ari-proxy names a channel that a command has created.
PLACED = "arip-2g88jhgcnt8dm6c8-0123456789"

#: What Asterisk answers when it places a call.
PLACED_CHANNEL = json.dumps(channel("placed", "Down"))


class Proxy:
    """What ari-proxy is to an application: announces, sends events, answers commands."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._sequence = 0
        self.commands: list[dict[str, Any]] = []
        #: How many commands each message had.
        self.counts: list[int] = []
        self.is_answering = True
        #: Told with each AppStart.
        self.asterisk_version = ""
        self.statuses: dict[str, int] = {}
        #: Bodies of answers, by the URL of the command.
        self.bodies: dict[str, str] = {}

        #: Commands of the server, which places calls.
        self.placed: list[dict[str, Any]] = []
        self._unanswered: list[tuple[str, str]] = []
        #: What answers them: a status and a body.
        self.placing: tuple[int, str] = 200, PLACED_CHANNEL

    async def place_calls(self, server: str = "server-1") -> None:
        """Take the commands of a server, and those of its dialogs."""
        await self._bus.subscribe(f"commands_{server}", self._place)
        await self._bus.subscribe(
            f"commands_{server}.*",
            lambda message: self._do(message.topic.removeprefix("commands_"), message),
        )

    def _place(self, message: Message) -> None:
        command = json.loads(message.payload)
        self.placed.append(command)
        self._unanswered.append((command["dialog_id"], message.reply))
        if self.is_answering:
            self.answer_placing()

    def answer_placing(self) -> None:
        """Answer the last command of the server."""
        dialog, reply = self._unanswered.pop()
        status, body = self.placing
        answer = {"unique_id": "", "status_code": status, "response_body": body}
        self._bus.publish(reply, json.dumps(answer | {"dialog_id": dialog}).encode())

    def announce(
        self, dialog: str = DIALOG, channel: str = "c", *, recovered: bool = False
    ) -> None:
        start: dict[str, Any] = {
            "application": "demo",
            "dialog_id": dialog,
            "server_id": "server-1",
        }
        if recovered:
            start["recovered"] = True
        if self.asterisk_version:
            start["asterisk_version"] = self.asterisk_version
        topic = "recovered_demo" if recovered else "demo"
        self._bus.publish(topic, json.dumps(start | {"channel_id": channel}).encode())

    async def begin(
        self, dialog: str = DIALOG, channel: str = "c", *, recovered: bool = False
    ) -> None:
        """Announce a call, and send its StasisStart when its application listens."""
        await self._bus.subscribe(f"commands_{dialog}", lambda message: self._do(dialog, message))
        self.announce(dialog, channel, recovered=recovered)
        await self.until_heard(f"events_{dialog}")
        self.send("StasisStart", dialog, channel={"id": channel})

    def send(self, event_type: str, dialog: str = DIALOG, **fields: Any) -> None:
        self.send_body(event_type, json.dumps({"type": event_type, **fields}), dialog)

    def send_all_of(self, event: dict[str, Any], dialog: str = DIALOG) -> None:
        """Send an event of `asterisks`."""
        self.send_body(event["type"], json.dumps(event), dialog)

    def send_body(self, event_type: str, body: str, dialog: str = DIALOG) -> None:
        self._sequence += 1
        event: dict[str, Any] = {
            "server_id": "server-1",
            "timestamp": "",
            "type": event_type,
            "ari_body": body,
        }
        event |= {"dialog_id": dialog, "sequence": self._sequence}
        self._bus.publish(f"events_{dialog}", json.dumps(event).encode())

    def _do(self, dialog: str, message: Message) -> None:
        found = json.loads(message.payload)
        commands = found if isinstance(found, list) else [found]
        self.counts.append(len(commands))
        for command in commands:
            self.commands.append(command)
            if self.is_answering:
                status = self.statuses.get(command["method"], 204)
                answer: dict[str, Any] = {"unique_id": command["unique_id"], "status_code": status}
                body = self.bodies.get(command["url"], "")
                payload = json.dumps(answer | {"response_body": body}).encode()
                self._bus.publish(f"responses_{dialog}", payload)

    @property
    def done(self) -> list[tuple[str, str]]:
        return [(command["method"], command["url"]) for command in self.commands]

    async def until_heard(self, topic: str) -> None:
        await until(lambda: topic in self._topics())

    async def until_unheard(self, topic: str) -> None:
        await until(lambda: topic not in self._topics())

    def _topics(self) -> set[str]:
        return {found.topic for found in self._bus._broker._subscriptions.values()}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    serve: Serve,
    *,
    bus: Callable[[MemoryBus], ApplicationBus] | None = None,
    stop: asyncio.Event | None = None,
    response_seconds: float = RESPONSE_SECONDS,
    give_back_seconds: float = GIVE_BACK_SECONDS,
) -> AsyncIterator[Proxy]:
    broker = MemoryBroker()
    own, theirs = MemoryBus(broker), MemoryBus(broker)
    async with opened(own), opened(theirs), asyncio.TaskGroup() as tasks:
        application = Application(
            bus(own) if bus else own,
            "demo",
            serve,
            response_seconds=response_seconds,
            give_back_seconds=give_back_seconds,
        )
        running = tasks.create_task(application.run(stop))
        proxy = Proxy(theirs)
        await proxy.until_heard("demo")
        yield proxy
        if stop is None:
            running.cancel()


def asterisks(event_type: str, channel: str = "c", **fields: Any) -> dict[str, Any]:
    """The fields of an event as Asterisk sends them, with all that its type should have."""
    nobody = {"name": "", "number": ""}
    place = {"context": "", "exten": "", "priority": 1, "app_name": "", "app_data": ""}
    described = {
        "id": channel,
        "name": f"PJSIP/{channel}",
        "state": "Up",
        "protocol_id": "",
        "caller": nobody,
        "connected": nobody,
        "accountcode": "",
        "dialplan": place,
        "creationtime": "2026-11-23T09:34:44.509+0000",
        "language": "en",
    }
    common = {"application": "demo", "timestamp": "2026-11-23T09:34:44.510+0000"}
    return {"type": event_type, **common, "channel": described, **fields}


def digit(pressed: str, channel: str = "c") -> dict[str, Any]:
    """The fields of an event of a pressed digit."""
    return asterisks("ChannelDtmfReceived", channel, digit=pressed, duration_ms=100)
