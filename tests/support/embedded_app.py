"""An App with ari-proxy within it, at a simulator or an Asterisk, and callers of its own."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode, urlsplit

from ari_proxy import App
from ari_proxy.ari.rest import RestClient
from ari_proxy.client.handling import CallHandler
from tests.support.calls import RestServer, asterisk_client
from tests.support.running import until
from tests.support.servers import PASSWORD

_numbers = itertools.count()


class Callers:
    """Those who call an application from outside."""

    def __init__(self, rest: RestClient, application: str) -> None:
        self._rest = rest
        self.application = application

    async def until_registered(self) -> None:
        """Wait until Asterisk has the application."""

        async def is_registered() -> bool:
            path = f"/applications/{self.application}"
            return (await self._rest.request("GET", path)).status == 200

        await until(is_registered)

    async def place(self, extension: str = "answer") -> str:
        """Have somebody call, who does what the extension does; return the channel."""
        query = {"endpoint": f"Local/{extension}@default/n", "app": self.application}
        answer = await self._rest.request("POST", f"/channels?{urlencode(query)}")
        assert answer.status == 200, answer
        channel: str = json.loads(answer.body)["id"]
        return channel

    async def hang_up(self, channel: str) -> None:
        """Hang up a channel, also one of the application's."""
        await self._rest.request("DELETE", f"/channels/{channel}")

    async def until_gone(self, channel: str) -> None:
        """Wait until there is no such channel."""

        async def is_gone() -> bool:
            return (await self._rest.request("GET", f"/channels/{channel}")).status == 404

        await until(is_gone)


@asynccontextmanager
async def embedded_app(asterisk: RestServer, handler: CallHandler) -> AsyncIterator[Callers]:
    """Run an App around a block, once Asterisk sends it calls."""
    where = urlsplit(asterisk.url).netloc
    app = App(f"embedded-app{next(_numbers)}", f"ari://ari:{PASSWORD}@{where}")
    app.call(handler)
    async with app, asterisk_client(asterisk) as rest:
        callers = Callers(rest, app.name)
        await callers.until_registered()
        yield callers
