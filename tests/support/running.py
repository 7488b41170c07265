"""The proxy and a raw bus client, in the test's own loop."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ari_proxy import standalone
from ari_proxy.bus.base import Bus, Message, SubscriptionHandle, opened
from ari_proxy.client.commands import Topics
from ari_proxy.connections import factories
from ari_proxy.protocol import messages
from ari_proxy.protocol.messages import ObjectRegistration
from ari_proxy.proxied_server import Component
from ari_proxy.settings.load import Settings, load
from tests.support import documented_rights
from tests.support.servers import PASSWORD, BusServer

#: Of every wait for what comes at once on a calm machine: on a busy one a process may need 20 s to
#: start.
TIMEOUT = 45.0


def settings_for(
    bus_server: BusServer,
    /,
    *,
    rest_url: str,
    websocket_url: str,
    application: str,
    dialog_ids: str = "",
    **groups: Any,
) -> Settings:
    return load(
        server_id="server-1",
        applications=(application,),
        ari={
            "rest_url": rest_url,
            "websocket_url": websocket_url,
            "user": "ari",
            "password": PASSWORD,
            **groups.pop("ari", {}),
        },
        bus={
            "kind": bus_server.kind,
            "urls": [bus_server.url],
            "dialog_ids": dialog_ids,
            **groups.pop("bus", {}),
        },
        **({"admin": {"enabled": False}} | groups),
    )


@asynccontextmanager
async def running_proxy(
    settings: Settings | Sequence[Settings],
    components: Sequence[Component] = ("ingest", "command"),
    **parts: Any,
) -> AsyncIterator[asyncio.Event]:
    """Run services around a block; yields the event that stops them.

    Args:
        settings: the settings of all services, or of each server.
        components: the services to run.
        parts: further arguments of `standalone.serve`.
    """
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        account = documented_rights.account_of(components)
        servers = [settings] if isinstance(settings, Settings) else settings
        known = [documented_rights.logged_in(each, account) for each in servers]
        tasks.create_task(standalone.serve(known, components, stop, **parts))
        try:
            yield stop
        finally:
            stop.set()


@asynccontextmanager
async def bus_client(settings: Settings, account: str = "application") -> AsyncIterator[Bus]:
    """Connect to the bus, on NATS with an account of `documented_rights`."""
    known = documented_rights.logged_in(settings, account)
    async with opened(factories.bus(known, "test")) as bus:
        await bus.wait_connected()
        yield bus


class LegacyClient:
    """Speaks as go-ari-proxy's library does: AppStart, DUMMY, events, responses, commands."""

    def __init__(
        self,
        bus: Topics,
        application: str,
        *,
        subscribe_after: float = 0,
        event_group: str = "ariq",
    ) -> None:
        self._bus = bus
        self._event_group = event_group
        self._application = application
        self._subscribe_after = subscribe_after
        self.starts: list[dict[str, Any]] = []
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.responses: dict[str, list[dict[str, Any]]] = {}
        #: Dialogs whose responses come: a command may be answered at once.
        self._joined: set[str] = set()
        self.raw_events: list[bytes] = []
        #: What was told of dialogs that have ended as they should: behind all their events.
        self.ends: dict[str, list[dict[str, Any]]] = {}
        #: What ingests have told of all dialogs of a server.
        self.recoveries: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._bus.subscribe(self._application, self._on_start, group="ariq")

    def _on_start(self, message: Message) -> None:
        start = json.loads(message.payload)
        self.starts.append(start)
        task = asyncio.get_running_loop().create_task(self._join(start["dialog_id"]))
        self._tasks.add(task)

    async def _join(self, dialog_id: str) -> None:
        if self._subscribe_after:
            await asyncio.sleep(self._subscribe_after)  # The client is late on purpose.
        self._bus.publish(f"commands_{dialog_id}", b"DUMMY")
        await self.listen(dialog_id)

    async def listen(self, dialog_id: str) -> list[SubscriptionHandle]:
        """Subscribe to what comes for a dialog; return the subscriptions."""
        events = self.events.setdefault(dialog_id, [])
        responses = self.responses.setdefault(dialog_id, [])
        group = self._event_group

        def on_event(message: Message) -> None:
            event = json.loads(message.payload)
            if event["type"] == "ProxyRecovered":
                self.recoveries.append(event)
            elif is_normal_end(event):
                self.ends.setdefault(dialog_id, []).append(event)
            else:
                self.raw_events.append(message.payload)
                events.append(event)
            self._changed.set()

        def on_response(message: Message) -> None:
            responses.append(json.loads(message.payload))
            self._changed.set()

        subscriptions = [
            await self._bus.subscribe(f"events_{dialog_id}", on_event, group=group),
            await self._bus.subscribe(f"responses_{dialog_id}", on_response, group=group),
        ]
        self._joined.add(dialog_id)
        self._changed.set()
        return subscriptions

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_events(self, dialog_id: str, count: int) -> None:
        await self.until(lambda: len(self.events[dialog_id]) >= count)

    async def command(
        self, dialog_id: str, method: str, url: str, body: str = ""
    ) -> dict[str, Any]:
        """Send a command without unique_id, as the library does, and return the next response."""
        command = {"unique_id": "", "url": url, "method": method, "body": body}
        return await self.send(dialog_id, json.dumps(command).encode())

    async def send(self, dialog_id: str, payload: bytes) -> dict[str, Any]:
        """Send the bytes of a command, valid or not, and return the next response."""
        await self.until(lambda: dialog_id in self._joined)
        count = len(self.responses[dialog_id])
        self._bus.publish(f"commands_{dialog_id}", payload, once=True)
        await self.until(lambda: len(self.responses[dialog_id]) > count)
        return self.responses[dialog_id][count]

    async def until_answered(self, bus: Bus, dialog_id: str, method: str, url: str) -> None:
        """Repeat a command until an executor answers it."""
        command = json.dumps({"unique_id": "", "url": url, "method": method, "body": ""}).encode()
        await until_heard(bus, f"commands_{dialog_id}", command)
        await self.until(lambda: self.responses[dialog_id])

    async def first_dialog(self) -> str:
        await self.until(lambda: self.starts and self._has_begun(self.starts[0]["dialog_id"]))
        dialog_id: str = self.starts[0]["dialog_id"]
        return dialog_id

    def _has_begun(self, dialog_id: str) -> bool:
        return dialog_id in self._joined and bool(self.events.get(dialog_id))

    def types_of(self, dialog_id: str) -> list[str]:
        """Return the types of a dialog's events; empty before the first one."""
        return [event["type"] for event in self.events.get(dialog_id, [])]

    def types(self, dialog_id: str) -> list[str]:
        return [event["type"] for event in self.events[dialog_id]]


