"""What is known of a call from copies of its messages: its channels, its commands, its end.

Sans-I/O.
"""

from typing import Final, Literal

import msgspec

#: Of one call; of more the first are kept.
MAX_CHANNELS: Final = 32
MAX_COMMANDS: Final = 16

#: Who asked for a channel's end: the device or the far end, or something within Asterisk, as a
#: command or the dialplan is.
HungUpBy = Literal["", "peer", "asterisk"]


class ChannelFacts(msgspec.Struct, omit_defaults=True):
    """What is known of one channel; times in Unix seconds, 0 if it is not known."""

    channel_id: str
    name: str = ""
    protocol_id: str = ""  #: SIP's Call-ID, for one
    caller: str = ""
    caller_name: str = ""
    connected: str = ""
    called: str = ""  #: the extension where it entered the dialplan
    answered_at: float = 0.0
    hung_up: HungUpBy = ""
    left_at: float = 0.0  #: when it left the application
    ended_at: float = 0.0
    cause: int = 0  #: Q.850
    cause_text: str = ""
    tech_cause: int = 0  #: the channel driver's, like SIP's status


class CommandFacts(msgspec.Struct, omit_defaults=True):
    """One command that has failed, or that has made a channel leave."""

    at: float
    request: str  #: method and path
    channel_id: str = ""
    status: int = 0
    message: str = ""
    #: The command before it, if that has failed, with its status.
    after: str = ""


class CallFacts(msgspec.Struct, omit_defaults=True):
    """What is known of one call; times in Unix seconds, 0 if they are not known."""

    dialog_id: str = ""
    server_id: str = ""
    application: str = ""
    channel_id: str = ""  #: of the channel that began it
    started_at: float = 0.0
    ended_at: float = 0.0
    is_accepted: bool = False  #: an application had its AppStart, or its events
    unheard: int = 0  #: events that no application took
    end_reason: str = ""  #: of its ProxyDialogEnded
    gaps: list[str] = []  #: reasons of its ProxyGaps
    channels: dict[str, ChannelFacts] = {}
    failed: list[CommandFacts] = []
    #: Commands that made a channel leave the application: hang-up, continue, move, redirect.
    departures: list[CommandFacts] = []

    @property
    def main(self) -> ChannelFacts | None:
        """The channel that stands for the call: the first, or the one that left last."""
        if self.channel_id in self.channels:
            return self.channels[self.channel_id]
        return max(self.channels.values(), key=lambda one: one.left_at, default=None)

    def departure_of(self, channel_id: str) -> CommandFacts | None:
        """Return the command that made a channel leave, or None."""
        own = (command for command in self.departures if command.channel_id == channel_id)
        return next(own, None)
