"""ARI operations on channels and bridges of the simulated Asterisk."""

from typing import Final

from ari_proxy.ari.client import Answer
from ari_proxy.ari.decoding import arguments

from . import causes
from .exchange import Exchange
from .external_media import external_media
from .redirecting import redirect
from .requests import NO_CONTENT, Request, Route, message, shown, variables

#: What a phone can be told of a transfer that it has asked for.
_TRANSFER_STATES: Final = frozenset(
    f"channel_{state}" for state in ("progress", "answered", "unavailable", "declined")
)
#: Operations on a channel with no effect visible in ARI.
_ACCEPTED: Final = ("ring", "progress", "dtmf", "mute", "hold", "moh", "silence")


class ChannelRoutes:
    """`/channels`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        """Return method, path and handler of each operation."""
        channel = "/channels/{channel}"
        return [
            ("GET", "/channels", self._list_channels),
            ("POST", "/channels", self._originate),
            ("POST", "/channels/create", self._create),
            ("POST", "/channels/externalMedia", self._external_media),
            ("GET", channel, self._get_channel),
            ("POST", channel, self._originate),
            ("DELETE", channel, self._hang_up),
            ("POST", channel + "/answer", self._answer),
            ("POST", channel + "/dial", self._dial),
            ("POST", channel + "/continue", self._continue),
            ("POST", channel + "/snoop", self._snoop),
            ("POST", channel + "/snoop/{snoop}", self._snoop),
            ("POST", channel + "/redirect", self._redirect),
            ("POST", channel + "/transfer_progress", self._transfer_progress),
            ("GET", channel + "/variable", self._get_variable),
            ("POST", channel + "/variable", self._set_variable),
            ("GET", channel + "/variables", self._get_variables),
            ("GET", channel + "/rtp_statistics", self._rtp_statistics),
            *(("POST", f"{channel}/{name}", self._accept) for name in _ACCEPTED),
            *(("DELETE", f"{channel}/{name}", self._accept) for name in _ACCEPTED[3:]),
            ("DELETE", channel + "/ring", self._accept),
        ]

    async def _list_channels(self, _: Request) -> Answer:
        return shown([channel.as_json() for channel in self._exchange.channels.values()])

    async def _get_channel(self, request: Request) -> Answer:
        return shown(self._exchange.channel(request.names["channel"]).as_json())

    async def _originate(self, request: Request) -> Answer:
        name = request.names.get("channel", "")
        channel = self._exchange.originate(name, request.parameters)
        channel.variables.update(variables(request.parameters))
        return shown(channel.as_json())

    async def _create(self, request: Request) -> Answer:
        channel = await self._exchange.create("", request.parameters)
        channel.variables.update(variables(request.parameters))
        return shown(channel.as_json())

    async def _external_media(self, request: Request) -> Answer:
        channel = external_media(request.parameters, variables(request.parameters))
        shown_before = channel.as_json() | {"channelvars": dict(channel.variables)}
        self._exchange.connect(channel)
        return shown(shown_before)

    async def _snoop(self, request: Request) -> Answer:
        name = request.names.get("snoop", "")
        channel = self._exchange.snoop(request.names["channel"], name, request.parameters)
        return shown(channel.as_json())

    async def _dial(self, request: Request) -> Answer:
        self._exchange.dial(request.names["channel"], request.parameters)
        return NO_CONTENT

    async def _answer(self, request: Request) -> Answer:
        await self._exchange.answer(request.names["channel"])
        return NO_CONTENT

    async def _hang_up(self, request: Request) -> Answer:
        wanted = request.parameters
        cause = causes.asked(wanted.get("reason", ""), wanted.get("reason_code", ""))
        await self._exchange.hang_up(request.names["channel"], cause)
        return NO_CONTENT

    async def _continue(self, request: Request) -> Answer:
        await self._exchange.leave(request.names["channel"])
        return NO_CONTENT

    async def _redirect(self, request: Request) -> Answer:
        endpoint = request.parameters["endpoint"]
        await redirect(self._exchange, request.names["channel"], endpoint)
        return NO_CONTENT

    async def _transfer_progress(self, request: Request) -> Answer:
        self._exchange.channel(request.names["channel"])
        if request.parameters["states"] not in _TRANSFER_STATES:
            return message(400, "Invalid states value")
        return NO_CONTENT

    async def _accept(self, request: Request) -> Answer:
        self._exchange.channel(request.names["channel"])
        return NO_CONTENT

    async def _rtp_statistics(self, request: Request) -> Answer:
        self._exchange.channel(request.names["channel"])
        return message(403, "Unsupported channel type")

    async def _get_variable(self, request: Request) -> Answer:
        channel = self._exchange.channel(request.names["channel"])
        name = request.parameters.get("variable", "")
        if name not in channel.variables:
            return message(404, "Provided variable was not found")
        return shown({"value": channel.variables[name]})

    async def _get_variables(self, request: Request) -> Answer:
        channel = self._exchange.channel(request.names["channel"])
        names = arguments(request.parameters["variables"])
        if not channel.variables.keys() >= set(names):
            return message(404, "Provided variable was not found")
        return shown({"variables": {name: channel.variables[name] for name in names}})

    async def _set_variable(self, request: Request) -> Answer:
        asked = request.parameters
        await self._exchange.set_variable(
            request.names["channel"], asked.get("variable", ""), asked.get("value", "")
        )
        return NO_CONTENT


class BridgeRoutes:
    """`/bridges`, without their media."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        """Return method, path and handler of each operation."""
        bridge = "/bridges/{bridge}"
        return [
            ("GET", "/bridges", self._list_bridges),
            ("POST", "/bridges", self._create_bridge),
            ("GET", bridge, self._get_bridge),
            ("POST", bridge, self._create_bridge),
            ("DELETE", bridge, self._destroy_bridge),
            ("POST", bridge + "/addChannel", self._add_channels),
            ("POST", bridge + "/removeChannel", self._remove_channels),
            ("POST", bridge + "/moh", self._accept_for_bridge),
            ("DELETE", bridge + "/moh", self._accept_for_bridge),
        ]

    async def _list_bridges(self, _: Request) -> Answer:
        return shown([bridge.as_json() for bridge in self._exchange.bridges.values()])

    async def _create_bridge(self, request: Request) -> Answer:
        name = request.names.get("bridge", "")
        return shown(self._exchange.create_bridge(name, request.parameters).as_json())

    async def _get_bridge(self, request: Request) -> Answer:
        return shown(self._exchange.bridge(request.names["bridge"]).as_json())

    async def _destroy_bridge(self, request: Request) -> Answer:
        await self._exchange.destroy_bridge(request.names["bridge"])
        return NO_CONTENT

    async def _add_channels(self, request: Request) -> Answer:
        names = arguments(request.parameters.get("channel", ""))
        await self._exchange.add_channels(request.names["bridge"], names)
        return NO_CONTENT

    async def _remove_channels(self, request: Request) -> Answer:
        names = arguments(request.parameters.get("channel", ""))
        await self._exchange.remove_channels(request.names["bridge"], names)
        return NO_CONTENT

    async def _accept_for_bridge(self, request: Request) -> Answer:
        self._exchange.bridge(request.names["bridge"])
        return NO_CONTENT
