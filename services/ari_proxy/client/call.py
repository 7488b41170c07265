"""One call, from the application's side: events to read, commands to await."""

import asyncio
import contextlib
import itertools
from typing import Any, Final, Protocol, Self
from urllib.parse import quote, urlencode

import msgspec
import structlog

from ari_proxy.bus.base import Handler, Message, SubscriptionHandle
from ari_proxy.protocol import messages, timestamps, topics
from ari_proxy.protocol.ids import DialogId, token_of_object
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import MAX_COMMANDS, AppStart, Command, CommandResponse, Event

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
#: The channel variable that gives the dialplan the reason for a returned call, and its value.
STATUS_VARIABLE: Final = "ARI_PROXY_STATUS"
FAILED: Final = "FAILED"

#: Asterisk's statuses for a channel that is gone, or already in the dialplan.
_GONE: Final = frozenset({404, 409})
_BEGINNINGS: Final = frozenset({"ChannelCreated", "StasisStart"})
_ENDS: Final = frozenset({"ChannelDestroyed", "StasisEnd"})

_event = msgspec.json.Decoder(Event)
_body = msgspec.json.Decoder(dict[str, Any])
_response = msgspec.json.Decoder(CommandResponse)


class Topics(Protocol):
    """The part of a bus that an application needs."""

    def publish(self, topic: str, payload: bytes, *, reply: str = "", once: bool = False) -> None:
        """Send a message; with `once` it is never sent twice, and may be lost instead."""

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = ""
    ) -> SubscriptionHandle:
        """Call `handler` with every message on `topic`."""


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
        self._bus = bus
        self._response_seconds = response_seconds
        self._give_back_seconds = give_back_seconds
        self.dialog_id = start.dialog_id
        self.channel_id = start.channel_id
        #: Unix time of the AppStart; 0 if it has no timestamp.
        self.announced_at = timestamps.seconds_of(start.timestamp or "") or 0.0
        self._commands = topics.commands(DialogId(start.dialog_id))
        self._events = CallEvents(start.channel_id)
        #: Channels that may still exist, in order of arrival.
        self._channels = {start.channel_id: None}
        self._responses: dict[str, asyncio.Future[CommandResponse]] = {}
        self._ids = itertools.count(1)

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
        if event.type in _BEGINNINGS and event.channel_id:
            self._channels[event.channel_id] = None
        elif event.type in _ENDS:
            self._channels.pop(event.channel_id, None)
        elif event.type == DIALOG_ENDED:
            self._channels.clear()

    def take_response(self, message: Message) -> None:
        """Handle a message of the responses topic."""
        try:
            response = _response.decode(message.payload)
        except UNDECODABLE as error:
            _log.error("response.lost", dialog_id=self.dialog_id, error=str(error))
            return
        waiting = self._responses.pop(response.unique_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

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
        command = Command(self._next_id(), url, method, body)
        payload = messages.encode(command)
        (response,) = await self._send([command], payload, self._response_seconds)
        return response

    async def give_back(self) -> None:
        """Return the caller to the dialplan, and hang up channels that this application placed.

        The channel variable ARI_PROXY_STATUS is then FAILED.
        """
        commands = [
            Command(self._next_id(), url, method, "")
            for channel in self._channels
            for method, url in self._ways_out(channel)
        ]
        if not commands:
            return
        refused: list[str] = []
        try:
            for start in range(0, len(commands), MAX_COMMANDS):
                array = commands[start : start + MAX_COMMANDS]
                payload = messages.encode_all(array)
                responses = await self._send(array, payload, self._give_back_seconds)
                refused += [
                    _status_text(response) for response in responses if _is_refusal(response)
                ]
        except TimeoutError as error:
            refused.append(str(error))
        if refused:
            _log.error("dialog.not_given_back", dialog_id=self.dialog_id, error=", ".join(refused))

    def _ways_out(self, channel: str) -> list[tuple[str, str]]:
        path = f"/channels/{quote(channel, safe='')}"
        if channel != self.channel_id or token_of_object(channel) is not None:
            return [("DELETE", path)]
        status = f"{path}/variable?variable={STATUS_VARIABLE}&value={FAILED}"
        return [("POST", status), ("POST", f"{path}/continue")]

    def _next_id(self) -> str:
        return str(next(self._ids))

    async def _send(
        self, commands: list[Command], payload: bytes, timeout_seconds: float
    ) -> list[CommandResponse]:
        """Send commands in one message and return their responses, or raise TimeoutError."""
        loop = asyncio.get_running_loop()
        awaited = {command.unique_id: loop.create_future() for command in commands}
        self._responses |= awaited
        self._bus.publish(self._commands, payload, once=True)
        try:
            async with asyncio.timeout(timeout_seconds):
                return [await response for response in awaited.values()]
        except TimeoutError:
            what = ", ".join(f"{command.method} {command.url}" for command in commands)
            raise TimeoutError(f"no response to {what} within {timeout_seconds:g} s") from None
        finally:
            for unique_id in awaited:
                self._responses.pop(unique_id, None)


def _status_text(response: CommandResponse) -> str:
    return f"{response.status_code} {response.response_body}"


def _is_refusal(response: CommandResponse) -> bool:
    return response.status_code >= 400 and response.status_code not in _GONE  # noqa: PLR2004  HTTP
