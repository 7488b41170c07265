"""The outbox on its way: encoded, pipelined on one channel, and kept until RabbitMQ confirms it."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from ari_proxy.bus.amqp.channel import Channel, Returned
from ari_proxy.bus.amqp.frames import Confirmation
from ari_proxy.bus.buffered import BufferedBus
from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.bus.outbox import Outbox

from . import topology, trials
from .confirmations import Confirmations
from .session import Session

_log = structlog.get_logger()

#: Messages sent in one go, before other tasks get a turn.
BATCH: Final = 256
_NOBODYS_KEY: Final = "ari-proxy-nobody"
#: Seconds between looks whether a refused right was given.
REGAIN_SECONDS: Final = 5.0


class Rights:
    """To which exchanges this account may publish, as far as RabbitMQ has told.

    A message that it may not publish closes the channel and would do so again, with all that was
    sent behind it: so none goes there until it was found that one may (`rabbitmq_trials`).
    """

    def __init__(self, bus: BufferedBus) -> None:
        self._bus = bus
        self._missing: dict[str, str] = {}

    def take_refusal(self, reason: str) -> None:
        """Take why a session has ended."""
        exchange = topology.refused_exchange(reason)
        if exchange is not None:
            self._missing[exchange] = reason
            if self._bus.note_refusal((self, exchange), f"publishing is refused: {reason}"):
                _log.error("bus.publishing_refused", bus="RABBITMQ", error=reason)

    def check(self, topic: str) -> None:
        """Refuse what RabbitMQ would.

        Raises:
            BusRefusedError: this account may not publish there.
        """
        if self._missing and (reason := self._missing.get(topology.exchange_of(topic))):
            raise BusRefusedError(reason)

    async def regain(self, session: Session) -> None:
        """Find out when a right was given, as long as the session lasts."""
        while self._missing:
            await asyncio.sleep(REGAIN_SECONDS)
            for exchange in tuple(self._missing):
                if await trials.may_publish(session, exchange, _NOBODYS_KEY):
                    del self._missing[exchange]
                    self._bus.note_granted((self, exchange))
                    _log.info("bus.publishing_granted", bus="RABBITMQ", exchange=exchange)


class Publishing:
    """Sends what an outbox holds in one session."""

    def __init__(
        self,
        outbox: Outbox,
        channel: Channel,
        on_settled: Callable[[], None],
        rights: Rights,
        *,
        max_message_bytes: int,
    ) -> None:
        self._outbox = outbox
        self._max_message = max_message_bytes
        self._channel = channel
        #: Called when something was confirmed, or refused.
        self._on_settled = on_settled
        self._rights = rights
        self._confirmations = Confirmations()
        #: What was confirmed in earlier sessions; the channel counts from 1.
        self._before = outbox.mark().count
        channel.on_confirm = self._take_confirm
        channel.on_return = self._take_return

    def send_batch(self) -> None:
        """Send some of what waits."""
        outbox, channel = self._outbox, self._channel
        number, max_frame = channel.number, channel.max_frame
        parts = []
        for _ in range(BATCH):
            if not outbox.is_waiting:
                break
            topic, payload, reply, _, traceparent, _ = outbox.next()
            try:
                self._check_size(payload)
                self._rights.check(topic)
                properties = topology.properties_for(reply, traceparent)
                parts.append(topology.encode(number, topic, payload, properties, max_frame))
            except (ValueError, BusRefusedError) as error:
                outbox.refuse_last()
                if isinstance(error, ValueError):  # A missing right is told once.
                    _log.error("bus.message_refused", topic=topic, error=str(error))
                self._on_settled()
        channel.send_raw(b"".join(parts))

    def _check_size(self, payload: bytes) -> None:
        if len(payload) > self._max_message:
            raise ValueError(f"it has {len(payload)} bytes, more than {self._max_message}")

    def _take_confirm(self, confirmation: Confirmation, refused: bool) -> None:  # noqa: FBT001
        tag, multiple = confirmation
        if refused:
            for number in self._confirmations.open_until(tag) if multiple else [tag]:
                self._outbox.reject(self._before + number)
        settled = self._confirmations.confirm(tag, multiple=multiple)
        self._outbox.confirm_until(self._before + settled)
        self._on_settled()

    def _take_return(self, returned: Returned) -> None:
        """Tell of a message whose queue is gone; RabbitMQ confirms it next."""
        self._outbox.lose(returned.routing_key, returned.body, "returned")
