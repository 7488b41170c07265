"""Messages of dialogs held back after an outage of NATS, until their listener has reconnected.

NATS keeps nothing for a disconnected client, and other clients take seconds to reconnect (two by
default). So for a while after a reconnect the first message on each topic of a dialog is a probe:
if it had no listener, it is held back with all messages that follow, and sent again.
"""

import asyncio
import contextlib
from typing import Final, Protocol

import structlog

from ari_proxy.bus.outbox import Outbox
from ari_proxy.protocol import topics

_log = structlog.get_logger()

#: Seconds after a reconnect in which listeners may reconnect.
RETURN_SECONDS: Final = 15.0
#: Seconds between probes.
PROBE_SECONDS: Final = 0.1


class Prober(Protocol):
    """Sends on the connection."""

    async def probe(self, messages: list[tuple[str, bytes]]) -> list[bool]:
        """Send messages in one go; return for each whether it had a listener."""

    async def send(self, topic: str, payload: bytes) -> None:
        """Send a message that the outbox counts as sent."""


class ReconnectBuffer:
    """Holds back messages on one connection to NATS; on the first one, none."""

    def __init__(self, outbox: Outbox, *, is_needed: bool) -> None:
        self._outbox = outbox
        self.is_over = not is_needed
        self._has_listener: set[str] = set()
        self._something_held = asyncio.Event()

    def hold_back(self, topic: str) -> bool:
        """Hold back the message that the outbox returned last, unless its topic has a listener."""
        if topic in self._has_listener or not topics.is_of_dialog(topic):
            return False
        self._outbox.hold_last()
        self._something_held.set()
        return True

    async def watch(self, prober: Prober, probing: asyncio.Lock) -> None:
        """Send held messages as soon as they have a listener, or when the time is over.

        Args:
            prober: sends.
            probing: held while it does.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RETURN_SECONDS
        while not self.is_over and loop.time() < deadline:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._something_held.wait()
            async with probing:
                await self._probe(prober)
            if self._outbox.held_topics:
                await asyncio.sleep(PROBE_SECONDS)
            else:
                self._something_held.clear()
        async with probing:
            await self._give_up(prober)

    async def _probe(self, prober: Prober) -> None:
        held = [self._outbox.first_held(topic) for topic in self._outbox.held_topics]
        first = [message for message in held if message is not None]
        has_listener = await prober.probe([(message.topic, message.payload) for message in first])
        for message, is_listened_to in zip(first, has_listener, strict=True):
            if is_listened_to:
                self._outbox.deliver_held(message)
                await self._send_all(message.topic, prober)
                self._has_listener.add(message.topic)

    async def _send_all(self, topic: str, prober: Prober) -> int:
        """Send the held messages of a topic, with those that come meanwhile; return how many."""
        sent = 0
        while messages := self._outbox.release_held(topic):
            for message in messages:
                await prober.send(topic, message.payload)
                sent += 1
        return sent

    async def _give_up(self, prober: Prober) -> None:
        lost = 0
        while topics_left := self._outbox.held_topics:
            for topic in topics_left:
                lost += await self._send_all(topic, prober)
        self.is_over = True
        self._has_listener.clear()
        if lost:
            self._outbox.count_lost(lost)
            _log.warning("bus.listeners_gone", messages=lost)
