"""Zones of NATS, with links that can be cut: two clusters and a gateway, and a site's leaf node."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Bus, Message
from ari_proxy.bus.errors import BusTimeoutError, NoRespondersError
from ari_proxy.settings.load import load
from ari_proxy.simulator import server as simulator
from tests.support import documented_rights
from tests.support.calls import Calls, asterisk_client
from tests.support.link import Link
from tests.support.ports import free_port
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    settings_for,
    until,
    until_serving,
)
from tests.support.servers import PASSWORD, NatsServer

#: As whom processes and clients of the tests log in; here each has all rights.
_USERS = ", ".join(
    f'{{ user: {name}, password: "{documented_rights.PASSWORD}" }}'
    for name in ("standalone", "ingest", "command", "application", documented_rights.SPY)
)
#: NATS wants a system account where a server has leaf nodes and gateways.
_ACCOUNTS = f"""
accounts {{
    SYS {{ users: [ {{ user: sys, password: sys }} ] }},
    CALLS {{ users: [ {{ user: calls }}, {_USERS} ] }}
}}
system_account: SYS
no_auth_user: calls
"""
#: An application answers it.
_ECHO = "echo"
#: The proxy answers it.
_COMMAND = "commands_server-1", b'{"method":"GET","url":"/asterisk/ping","body":""}'

#: Between the site and east, or between the clusters.
LinkName = Literal["leaf", "gateway"]


class ZoneServer:
    """A nats-server that is one zone, and its monitoring port."""

    def __init__(self, directory: Path, name: str, configuration: str) -> None:
        file = directory / f"{name}.conf"
        file.write_text(f"server_name: {name}\n{configuration}")
        self._monitoring = free_port()
        self.server = NatsServer("-c", str(file), "-m", str(self._monitoring))

    def monitored(self, page: str) -> dict[str, Any]:
        """Return what one of its monitoring pages shows."""
        url = f"http://127.0.0.1:{self._monitoring}/{page}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


class Zones:
    """`east` and `west`, joined by a gateway, and `site`, a leaf node of east."""

    def __init__(self, directory: Path) -> None:
        gateways = {name: free_port() for name in ("east", "west")}
        leaves = free_port()
        #: The way from the site to east.
        self.leaf_link = Link(leaves, kind="NATS")
        #: The ways to the two gateways, by the cluster that they lead to.
        self.gateway_links = {name: Link(port, kind="NATS") for name, port in gateways.items()}
        self.east, self.west = (
            ZoneServer(directory, name, f"{_ACCOUNTS}{self._gateway(name, port)}{leaf}")
            for (name, port), leaf in zip(
                gateways.items(), (self._leaf_nodes(leaves), ""), strict=True
            )
        )
        remote = f'{{ url: "nats-leaf://127.0.0.1:{self.leaf_link.port}" }}'
        self.site = ZoneServer(directory, "site", f"leafnodes {{ remotes: [ {remote} ] }}")

    def _gateway(self, name: str, port: int) -> str:
        links = self.gateway_links
        others = ", ".join(
            f'{{ name: {other}, url: "nats://127.0.0.1:{link.port}" }}'
            for other, link in links.items()
        )
        return (
            f'gateway {{ name: {name}, listen: "127.0.0.1:{port}", gateways: [ {others} ]\n'
            f'  advertise: "127.0.0.1:{links[name].port}" }}\n'
        )

    def _leaf_nodes(self, port: int) -> str:
        """Return the configuration of a hub; its address is the link's for those it tells it."""
        return (
            f'leafnodes {{ listen: "127.0.0.1:{port}", '
            f'advertise: "127.0.0.1:{self.leaf_link.port}" }}\n'
        )

    @property
    def links(self) -> list[Link]:
        return [self.leaf_link, *self.gateway_links.values()]

    def start(self) -> None:
        for link in self.links:
            link.start()
        for zone in (self.east, self.west, self.site):
            zone.server.start()

    def remove(self) -> None:
        for zone in (self.site, self.west, self.east):
            zone.server.stop()
        for link in self.links:
            link.remove()

    def _links_of(self, link: LinkName) -> list[Link]:
        return [self.leaf_link] if link == "leaf" else [*self.gateway_links.values()]

    def cut(self, link: LinkName) -> None:
        for way in self._links_of(link):
            way.stop()

    async def mend(self, link: LinkName) -> None:
        """Mend a link, and wait until the servers have found each other."""
        for way in self._links_of(link):
            way.start()
        await self.until_joined()

    def leaf_count(self) -> int:
        """Return how many leaf nodes east has now."""
        count: int = self.east.monitored("leafz")["leafnodes"]
        return count

    def gateway_count(self) -> int:
        """Return how many ways there are between east and west now: one each."""
        pages = [zone.monitored("gatewayz") for zone in (self.east, self.west)]
        return sum(len(page["outbound_gateways"]) for page in pages)

    async def until_joined(self) -> None:
        await until(lambda: (self.leaf_count(), self.gateway_count()) == (1, 2))

    def crossed(self, link: LinkName) -> int:
        """Return how many messages of calls have crossed a link, both ways, by NATS's own count."""
        zone, kind = (self.site, "leafs") if link == "leaf" else (self.east, "gateways")
        accounts = zone.monitored("accstatz?unused=1")["account_statz"]
        return sum(
            int(account[way][kind]["msgs"])
            for account in accounts
            if "SYS" not in account["acc"]
            for way in ("sent", "received")
        )


