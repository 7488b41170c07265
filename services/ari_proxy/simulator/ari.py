"""ARI's REST interface to one exchange, whatever carries the requests."""

from collections.abc import Collection, Mapping

from ari_proxy.ari import operations
from ari_proxy.ari.client import Answer

from . import checks
from .call_routes import BridgeRoutes, ChannelRoutes
from .exchange import Exchange
from .media_routes import MediaRoutes
from .model import ENTITY_ID, Emit, SimulatedRefusalError, now
from .requests import NO_CONTENT, Request, Route, Routes, message, parameters, shown


class SimulatedAri:
    """Answers requests to the simulated Asterisk."""

    def __init__(self, exchange: Exchange, emit: Emit, applications: Collection[str]) -> None:
        """Initialise the interface to an exchange.

        Args:
            exchange: has the channels and bridges.
            emit: sends events.
            applications: those that are registered, at any time.
        """
        self._emit = emit
        self._applications = applications
        self._exchange = exchange
        parts = (ChannelRoutes(exchange), BridgeRoutes(exchange), MediaRoutes(exchange.media))
        #: The operations that it has.
        self.routes = [*self._routes(), *(route for part in parts for route in part.routes())]
        self._handlers = Routes(self.routes)

    async def request(self, method: str, url: str, body: str = "") -> Answer:
        """Return Asterisk's answer to a request, whatever its status.

        Args:
            method: in upper case.
            url: relative to ARI's root, percent-encoded.
            body: JSON text, or ''.
        """
        path, _, query = url.partition("?")
        template = operations.template_of(path)
        try:
            checks.refuse_unknown(method, path, template)
            found = self._handlers.find(method, path)
            if found is None:
                return message(501, f"{method} {template} is not simulated")
            handler, names = found
            request = Request(names, parameters(query, body))
            self._check(method, template, request)
            return await handler(request)
        except SimulatedRefusalError as refusal:
            return shown({refusal.field: str(refusal)}, refusal.status)

    def _check(self, method: str, template: str, request: Request) -> None:
        """Return if Asterisk would execute it: some parameters are looked at before its object."""
        checks.refuse_wrong(method, template, request.parameters, is_found=False)
        self._look_up(method, template, request.names)
        checks.refuse_wrong(method, template, request.parameters, is_found=True)

    def _look_up(self, method: str, template: str, names: Mapping[str, str]) -> None:
        """Find the object that a path names, unless it is a new one."""
        if method == "POST" and template in {"/channels/{channelId}", "/bridges/{bridgeId}"}:
            return
        if template.startswith("/channels/{channelId}/snoop"):
            return  # It looks at its parameters first: `snooping.py`.
        if "channel" in names:
            self._exchange.channel(names["channel"])
        if "bridge" in names:
            self._exchange.bridge(names["bridge"])
        if template.startswith("/recordings/stored/"):
            self._exchange.media.stored_recording(names["recording"])

    def _routes(self) -> list[Route]:
        return [
            ("GET", "/asterisk/ping", self._ping),
            ("GET", "/asterisk/info", self._info),
            ("GET", "/applications/{name}", self._application),
            ("POST", "/events/user/{event}", self._user_event),
        ]

    async def _user_event(self, request: Request) -> Answer:
        app, name = request.parameters.get("application", ""), request.names["event"]
        if app not in self._applications:
            return message(404, "Application not found")
        await self._emit(app, "ChannelUserevent", eventname=name, userevent={"eventname": name})
        return NO_CONTENT

    async def _ping(self, _: Request) -> Answer:
        return shown({"asterisk_id": ENTITY_ID, "ping": "pong", "timestamp": now()})

    async def _info(self, _: Request) -> Answer:
        return shown({"system": {"version": "22.10.1", "entity_id": ENTITY_ID}})

    async def _application(self, request: Request) -> Answer:
        name = request.names["name"]
        if name not in self._applications:
            return message(404, "Application not found")
        objects = ("channel_ids", "bridge_ids", "endpoint_ids", "device_names")
        lists = (*objects, "events_allowed", "events_disallowed")
        return shown({"name": name} | {key: [] for key in lists})
