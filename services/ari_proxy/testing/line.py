"""The caller's line: what a test can do to a call."""

from typing import Protocol

from ari_proxy.simulator.plans import EndpointPlan


class Line(Protocol):
    """A line into the application, at whatever Asterisk."""

    async def call(self, *, caller: str, extension: str) -> None:
        """Call the application; return once the call has entered it."""

    def press(self, digits: str) -> None:
        """Press digits, one after another, behind those pressed before."""

    async def hang_up(self, cause: int) -> None:
        """Hang up, and return once Asterisk has told it."""

    def plan(self, endpoint: str, plan: EndpointPlan) -> None:
        """Say what an endpoint does when it is called."""

    def report_gap(self) -> None:
        """Tell the handler that events may be missing.

        Raises:
            KeyError: the call is over.
        """

    def left(self) -> list[str]:
        """Return what is left of the call, in words, as far as is known."""

    async def until_nothing_is_left(self) -> None:
        """Return once nothing of the call is left."""
