"""The caller's line to the simulated Asterisk."""

from typing import Final

from ari_proxy.simulator.exchange import Exchange
from ari_proxy.simulator.plans import EndpointPlan

from .caller import Caller
from .changes import Changes
from .proxy import APPLICATION, InProcessProxy

_DONE: Final = True


class SimulatedLine:
    """A line that the exchange itself has."""

    def __init__(
        self, exchange: Exchange, proxy: InProcessProxy, caller: Caller, changes: Changes
    ) -> None:
        """Initialise a line without a call.

        Args:
            exchange: has the channels.
            proxy: serves the application.
            caller: who calls.
            changes: tells when anything has happened.
        """
        self._exchange = exchange
        self._proxy = proxy
        self._caller = caller
        self._changes = changes

    async def call(self, *, caller: str, extension: str) -> None:
        """Call the application."""
        await self._exchange.call_in(APPLICATION, caller=caller, extension=extension)

    def press(self, digits: str) -> None:
        """Press digits."""
        self._exchange.press(self._caller.channel_id, digits)

    async def hang_up(self, cause: int) -> None:
        """Hang up."""
        await self._exchange.hang_up_at_peer(self._caller.channel_id, cause)

    def plan(self, endpoint: str, plan: EndpointPlan) -> None:
        """Say what an endpoint does."""
        self._exchange.plans[endpoint] = plan

    def report_gap(self) -> None:
        """Tell the handler that events may be missing."""
        self._proxy.report_gap(self._caller.channel_id)

    def left(self) -> list[str]:
        """Return what is left: a caller who was sent back into the dialplan is not counted."""
        exchange, caller = self._exchange, self._caller
        left = [
            f"channel {channel.name} ({channel.id})"
            for channel in exchange.channels.values()
            if channel.id != caller.channel_id or caller.is_served
        ]
        left += [f"bridge {bridge.name or bridge.id}" for bridge in exchange.bridges.values()]
        return left + [f"recording {name}" for name in exchange.media.recordings]

    async def until_nothing_is_left(self) -> None:
        """Return once nothing is left."""
        await self._changes.until(lambda: None if self.left() else _DONE)
