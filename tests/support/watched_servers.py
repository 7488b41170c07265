"""Two Asterisk servers with a load of calls, some of which fail, and a Prometheus that watches."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from ari_proxy.settings.load import Settings
from tests.support import process
from tests.support.prometheus import Prometheus
from tests.support.running import LegacyClient, bus_client, settings_for
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import NatsServer

#: Applications that somebody serves; one call in 25 is for `fax`, which nobody does.
_SERVED: Final = ("support", "voicemail")
_SETTINGS: Final = {
    "ARI_PROXY_APPLICATIONS": '["support", "voicemail", "fax"]',
    "ARI_PROXY_INGEST__GRACE_SECONDS": "0.5",
    "ARI_PROXY_INGEST__LISTENER_SECONDS": "1",
}
#: Calls a second: the servers' busy hours, as factors over time.
_BUSY: Final = ((1, 2, 4, 6, 7, 6, 5, 6, 8, 7, 4, 2), (1, 1, 2, 3, 3, 5, 4, 4, 3, 3, 2, 1))
#: When the second server loses its websocket, in a run that is long enough to show it.
_LOSS_AT: Final = 90


@dataclass
class WatchedServers:
    """The servers, their applications' client, and what watches them."""

    asterisks: list[ScriptedAsterisk]
    clients: dict[str, LegacyClient]
    prometheus: Prometheus
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - a load
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def serve(self, seconds: int) -> None:
        """Let calls begin for so long, and wait until the last one is over."""
        for asterisk in self.asterisks:
            asterisk.standing["DELETE", "/playbacks/over"] = 404, '{"message":"Playback not found"}'
        async with asyncio.TaskGroup() as tasks:
            for server, asterisk in enumerate(self.asterisks):
                tasks.create_task(self._calls(asterisk, server, seconds))

    async def _calls(self, asterisk: ScriptedAsterisk, server: int, seconds: int) -> None:
        """Let the calls of one server begin; they are as long as fits the run."""
        async with asyncio.TaskGroup() as tasks:
            for second in range(seconds):
                busy = _BUSY[server][second * len(_BUSY[server]) // seconds]
                for _ in range(self.random.randint(max(1, busy - 1), busy + 1)):
                    tasks.create_task(self._call(asterisk, server, pause=seconds / 90))
                if second == 0:
                    await asterisk.push("this is no event")
                if server and second == _LOSS_AT:
                    await asterisk.drop()
                await asyncio.sleep(1)  # The load's pace.

    async def _call(self, asterisk: ScriptedAsterisk, server: int, *, pause: float) -> None:
        await asyncio.sleep(self.random.random())
        number = next(self.numbers)
        channel = f"178000000{server}.{number}"
        application = "fax" if number % 25 == 24 else _SERVED[number % 3 // 2]
        asterisk.add_channel(channel, application)
        await asterisk.push(channel_event("StasisStart", channel, application))
        if application in _SERVED:
            if number % 25 == 7:
                asterisk.standing["POST", f"/channels/{channel}/play"] = 503, "{}"
            await self._serve(asterisk, channel, application, pause)
            if number % 10 == 0:
                await self._fail(channel, application)
        asterisk.channels = [found for found in asterisk.channels if found["id"] != channel]
        await asterisk.push(channel_event("StasisEnd", channel, application))

    async def _serve(
        self, asterisk: ScriptedAsterisk, channel: str, application: str, pause: float
    ) -> None:
        """Do what an application does."""
        client = self.clients[application]
        await client.until(lambda: _dialog(client, channel))
        dialog = _dialog(client, channel)
        await client.command(dialog, "POST", f"/channels/{channel}/answer")
        for step in range(self.random.randint(1, 6)):
            await client.command(dialog, "POST", f"/channels/{channel}/play?media=sound:hello")
            await asyncio.sleep(self.random.expovariate(1 / pause))
            digit = f'"digit":"{step}",'
            event = channel_event("ChannelDtmfReceived", channel, application, more=digit)
            await asterisk.push(event)

    async def _fail(self, channel: str, application: str) -> None:
        """Send a command that Asterisk refuses, and one that does not get there."""
        client = self.clients[application]
        dialog = _dialog(client, channel)
        await client.command(dialog, "DELETE", "/playbacks/over")
        await client.command(dialog, "POST", "//elsewhere")


def _dialog(client: LegacyClient, channel: str) -> str:
    """Return the dialog of a channel, or ''."""
    found = (start["dialog_id"] for start in client.starts if start["channel_id"] == channel)
    return next((dialog for dialog in found if dialog in client.events), "")


@asynccontextmanager
async def watched_servers(
    nats_server: NatsServer, directory: Path
) -> AsyncIterator[WatchedServers]:
    """Run the servers, a proxy for each, and Prometheus around a block."""
    async with AsyncExitStack() as stack:
        proxied = {
            name: await stack.enter_async_context(_proxied(name, nats_server, directory))
            for name in ("asterisk-1", "asterisk-2")
        }
        asterisks = [asterisk for asterisk, _ in proxied.values()]
        bus = await stack.enter_async_context(bus_client(_settings(asterisks[0], nats_server)))
        clients = {application: LegacyClient(bus, application) for application in _SERVED}
        for client in clients.values():
            await client.start()
        prometheus = Prometheus({f"{name}-0": port for name, (_, port) in proxied.items()})
        stack.callback(prometheus.remove)
        await asyncio.to_thread(prometheus.start)
        # A rate needs its counter before and after.
        await prometheus.until_scraped()
        yield WatchedServers(asterisks, clients, prometheus)


@asynccontextmanager
async def _proxied(
    name: str, nats_server: NatsServer, directory: Path
) -> AsyncIterator[tuple[ScriptedAsterisk, int]]:
    """Run a server with its proxy; yield it with the port of the proxy's metrics."""
    async with scripted_asterisk() as asterisk:
        settings = process.environment_of(_settings(asterisk, nats_server))
        environment = settings | _SETTINGS | {"ARI_PROXY_SERVER_ID": name}
        log = directory / f"{name}.log"
        async with process.running(log, "standalone", **environment) as running:
            await running.logged("dialogs.reconciled")
            yield asterisk, (await running.logged("admin.listening"))["port"]


def _settings(asterisk: ScriptedAsterisk, nats_server: NatsServer) -> Settings:
    return settings_for(
        nats_server,
        rest_url=asterisk.url,
        websocket_url=asterisk.websocket_url,
        application="support",
    )
