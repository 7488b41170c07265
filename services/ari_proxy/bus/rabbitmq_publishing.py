"""The outbox on its way: encoded, pipelined on one channel, and kept until RabbitMQ confirms it."""

from collections.abc import Callable
from typing import Final

import structlog

from . import rabbitmq_topology as topology
from .amqp.channel import Channel
from .amqp.frames import Confirmation, Properties
from .confirmations import Confirmations
from .outbox import Outbox

_log = structlog.get_logger()

#: Messages sent in one go, before other tasks get a turn.
BATCH: Final = 256


class Publishing:
    """Sends what an outbox holds in one session."""

    def __init__(
        self,
        outbox: Outbox,
        channel: Channel,
        on_settled: Callable[[], None],
        *,
        max_message_bytes: int,
    ) -> None:
        self._outbox = outbox
        self._max_message = max_message_bytes
        self._channel = channel
        #: Called when something was confirmed, or refused.
        self._on_settled = on_settled
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
                properties = topology.properties_for(reply, traceparent)
                parts.append(topology.encode(number, topic, payload, properties, max_frame))
            except ValueError as error:
                outbox.refuse_last()
                _log.error("bus.message_refused", topic=topic, error=str(error))
                self._on_settled()
        channel.send_raw(b"".join(parts))

    def _check_size(self, payload: bytes) -> None:
        if len(payload) > self._max_message:
            raise ValueError(f"it has {len(payload)} bytes, more than {self._max_message}")

    def _take_confirm(self, confirmation: Confirmation, refused: bool) -> None:  # noqa: FBT001
        if refused:
            self._outbox.dropped += 1
            _log.error("bus.message_refused", error="RabbitMQ could not keep it")
        settled = self._confirmations.confirm(confirmation.tag, multiple=confirmation.multiple)
        self._outbox.confirm_until(self._before + settled)
        self._on_settled()

    def _take_return(self, properties: Properties) -> None:  # noqa: ARG002
        """Count a message whose queue is gone."""
        self._outbox.dropped += 1
        _log.debug("bus.message_returned")
