"""One call, from the application's side: events to read, commands to await."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

import msgspec

from ari_proxy.bus.base import DropReason, Message
from ari_proxy.lazy_logger import LazyLogger
from ari_proxy.protocol import timestamps
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import MAX_COMMANDS, AppStart, CommandResponse
from ari_proxy.protocol.messages import Event as EventMessage

from . import events
from .ari import Ari
from .ari.model import EventT, with_raw, with_sequence
from .ari.requests import VariableValue
from .call_end import DIALOG_ENDED, CallEnd
from .call_events import PROBE, CallEvents
from .channel_events import replaces
from .channel_state import TrackedChannels
from .channels import CallChannels
from .commands import CallCommands, Topics, Withdraw
from .errors import CallEnded, NotSent
from .events import Event, ProxyDialogEnded
from .external.snoop import SnoopableChannel
from .gaps import GapHandlers, GapTellingCall
from .known_channel import KnownChannel
from .legs.bridge import Bridge
from .legs.dialling import RING_SECONDS, Dialling, DialOptions
from .legs.early_dialling import EARLY, EarlyDialling
from .legs.leg import Leg
from .legs.transfer import TransferableChannel
from .listeners import Listener, Listeners
from .transport import AGAIN_SECONDS, CallTransport
from .waits import Wait

_log = LazyLogger()

#: Seconds to wait for a response; the proxy itself gives up on Asterisk after 10.
RESPONSE_SECONDS: Final = 15.0
#: Seconds to wait while a failed handler's call is returned to the dialplan.
GIVE_BACK_SECONDS: Final = 5.0
#: The former name of events, which have all that it had.
CallEvent = Event

#: Asterisk's statuses for a channel that is gone, or already in the dialplan.
_GONE: Final = frozenset({404, 409})

_event = msgspec.json.Decoder(EventMessage)


class Call(KnownChannel, TransferableChannel, SnoopableChannel, GapTellingCall):
    """One call, from the application's side: all about its first channel, and its other ones."""

    def __init__(
        self,
        bus: Topics,
        start: AppStart,
        *,
        response_seconds: float = RESPONSE_SECONDS,
        give_back_seconds: float = GIVE_BACK_SECONDS,
        withdraw: Withdraw = lambda _: None,
    ) -> None:
        self._response_seconds = response_seconds
        self._give_back_seconds = give_back_seconds
        self.application = start.application
        self.dialog_id = start.dialog_id
        #: The `server_id` of the ari-proxy whose Asterisk has it.
        self.server_id = start.server_id
        #: The channel that has begun the call, or the one that has taken its place in a transfer.
        self.channel_id = start.channel_id
        #: Unix time of the AppStart; 0 if it has no timestamp.
        self.announced_at = timestamps.seconds_of(start.timestamp or "") or 0.0
        self._commands = CallCommands(
            bus, start.dialog_id, withdraw=withdraw, is_shared=bool(start.recovered)
        )
        #: All operations of the call's Asterisk; the proxy's policy says which are allowed.
        self.ari = Ari(
            CallTransport(
                self._commands,
                response_seconds=response_seconds,
                asterisk_version=start.asterisk_version or "",
            )
        )
        self._events = CallEvents(start.dialog_id, start.channel_id)
        self._channels = CallChannels(start.channel_id)
        self.tracked_channels = TrackedChannels()
        self._known = self.tracked_channels.of(start.channel_id)
        self._end = CallEnd(start.dialog_id, start.channel_id)
        self.gap_handlers = GapHandlers(start.dialog_id)
        self._listeners = Listeners(start.dialog_id)

    def __repr__(self) -> str:
        return f"Call({self.id!r}, channel_id={self.channel_id!r})"

    @property
    def id(self) -> str:
        """The id of its dialog."""
        return self.dialog_id

    @property
    def is_over(self) -> bool:
        """True once its channel has left the application, or its dialog has ended."""
        return self._end.is_over

    @property
    def has_legs(self) -> bool:
        """True if other channels than its own may exist in its dialog."""
        return self._channels.has_others

    def end_error(self) -> CallEnded:
        """Return the error that stands for the end of the call."""
        return self._end.error()

    def take_event(self, message: Message) -> None:
        """Handle a message of the events topic."""
        try:
            received = _event.decode(message.payload)
        except UNDECODABLE as error:
            _log.error("event.lost", dialog_id=self.dialog_id, error=str(error))
            return
        if received.type != PROBE:
            event = events.decode(received.ari_body)
            self._take(with_sequence(event, received.sequence))

    def _take(self, event: Event) -> None:
        if event.type == DIALOG_ENDED:
            self._channels.clear()
        else:
            self._channels.follow(event.type, event.channel_id)
        self._end.follow(event)
        if replaces(event, self.channel_id):
            self._go_on_as(event)
        self.tracked_channels.take(event)
        self.gap_handlers.follow(event)
        self._events.put(event)
        self._listeners.tell(event)

    def take_response(self, message: Message) -> None:
        """Handle a message of the responses topic."""
        self._commands.take_response(message)

    def take_loss(self, payload: bytes, reason: DropReason) -> None:
        """Handle that the bus has lost a message of the commands topic."""
        self._commands.lose(payload, reason)

    def end(self) -> None:
        """End the dialog with ProxyDialogEnded: ingest did not recover it."""
        event = ProxyDialogEnded(
            application=self.application, timestamp=datetime.now(UTC), reason="not_recovered"
        )
        self._take(with_raw(event, msgspec.json.encode(event).decode()))

    def events(self) -> CallEvents:
        """Return the events in order, until the dialog or its first channel has ended.

        They are structs of `client.events`, with `sequence` and `raw`. They include ari-proxy's
        own: ProxyGap, after which events may be missing, and ProxyDialogEnded, for a dialog whose
        StasisEnd was not seen.
        """
        return self._events.reader()

    def following(self, listener: Listener) -> AbstractContextManager[None]:
        """Call a function with each event that arrives during a block, in order.

        It is called as the event arrives, before anything else can happen, and must not block.
        When it gets the event that ends the call, `is_over` is true. One that raises is logged,
        and harms no other.
        """
        return self._listeners.following(listener)

    async def wait_for(
        self,
        event_type: type[EventT],
        *,
        where: Callable[[EventT], bool] = lambda _: True,
        timeout: float | None = None,  # noqa: ASYNC109  as asyncio.wait_for's
    ) -> EventT:
        """Return the next event of a type that arrives from now on.

        Args:
            event_type: like `ChannelDtmfReceived`.
            where: tells whether it is the one; what it raises is raised here.
            timeout: seconds; None waits until the call ends.

        Raises:
            CallEnded: the call has ended before.
            TimeoutError: none came in time.
        """
        return await Wait(event_type, where, self._end).result(self, timeout)

    async def dial(
        self,
        endpoints: str | Sequence[str],
        *,
        timeout: float = RING_SECONDS,  # noqa: ASYNC109  the other end's time to answer
        caller_id: str | None = None,
        ring: str | None = None,
        variables: Mapping[str, VariableValue] | None = None,
    ) -> Leg:
        """Dial endpoints, all at once, and return the leg that answers first.

        The others are hung up; all are if none answers, if the call ends, or if this is cancelled.

        Args:
            endpoints: like `PJSIP/200`.
            timeout: seconds until one has answered.
            caller_id: what they see, like `Ann <100>`.
            ring: what the caller hears meanwhile: `ring` has its own phone ring until it is
                answered, `early` is what the one endpoint sends before it answers, `moh` or
                `moh:CLASS` is music, other media like `tone:ring` are played.
            variables: names and values of variables of their channels.

        Raises:
            CallEnded: the caller has left before.
            DialFailed: Busy, NoAnswer, or Rejected with the cause.
            ValueError: `ring` is nothing that can be heard, or there are several endpoints to be
                heard early.
        """
        options = DialOptions(
            timeout=timeout, caller_id=caller_id, ring=ring, variables=variables or {}
        )
        several = [endpoints] if isinstance(endpoints, str) else list(endpoints)
        kind = EarlyDialling if ring == EARLY else Dialling
        return await kind(self, several, options).leg()

    def bridge(
        self, *, kind: str = "mixing", name: str | None = None, record: str | None = None
    ) -> Bridge:
        """Return a bridge for an `async with` block, at whose end it is destroyed.

        Args:
            kind: its abilities, separated by commas, like `mixing,dtmf_events`.
            name: a name for people.
            record: the name of a recording of all that is heard in it, as of `record`; its
                handle is `recording`.

        Raises:
            Conflict: there is a recording of this name; when the block begins.
        """
        return Bridge(self, kind=kind, name=name, record=record)

    async def command(
        self, method: str, path: str, body: str = "", **parameters: str
    ) -> CommandResponse:
        """Send a command and return its response.

        Raises:
            NotSent: the bus has not taken it.
            TimeoutError: no response arrived within `response_seconds`.
        """
        url = f"{path}?{urlencode(parameters)}" if parameters else path
        return await self._commands.send(
            self._commands.new(method, url, body), timeout_seconds=self._response_seconds
        )

    async def give_back(self) -> None:
        """Return the caller to the dialplan, and hang up channels that this application placed.

        The channel variable ARI_PROXY_STATUS is then FAILED.
        """
        commands = [self._commands.new(method, url) for method, url in self._channels.ways_out()]
        if not commands:
            return
        refused: list[str] = []
        try:
            for start in range(0, len(commands), MAX_COMMANDS):
                responses = await self._commands.send_all(
                    commands[start : start + MAX_COMMANDS],
                    timeout_seconds=self._give_back_seconds,
                    again_seconds=AGAIN_SECONDS,
                )
                refused += [
                    _status_text(response) for response in responses if _is_refusal(response)
                ]
        except (NotSent, TimeoutError) as error:
            refused.append(str(error))
        if refused:
            _log.error("dialog.not_given_back", dialog_id=self.dialog_id, error=", ".join(refused))


def _status_text(response: CommandResponse) -> str:
    return f"{response.status_code} {response.response_body}"


def _is_refusal(response: CommandResponse) -> bool:
    return response.status_code >= 400 and response.status_code not in _GONE  # noqa: PLR2004  HTTP
