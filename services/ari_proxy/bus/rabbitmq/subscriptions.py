"""Subscriptions on RabbitMQ to a queue, and to a topic of the exchange."""

import asyncio
from functools import partial

import structlog

from ari_proxy.bus.base import Handler
from ari_proxy.protocol import topics

from . import topology
from .consuming import Consumer
from .errors import ChannelClosedError
from .session import Session
from .subscription import DECLARE_SECONDS, RabbitMqSubscription, RabbitMqSubscriptionOwner

_log = structlog.get_logger()


class QueueSubscription(RabbitMqSubscription):
    """A subscription to one queue."""

    async def _consume(self, session: Session, name: str) -> Consumer | None:
        is_kept = True
        try:
            await session.operations.declare([name], answer_seconds=DECLARE_SECONDS)
        except ChannelClosedError as error:
            if error.code not in topology.DECLARED_OTHERWISE:
                raise
            # It may still be consumed.
            _log.warning("queue.declared_otherwise", queue=name, error=str(error))
            is_kept = topics.is_of_dialog(name)
        return await self._consume_queue(
            session, name, name, kind=topology.kind_of(name), is_kept=is_kept
        )


class TopicSubscription(RabbitMqSubscription):
    """A subscription to a topic of the exchange, alone or in a group."""

    def __init__(
        self,
        owner: RabbitMqSubscriptionOwner,
        topic: str,
        handler: Handler,
        *,
        group: str = "",
        manual_ack: bool = False,
    ) -> None:
        super().__init__(owner, topic, handler, manual_ack=manual_ack)
        self._group = group

    async def _consume(self, session: Session, name: str) -> Consumer | None:
        abandon = partial(self._abandon, session)
        queue = await session.operations.listen_to_topic(name, self._group, abandon)
        kind = queue if self._group else topology.OWN_QUEUES
        try:
            return await self._consume_queue(session, name, queue, kind=kind, is_kept=False)
        except asyncio.CancelledError:
            abandon(queue)
            raise

    def _topic_of(self, consumer: Consumer, routing_key: str) -> str:  # noqa: ARG002
        # With a `*` it has many; the routing key shows which.
        return routing_key if topics.matches(self.topic, routing_key) else self.topic