def is_normal_end(event: dict[str, Any]) -> bool:
    body = event["type"] == "ProxyDialogEnded" and json.loads(event["ari_body"])
    return bool(body) and body["reason"] == "channels_left"


async def until_heard(bus: Bus, topic: str, payload: bytes) -> None:
    """Send a message until it has a listener."""
    await until(lambda: bus.publish_to_listener(topic, payload))


async def until_serving(bus: Bus, *, ingest: bool = True, command: bool = True) -> None:
    """Wait until the services have subscribed; the messages sent for that have no effect."""
    if command:
        await until_heard(bus, "commands_server-1", b"DUMMY")
    if ingest:
        nothing = ObjectRegistration("", "channel", "none", release=True)
        await until_heard(bus, "bindings_server-1", messages.encode(nothing))


async def until_running(settings: Settings, *, ingest: bool = True, command: bool = True) -> None:
    """Wait for the same where an application has no right to ask ingest."""
    async with bus_client(settings, documented_rights.SPY) as spy:
        await until_serving(spy, ingest=ingest, command=command)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that no event reports: check every 10 ms, for TIMEOUT at most.

    Args:
        condition: returns a truth value or an awaitable of one.
    """
    try:
        async with asyncio.timeout(TIMEOUT):
            while not await _value(condition()):
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        code = condition.__code__ if inspect.isfunction(condition) else None
        where = f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else str(condition)
        raise TimeoutError(f"the condition of {where} was not met in {TIMEOUT:.0f} s") from error


async def until_done(count: Callable[[], int], expected: int) -> None:
    """Wait until a number is reached, with at most TIMEOUT from one step to the next.

    A busy machine may be slow.
    """
    while (before := count()) != expected:
        await until(lambda: count() != before)


async def _value(found: object) -> object:
    return await found if inspect.isawaitable(found) else found
