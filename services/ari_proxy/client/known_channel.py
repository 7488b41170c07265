"""A channel whose state is kept from its events: reading it asks nobody."""

from .ari.events import StasisStart
from .ari.models import CallerID, DialplanCEP
from .channel_state import TrackedChannel
from .party import Party


class KnownChannel(Party):
    """What Asterisk has told of a channel last.

    What it has not told is empty. After a gap in the events all is read again; variables that can't
    be read then are forgotten (Asterisk tells several at once since 20.20, 22.10 and 23.4).
    """

    _known: TrackedChannel

    def _go_on_as(self, entered: StasisStart) -> None:
        """Be the channel that has taken the place of the former one."""
        self.channel_id = entered.channel.id
        self._known = self.tracked_channels.of(self.channel_id)
        self._known.take(entered, entered.channel)

    @property
    def state(self) -> str:
        """Asterisk's name of its state, like `Ring` or `Up`."""
        return self._known.state

    @property
    def caller(self) -> CallerID:
        """Who is at its other end: name and number."""
        return self._known.caller

    @property
    def connected(self) -> CallerID:
        """Whom its other end is told to be connected with: name and number."""
        return self._known.connected

    @property
    def dialplan(self) -> DialplanCEP:
        """Its place in the dialplan: context, exten and priority, and the application there."""
        return self._known.dialplan

    @property
    def language(self) -> str:
        """Of its sounds, like `en`."""
        return self._known.language

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments of Stasis(), or of the request that has placed it."""
        return self._known.args

    @property
    def variables(self) -> dict[str, str]:
        """Variables by name, as far as they were told: those set since it is in the call.

        So are those that ari.conf's `channelvars` lists. At most 200; `ari.channels.get_variable`
        asks for any other one.
        """
        return self._known.variables
