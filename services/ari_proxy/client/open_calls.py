"""The calls that an application follows: what the bus brings for each of them, by their server."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from ari_proxy.bus.base import Bus, DropReason, Message, SubscriptionHandle
from ari_proxy.bus.errors import BusError
from ari_proxy.lazy_logger import LazyLogger
from ari_proxy.protocol import timestamps, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import AppStart, Event

from .call import Call
from .commands import Topics, Withdraw

_log = LazyLogger()

RECOVERED: Final = "ProxyRecovered"
_COMMANDS: Final = topics.commands(DialogId(""))


class _Recovered(msgspec.Struct, frozen=True):
    dialogs: list[str]


_recovered = msgspec.json.Decoder(_Recovered)
_event = msgspec.json.Decoder(Event)


class OpenCalls:
    """The calls of one application that have begun and are not over."""

    def __init__(self, bus: Topics, *, response_seconds: float, give_back_seconds: float) -> None:
        """Initialise without calls.

        Args:
            bus: the bus that the proxy uses.
            response_seconds: timeout of a command.
            give_back_seconds: timeout for returning a failed handler's call to the dialplan.
        """
        self._bus = bus
        self._seconds = {
            "response_seconds": response_seconds,
            "give_back_seconds": give_back_seconds,
        }
        self._withdraw: Withdraw = lambda _: None
        #: By server, then dialog; a server's events are subscribed to while it has an entry.
        self._calls: dict[str, dict[str, Call]] = {}
        self._servers: dict[str, SubscriptionHandle] = {}

    def follow_losses(self, bus: Bus) -> None:
        """Have commands that the bus loses fail with NotSent, and none executed after its timeout.

        Args:
            bus: theirs, for nobody else: its drop handler is ours.
        """
        bus.set_drop_handler(self._take_loss)
        self._withdraw = lambda unsent: bus.discard(lambda topic: topic == unsent)

    def _take_loss(self, topic: str, payload: bytes, reason: DropReason) -> None:
        for calls in self._calls.values():
            call = calls.get(topic.removeprefix(_COMMANDS))
            if call is not None:
                call.take_loss(payload, reason)

    @asynccontextmanager
    async def following(self, start: AppStart) -> AsyncIterator[Call]:
        """Follow a call during a block: its events and responses come to it.

        Args:
            start: announces the call, or is what would have announced it.
        """
        call = Call(self._bus, start, **self._seconds, withdraw=self._withdraw)
        dialog, subscribe = DialogId(start.dialog_id), self._bus.subscribe
        responses, events = topics.responses(dialog), topics.events(dialog)
        calls = await self._of_server(start.server_id)
        calls[dialog] = call
        try:
            async with (
                listening(responses, subscribe(responses, call.take_response)),
                listening(events, subscribe(events, call.take_event)),
            ):
                yield call
        finally:
            calls.pop(dialog, None)

    def is_followed(self, start: AppStart) -> bool:
        """Return whether a call is followed, also one that this process has placed."""
        return start.dialog_id in self._calls.get(start.server_id, {})

    async def close(self) -> None:
        """Follow no server any more."""
        self._calls.clear()
        while self._servers:
            await _unsubscribe(*self._servers.popitem())

    async def _of_server(self, server: str) -> dict[str, Call]:
        """Return the calls of a server; end those that its ingest did not recover."""
        if server in self._calls:
            return self._calls[server]
        calls = self._calls[server] = {}

        def on_event(message: Message) -> None:
            found = _recovered_in(message)
            if found is None:
                return
            open_, listed_at = found
            for dialog_id in calls.keys() - open_:
                # AppStart has its own topic: one sent after this list may arrive before it.
                if calls[dialog_id].announced_at < listed_at:
                    calls[dialog_id].end()

        topic = topics.events(ServerId(server))
        try:
            self._servers[topic] = await self._bus.subscribe(topic, on_event)
        except BaseException:
            del self._calls[server]
            raise
        return calls


@asynccontextmanager
async def listening(topic: str, subscribing: Awaitable[SubscriptionHandle]) -> AsyncIterator[None]:
    """Await a subscription to a topic, and end it with the block."""
    subscription = await subscribing
    try:
        yield
    finally:
        await _unsubscribe(topic, subscription)


async def _unsubscribe(topic: str, subscription: SubscriptionHandle) -> None:
    try:
        await subscription.unsubscribe()
    except BusError as error:  # Lost with its connection.
        _log.warning("subscription.lost", topic=topic, error=str(error))


def _recovered_in(message: Message) -> tuple[set[str], float] | None:
    """Return the dialogs in a ProxyRecovered event and its Unix time; None for other messages."""
    try:
        event = _event.decode(message.payload)
        if event.type != RECOVERED:
            return None
        open_ = set(_recovered.decode(event.ari_body).dialogs)
    except UNDECODABLE as error:
        _log.error("event.malformed", topic=message.topic, error=str(error))
        return None
    return open_, timestamps.seconds_of(event.timestamp) or 0.0