class SimulatedSite:
    """The simulated Asterisk of a site."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/ari"
        self.websocket_url = f"ws://127.0.0.1:{port}/ari/events"


@asynccontextmanager
async def simulated_site() -> AsyncIterator[SimulatedSite]:
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        serving = simulator.serve(
            stop, port=0, user="ari", password=PASSWORD, listening=port.set_result
        )
        tasks.create_task(serving)
        try:
            yield SimulatedSite(await port)
        finally:
            stop.set()


class ZoneApplication(NamedTuple):
    """An application in a zone: its bus, and the calls that it serves."""

    bus: Bus
    calls: Calls


class SiteStage:
    """The proxy beside its Asterisk, and applications in any zone."""

    def __init__(self, rest: RestClient, bus: Bus, application: str) -> None:
        self.rest = rest
        self._bus = bus
        self.application = application

    @asynccontextmanager
    async def application_in(self, zone: ZoneServer) -> AsyncIterator[ZoneApplication]:
        """Run an instance of the application in a zone."""
        settings = load(bus={"urls": [zone.server.url]})
        async with bus_client(settings) as bus:
            client = LegacyClient(bus, self.application)
            await client.start()
            calls = Calls(self.rest, self.application, client)
            await calls.until_registered()
            await bus.subscribe(_ECHO, partial(_echo, bus))
            yield ZoneApplication(bus, calls)

    async def is_parted_from(self, bus: Bus) -> bool:
        """Return whether the servers on both sides know that nobody listens on the other one.

        Until then what is published goes onto a link that is broken already.
        """
        return await self._answers(bus) == (False, False)

    async def is_joined_with(self, bus: Bus) -> bool:
        """Return whether the servers on both sides know who listens on the other one."""
        return await self._answers(bus) == (True, True)

    async def _answers(self, bus: Bus) -> tuple[bool | None, bool | None]:
        return await _is_answered(self._bus, _ECHO), await _is_answered(bus, *_COMMAND)

    async def is_in_dialplan(self, channel: str) -> bool:
        """Return whether a call was given back to the dialplan since no application serves it."""
        answer = await self.rest.request("GET", f"/channels/{channel}")
        return bool(json.loads(answer.body)["dialplan"]["app_name"] != "Stasis")

    async def status_of(self, channel: str) -> str:
        """Return what the dialplan finds in ARI_PROXY_STATUS."""
        variable = f"/channels/{channel}/variable?variable=ARI_PROXY_STATUS"
        answer = await self.rest.request("GET", variable)
        value: str = json.loads(answer.body)["value"]
        return value


def _echo(bus: Bus, message: Message) -> None:
    bus.publish(message.reply, message.payload)


async def _is_answered(bus: Bus, topic: str, payload: bytes = b"") -> bool | None:
    """Return whether a request is answered or nobody listens; None if it was lost on its way."""
    try:
        await bus.request(topic, payload, timeout_seconds=1)
    except NoRespondersError:
        return False
    except BusTimeoutError:
        return None
    return True


@asynccontextmanager
async def site_stage(zone: ZoneServer, application: str, **ingest: Any) -> AsyncIterator[SiteStage]:
    """Run the proxy and its Asterisk in a zone around a block."""
    async with simulated_site() as asterisk, asterisk_client(asterisk) as rest:
        settings = settings_for(
            zone.server,
            rest_url=asterisk.url,
            websocket_url=asterisk.websocket_url,
            application=application,
            ingest=ingest,
        )
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_serving(bus)
            yield SiteStage(rest, bus, application)
