"""Subscriptions on RabbitMQ to all declared queues of a pattern, shared with other subscribers.

RabbitMQ has no wildcards on queues. A process that declares queues announces them on a topic of the
exchange, and lists them on request. Every subscriber consumes all queues, and RabbitMQ delivers the
messages of each queue to its consumer with the highest priority. Consumers are not `exclusive`: one
that comes too early would be refused, which closes the channel that it shares with others, and the
death of its predecessor would have to be detected.

When a queue is gone though its deletion was not announced, its declarer is asked to declare it
again. Meanwhile its existence is checked repeatedly, since a client may declare it as well.
"""

import asyncio
from collections import deque
from functools import partial
from typing import Final

import structlog

from ari_proxy.bus.base import Handler
from ari_proxy.protocol.malformed import UNDECODABLE

from . import topology
from .consuming import Consumer, Wanted
from .messages import Incoming
from .session import Session
from .subscription import DECLARE_SECONDS, RabbitMqSubscription, RabbitMqSubscriptionOwner

_log = structlog.get_logger()

#: Queues of a pattern that are joined at once.
_BATCH: Final = 64
#: Checks for a missing queue before it counts as deleted: about a minute, with the backoff.
MAX_ABSENT_CHECKS: Final = 20
#: Name under which the queue of announcements is consumed; not the name of a queue.
_DIRECTORY: Final = ""


class PatternSubscription(RabbitMqSubscription):
    """A subscription to all declared queues of a pattern."""

    def __init__(
        self,
        owner: RabbitMqSubscriptionOwner,
        topic: str,
        handler: Handler,
        *,
        listener: str,
        manual_ack: bool,
    ) -> None:
        super().__init__(owner, topic, handler, manual_ack=manual_ack)
        self._listener = listener
        #: Known queues → whether this subscriber has known them since they were declared.
        self._known: dict[str, bool] = {}
        self._joining: deque[str] = deque()
        #: Queues that were consumed in this session.
        self._was_there: set[str] = set()

    async def _begin(self, session: Session) -> None:
        # After an interruption others have them; returning must not take them away again.
        self._known = dict.fromkeys(self._known, False)
        self._joining = deque(self._known)
        self._was_there.clear()
        session.jobs.put_nowait(self._join_some)
        await self._attempt(session, _DIRECTORY)

    async def _consume(self, session: Session, name: str) -> Consumer | None:
        if name == _DIRECTORY:
            return await self._consume_directory(session)
        state = await session.operations.queue_state(name, answer_seconds=DECLARE_SECONDS)
        if state is None:
            self._on_absent(name)
            return None
        if name not in self._known or self._is_ended or name in self._consumers:
            self._retries.forget(name)
            return None
        first_comer = self._known[name]
        priority = topology.priority(self._listener, name, first_comer=first_comer)
        consumer = await self._consume_queue(
            session,
            name,
            name,
            kind=topology.kind_of(name),
            is_kept=True,
            priority=priority,
        )
        self._was_there.add(name)
        return consumer

    def _on_absent(self, name: str) -> None:
        """Check again for a queue that existed, and whose deletion was not announced."""
        is_missing = name in self._known and name in self._was_there
        if is_missing and self._retries.fail(name) <= MAX_ABSENT_CHECKS:
            self._owner.publish(topology.missing_topic(name), b"")
            self._retry_later()
        else:
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)
        self._was_there.discard(name)
        self._retries.forget(name)
        self._grant(name)

    # The directory

    async def _consume_directory(self, session: Session) -> Consumer:
        first, *others = topology.notices_of(self.topic)
        abandon = partial(self._abandon, session)
        directory = await session.operations.listen_to_topic(first, "", abandon)
        try:
            for notices in others:
                await session.operations.bind(directory, notices)
            consumer = await self._consume_notices(session, directory)
        except asyncio.CancelledError:
            abandon(directory)
            raise
        self._owner.publish(topology.list_topic(self.topic), b"", reply=directory)
        return consumer

    async def _consume_notices(self, session: Session, directory: str) -> Consumer:
        wanted = Wanted(
            queue=directory,
            take=self._on_notice,
            on_lost=lambda consumer: self._on_lost(_DIRECTORY, consumer),
            kind=topology.OWN_QUEUES,
            is_kept=False,
        )
        is_suspect = _DIRECTORY in self._refused
        return await session.listening.consume(wanted, is_suspect=is_suspect)

    def _on_notice(self, consumer: Consumer, incoming: Incoming) -> None:
        consumer.channel.acknowledge_later(incoming.delivery.tag)
        notice = incoming.delivery.routing_key
        kind, queue = notice.partition(".")[0], topology.queue_of(notice)
        if kind == "declared":
            self._learn(queue, first_comer=not incoming.body)
        elif kind == "deleted":
            self._forget(queue)
        else:
            try:
                for listed in topology.decode_topics(incoming.body):
                    self._learn(listed, first_comer=False)
            except UNDECODABLE as error:
                _log.warning("queue_list.malformed", error=str(error))

    def _learn(self, queue: str, *, first_comer: bool) -> None:
        if queue in self._consumers or self._session is None:
            return
        if queue in self._known and queue not in self._was_there:
            return  # It is being joined.
        self._known.setdefault(queue, first_comer)
        if not self._joining:
            self._session.jobs.put_nowait(self._join_some)
        self._joining.append(queue)

    async def _join_some(self, session: Session) -> None:
        """Consume some of the queues, and schedule the others."""
        if session is not self._session:
            return
        batch = {self._joining.popleft() for _ in range(min(_BATCH, len(self._joining)))}
        await self._attempt_all(session, batch)
        if self._joining and not self._is_ended:
            session.jobs.put_nowait(self._join_some)
