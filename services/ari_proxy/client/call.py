"""One call, from the application's side: events to read, commands to await."""

import asyncio
import contextlib
from typing import Any, Final, Self
from urllib.parse import urlencode

import msgspec
import structlog

from ari_proxy.bus.base import Message
from ari_proxy.protocol import timestamps
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import MAX_COMMANDS, AppStart, CommandResponse, Event

from .channels import CallChannels
from .commands import CallCommands, Topics

_log = structlog.get_logger()

#: Seconds to wait for a response; the proxy itself gives up on Asterisk after 10.
RESPONSE_SECONDS: Final = 15.0
#: Seconds to wait while a failed handler's call is returned to the dialplan.
GIVE_BACK_SECONDS: Final = 5.0
#: Unread events to hold; a dialog has a few hundred in all.
MAX_WAITING_EVENTS: Final = 10_000
#: ari-proxy's own events (docs/reference/wire.md).
DIALOG_ENDED: Final = "ProxyDialogEnded"
PROBE: Final = "ProxyProbe"

#: Asterisk's statuses for a channel that is gone, or already in the dialplan.
_GONE: Final = frozenset({404, 409})

_event = msgspec.json.Decoder(Event)
_body = msgspec.json.Decoder(dict[str, Any])


class CallEvent:
    """One event: its sequence in the dialog, and the JSON that Asterisk sent."""

    def __init__(self, event: Event) -> None:
        self.sequence = event.sequence
        self.type = event.type
        self.body: dict[str, Any] = _body.decode(event.ari_body)

    @property
    def channel_id(self) -> str:
        """The id of the event's channel, or ''."""
        channel = self.body.get("channel")
        name = channel.get("id") if isinstance(channel, dict) else None
        return name if isinstance(name, str) else ""


class CallEvents:
    """Events of a dialog in order, until the dialog or its first channel has ended.

    A wait for the next event may be cancelled or time out without losing one.
    """

    def __init__(self, channel_id: str) -> None:
        self._channel_id = channel_id
        self._waiting: asyncio.Queue[CallEvent] = asyncio.Queue(MAX_WAITING_EVENTS)
        self._is_over = False

    def put(self, event: CallEvent) -> None:
        """Add an event.

        Raises:
            asyncio.QueueFull: MAX_WAITING_EVENTS are unread.
        """
        if event.type != PROBE:
            self._waiting.put_nowait(event)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CallEvent:
        if self._is_over:
            raise StopAsyncIteration
        # Nothing is awaited after this: a reader cancelled here has removed no event.
        event = await self._waiting.get()
        is_own_end = event.type == "StasisEnd" and event.channel_id == self._channel_id
        self._is_over = is_own_end or event.type == DIALOG_ENDED
        return event


class Call:
    """One call, from the application's side."""

    def __init__(
        self,
        bus: Topics,
        start: AppStart,
        *,
        response_seconds: float = RESPONSE_SECONDS,
        give_back_seconds: float = GIVE_BACK_SECONDS,
    ) -> None:
        self._response_seconds = response_seconds
        self._give_back_seconds = give_back_seconds
        self.dialog_id = start.dialog_id
        self.channel_id = start.channel_id
        #: Unix time of the AppStart; 0 if it has no timestamp.
        self.announced_at = timestamps.seconds_of(start.timestamp or "") or 0.0
        self._commands = CallCommands(bus, start.dialog_id)
        self._events = CallEvents(start.channel_id)
        self._channels = CallChannels(start.channel_id)

    def take_event(self, message: Message) -> None:
        """Handle a message of the events topic."""
        try:
            event = CallEvent(_event.decode(message.payload))
            self._follow(event)
            self._events.put(event)
        except (*UNDECODABLE, asyncio.QueueFull) as error:
            reason = str(error) or f"{MAX_WAITING_EVENTS} events are unread"
            _log.error("event.lost", dialog_id=self.dialog_id, error=reason)

    def _follow(self, event: CallEvent) -> None:
        if event.type == DIALOG_ENDED:
            self._channels.clear()
        else:
            self._channels.follow(event.type, event.channel_id)

    def take_response(self, message: Message) -> None:
        """Handle a message of the responses topic."""
        self._commands.take_response(message)

    def end(self) -> None:
        """End the dialog with ProxyDialogEnded: ingest did not recover it."""
        body = msgspec.json.encode({"type": DIALOG_ENDED, "reason": "not_recovered"}).decode()
        event = CallEvent(Event("", "", DIALOG_ENDED, body))
        self._follow(event)
        with contextlib.suppress(asyncio.QueueFull):
            self._events.put(event)

    def events(self) -> CallEvents:
        """Return the events in order, until the dialog or its first channel has ended.

        They include ari-proxy's own: ProxyGap, after which events may be missing, and
        ProxyDialogEnded, for a dialog whose StasisEnd was not seen.
        """
        return self._events

    async def command(
        self, method: str, path: str, body: str = "", **parameters: str
    ) -> CommandResponse:
        """Send a command and return its response.

        Raises:
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
                    commands[start : start + MAX_COMMANDS], timeout_seconds=self._give_back_seconds
                )
                refused += [
                    _status_text(response) for response in responses if _is_refusal(response)
                ]
        except TimeoutError as error:
            refused.append(str(error))
        if refused:
            _log.error("dialog.not_given_back", dialog_id=self.dialog_id, error=", ".join(refused))


def _status_text(response: CommandResponse) -> str:
    return f"{response.status_code} {response.response_body}"


def _is_refusal(response: CommandResponse) -> bool:
    return response.status_code >= 400 and response.status_code not in _GONE  # noqa: PLR2004  HTTP
