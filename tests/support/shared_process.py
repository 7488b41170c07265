"""Several servers in one process: their Asterisks, an application and the admin API."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from ari_proxy.backoff import Backoff
from ari_proxy.bus.base import Bus, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import ServerId
from ari_proxy.proxied_server import Component
from ari_proxy.settings.servers import load_servers
from tests.support.ports import free_port
from tests.support.running import LegacyClient, running_proxy
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import PASSWORD

BOTH: Sequence[Component] = ("ingest", "command")
#: From the failure of a server to its next start.
RESTART = Backoff(first_seconds=0.05, last_seconds=0.05)


def server_at(server_id: str, rest_url: str, **own: Any) -> dict[str, Any]:
    """Return an entry of `servers`.

    Args:
        server_id: its name.
        rest_url: of its Asterisk.
        own: further settings of `ari`.
    """
    websocket_url = rest_url.replace("http://", "ws://") + "/events"
    return {
        "server_id": server_id,
        "ari": {"rest_url": rest_url, "websocket_url": websocket_url, **own},
    }


class Stage:
    """An Asterisk of one server in the process, and what its calls have been sent."""

    def __init__(self, asterisk: ScriptedAsterisk, client: LegacyClient, server: str) -> None:
        self.asterisk = asterisk
        self.client = client
        self.server = ServerId(server)

    async def begin(self, channel: str = "c", application: str = "demo") -> str:
        """Let a call come, and return its dialog once the application has it."""
        await self.asterisk.push(channel_event("StasisStart", channel, application))
        await self.client.until(self._dialogs)
        (dialog,) = self._dialogs()
        await self.client.until(lambda: self.client.events.get(dialog))
        return dialog

    def _dialogs(self) -> list[str]:
        begun = [start["dialog_id"] for start in self.client.starts]
        return [dialog for dialog in begun if ids.is_of_server(dialog, self.server)]

    async def round_trip(self, dialog: str, number: int) -> None:
        """Send an event of a call, and wait until the application has it as the next one."""
        await self.asterisk.push(channel_event("ChannelVarset", "c", more=f'"value":"{number}",'))
        await self.client.until_events(dialog, number + 2)
        body = json.loads(self.client.events[dialog][number + 1]["ari_body"])
        assert body["value"] == str(number)

    async def answers(self, dialog: str) -> bool:
        """Return whether a command is answered by the own Asterisk."""
        answer = await self.client.command(dialog, "POST", "/channels/c/answer")
        return bool(answer["status_code"] == 204)


@asynccontextmanager
async def healthy_asterisk() -> AsyncIterator[ScriptedAsterisk]:
    """Run an Asterisk with which a server is ready."""
    async with scripted_asterisk() as asterisk:
        asterisk.standing["GET", "/asterisk/ping"] = 200, "{}"
        asterisk.standing["GET", "/applications/demo"] = 200, "{}"
        yield asterisk


class SharedProcess:
    """A process with several servers, by default on a bus in memory."""

    def __init__(self, broker: MemoryBroker, port: int, stop: asyncio.Event) -> None:
        self.broker = broker
        #: Tells it to stop, as a signal does.
        self.stop = stop
        self._root = f"http://127.0.0.1:{port}"

    async def get(self, path: str) -> tuple[int, Any]:
        """Query the admin API; return the status and the decoded answer, or 0 without one."""
        try:
            async with aiohttp.ClientSession() as http, http.get(self._root + path) as answer:
                text = await answer.text()
                return answer.status, json.loads(text) if text[:1] in "{[" else text
        except aiohttp.ClientConnectionError:
            return 0, {}

    async def ready(self) -> dict[str, bool]:
        """Return which servers are ready."""
        _, body = await self.get("/readyz")
        found: dict[str, bool] = body.get("servers", {})
        return found

    async def are_ready(self, *servers: str) -> bool:
        """Return whether just these servers are ready."""
        found = await self.ready()
        return {name for name, is_ready in found.items() if is_ready} == {*servers}

    async def is_ready(self, server: str) -> bool:
        """Return whether a server is ready, whatever the others are."""
        return (await self.ready()).get(server, False)

    async def has_dialogs(self, server: str, count: int) -> bool:
        """Return whether so many dialogs of a server are open."""
        return await self.get(f"/dialogs/count?server={server}") == (200, {"open": count})

    async def has_failed(self, server: str) -> bool:
        """Return whether the services of a server have failed at least once."""
        return await self.metric("ariproxy_server_failures_total", server_id=server) > 0

    async def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the series with these labels."""
        _, text = await self.get("/metrics")
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        total = 0.0
        for line in str(text).splitlines():
            series, _, value = line.rpartition(" ")
            found, _, inner = series.partition("{")
            if found == name and wanted <= {*inner.rstrip("}").split(",")}:
                total += float(value)
        return total

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[Bus]:
        """Connect an application."""
        async with opened(MemoryBus(self.broker)) as bus:
            yield bus


@asynccontextmanager
async def shared_process(
    directory: Path,
    servers: Sequence[Mapping[str, Any]],
    *,
    broker: MemoryBroker | None = None,
    components: Sequence[Component] = BOTH,
    parts: Mapping[str, Any] | None = None,
    **shared: Any,
) -> AsyncIterator[SharedProcess]:
    """Run a process around a block, from a configuration file.

    Args:
        directory: of the file.
        servers: as in the file.
        broker: of the bus in memory; None for a new one.
        components: the services of the process.
        parts: further arguments of `standalone.serve`.
        shared: settings of the file beside `servers`.
    """
    port = shared.get("admin", {}).get("port") or free_port()
    file = directory / f"config-{port}.json"
    own = {"applications": ["demo"], "ari": {"password": PASSWORD}, "admin": {"port": port}}
    file.write_text(json.dumps(own | shared | {"servers": servers}))
    broker = broker or MemoryBroker()
    loaded = await asyncio.to_thread(load_servers, file)
    given: dict[str, Any] = {"bus_of": lambda *_: MemoryBus(broker), "restart": RESTART}
    async with running_proxy(loaded, components, **given | dict(parts or {})) as stop:
        yield SharedProcess(broker, port, stop)
