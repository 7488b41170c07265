"""After an outage of NATS: a dialog's messages wait until its listener has come back as well.

NATS keeps nothing for a client that is away, and other clients take seconds to come back (two by
default). So for a while after a reconnect the first message of each topic of a dialog is a probe:
if nobody was there to get it, it waits with all that follow it, and goes out again.
"""

import asyncio
import contextlib
from typing import Final, Protocol

import structlog

from ari_proxy.bus.outbox import Outbox
from ari_proxy.protocol import topics

_log = structlog.get_logger()

#: Seconds after a reconnect in which listeners may come back.
RETURN_SECONDS: Final = 15.0
#: Seconds between probes.
PROBE_SECONDS: Final = 0.1


class Prober(Protocol):
    """The part of a connection that it needs."""

    async def probe(self, messages: list[tuple[str, bytes]]) -> list[bool]:
        """Send messages in one go; return of each whether somebody got it."""

    async def send(self, topic: str, payload: bytes) -> None:
        """Send a message, to be confirmed soon."""


class Returning:
    """Holds back the messages of one connection to NATS; of the first one, none."""

    def __init__(self, outbox: Outbox, *, is_needed: bool) -> None:
        self._outbox = outbox
        self.is_over = not is_needed
        self._heard: set[str] = set()
        self._something_parked = asyncio.Event()

    def holds_back(self, topic: str) -> bool:
        """Return whether the message that comes next on a topic has to wait; then it is parked."""
        if topic in self._heard or not topics.is_of_dialog(topic):
            return False
        self._outbox.park_last()
        self._something_parked.set()
        return True

    async def watch(self, prober: Prober) -> None:
        """Let messages go as soon as somebody listens, or when the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RETURN_SECONDS
        while not self.is_over and loop.time() < deadline:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._something_parked.wait()
            await self._look(prober)
            if self._outbox.parked_topics:
                await asyncio.sleep(PROBE_SECONDS)
            else:
                self._something_parked.clear()
        await self._give_up(prober)

    async def _look(self, prober: Prober) -> None:
        parked = [self._outbox.first_parked(topic) for topic in self._outbox.parked_topics]
        first = [message for message in parked if message is not None]
        heard = await prober.probe([(message.topic, message.payload) for message in first])
        for message, is_heard in zip(first, heard, strict=True):
            if is_heard:
                self._outbox.deliver_parked(message)
                await self._send_all(message.topic, prober)
                self._heard.add(message.topic)

    async def _send_all(self, topic: str, prober: Prober) -> int:
        """Send what has waited for a topic, with what comes meanwhile; return how many."""
        sent = 0
        while messages := self._outbox.unpark(topic):
            for message in messages:
                await prober.send(topic, message.payload)
                sent += 1
        return sent

    async def _give_up(self, prober: Prober) -> None:
        lost = 0
        while unheard := self._outbox.parked_topics:
            for topic in unheard:
                lost += await self._send_all(topic, prober)
        self.is_over = True
        self._heard.clear()
        if lost:
            self._outbox.dropped += lost
            _log.warning("bus.listeners_gone", messages=lost)
