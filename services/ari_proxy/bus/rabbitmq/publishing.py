"""The outbox in one session: encoded, pipelined on one channel, confirmed by RabbitMQ."""

import asyncio
from typing import Final

import structlog

from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.bus.outbox import Outbox
from ari_proxy.bus.refusals import ServerRefusals

from . import topology, trials
from .confirmations import Confirmations
from .frames import Confirmation
from .messages import Returned
from .publishing_channels import PublishingChannel
from .session import Session

_log = structlog.get_logger()

#: Messages sent in one go, before other tasks get a turn.
BATCH: Final = 256
_NOBODYS_KEY: Final = "ari-proxy-nobody"
#: Seconds between trials of a missing permission.
REGAIN_SECONDS: Final = 5.0


class PublishPermissions:
    """The exchanges to which our account may not publish, as far as RabbitMQ has shown.

    A message to such an exchange closes the channel, with everything that was sent behind it. So
    none is sent there until a trial (`trials.py`) has shown that it is permitted.
    """

    def __init__(self, refusals: ServerRefusals) -> None:
        self._refusals = refusals
        self._missing: dict[str, str] = {}

    def note_refusal(self, reason: str) -> None:
        """Note the reason why a session has ended, if it is a missing permission."""
        exchange = topology.refused_exchange(reason)
        if exchange is not None:
            self._missing[exchange] = reason
            if self._refusals.add((self, exchange), f"publishing is refused: {reason}"):
                _log.error("bus.publishing_refused", bus="RABBITMQ", error=reason)

    def check(self, topic: str) -> None:
        """Refuse a topic on which our account may not publish.

        Raises:
            BusRefusedError: RabbitMQ would refuse the message.
        """
        if self._missing and (reason := self._missing.get(topology.exchange_of(topic))):
            raise BusRefusedError(reason)

    async def regain(self, session: Session) -> None:
        """Try missing permissions again until all are granted."""
        while self._missing:
            await asyncio.sleep(REGAIN_SECONDS)
            for exchange in tuple(self._missing):
                if await trials.may_publish(session, exchange, _NOBODYS_KEY):
                    del self._missing[exchange]
                    self._refusals.remove((self, exchange))
                    _log.info("bus.publishing_granted", bus="RABBITMQ", exchange=exchange)


class Publishing:
    """Sends the messages of an outbox in one session."""

    def __init__(
        self,
        outbox: Outbox,
        channel: PublishingChannel,
        settled: asyncio.Event,
        permissions: PublishPermissions,
        *,
        max_message_bytes: int,
        persistent: bool,
    ) -> None:
        self._outbox = outbox
        self._max_message = max_message_bytes
        self._persistent = persistent
        self._channel = channel
        #: Set when something was confirmed, or refused.
        self._settled = settled
        self._permissions = permissions
        self._confirmations = Confirmations()
        #: Messages sent in earlier sessions; the channel counts from 1.
        self._before = outbox.sent_count
        channel.watch(self)

    def send_batch(self) -> None:
        """Send some of the waiting messages."""
        outbox, channel = self._outbox, self._channel
        number, max_body = channel.number, channel.max_content_size
        parts = []
        for _ in range(BATCH):
            if not outbox.is_waiting:
                break
            topic, payload, reply, _, traceparent, _ = outbox.next()
            try:
                self._check_size(payload)
                self._permissions.check(topic)
                properties = topology.properties_for(
                    reply, traceparent, persistent=self._persistent
                )
                parts.append(topology.encode(number, topic, payload, properties, max_body))
            except (ValueError, BusRefusedError) as error:
                outbox.refuse_last()
                if isinstance(error, ValueError):  # A missing permission is logged once.
                    _log.error("bus.message_refused", topic=topic, error=str(error))
                self._settled.set()
        channel.publish_batch(b"".join(parts), len(parts))

    def _check_size(self, payload: bytes) -> None:
        if len(payload) > self._max_message:
            raise ValueError(f"it has {len(payload)} bytes, more than {self._max_message}")

    def handle_confirmation(self, confirmation: Confirmation) -> None:
        """Take the confirm of messages, or their refusal."""
        tag, multiple, is_refused = confirmation
        if is_refused:
            for number in self._confirmations.open_until(tag) if multiple else [tag]:
                self._outbox.reject(self._before + number)
        settled = self._confirmations.confirm(tag, multiple=multiple)
        self._outbox.confirm(self._before + settled)
        self._settled.set()

    def handle_return(self, returned: Returned) -> None:
        """Count a message whose queue is gone; RabbitMQ confirms it next."""
        self._outbox.lose(returned.routing_key, returned.body, "returned")
