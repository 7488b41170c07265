"""Checks of an account's rights on RabbitMQ, without a visible effect on anyone.

RabbitMQ checks rights before anything else (rabbitmq.com/docs/access-control). So each operation is
tried with an invalid argument or a missing name: 406 or 404, with nothing done, shows that the
right is granted, 403 that it is not.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from pamqp.commands import Basic
from pamqp.common import FieldTable

from ari_proxy.bus.base import Right
from ari_proxy.protocol import topics

from . import topology
from .channel import AmqpChannel
from .connection import AmqpConnection
from .errors import ChannelClosedError
from .session import Session

_ACCESS_REFUSED: Final = 403
#: Instead of a number.
_NO_NUMBER: Final = "none"


async def may_publish(session: Session, exchange: str, routing_key: str) -> bool:
    """Return whether the account may publish; the message has an invalid expiration."""
    properties = topology.completed(Basic.Properties(expiration=_NO_NUMBER))

    async def work(channel: AmqpChannel) -> None:
        channel.publish(routing_key, b"", properties, exchange=exchange, mandatory=False)
        await channel.basic_qos(prefetch_count=0)

    return await _is_allowed(session.publisher, work)


async def may_declare(session: Session, queue: str) -> bool:
    """Return whether the account may declare a queue, and announce it to pattern subscribers."""
    arguments: FieldTable = {"x-expires": _NO_NUMBER}
    notices: list[str] = []
    if topics.is_of_dialog(queue):
        notices = [topology.declared_topic(queue), topology.deleted_topic(queue)]
    return await _is_allowed(
        session.consumer,
        lambda channel: channel.queue_declare(queue, durable=True, arguments=arguments),
    ) and await _may_publish_all(session, notices)


async def may_consume(session: Session, queue: str) -> bool:
    """Return whether the account may consume a queue, which need not exist."""
    arguments: FieldTable = {"x-priority": _NO_NUMBER}
    return await _is_allowed(
        session.consumer,
        lambda channel: channel.consume(queue, lambda _: None, tag="trial", arguments=arguments),
    )


async def may_subscribe(session: Session, topic: str) -> bool:
    """Return whether the account may have a queue of its own, bound to a topic of the exchange.

    Args:
        session: of the account.
        topic: may be a queue's name with `*`: then it is about the announcements of such queues.
    """
    keys, sent = [topic], []
    if topics.is_queue(topic):
        keys = topology.notices_of(topic)
        sent = [topology.list_topic(topic), topology.missing_topic(topic)]
    return (
        await _may_have_own_queue(session)
        and all([await _may_bind(session, key) for key in keys])
        and await _may_publish_all(session, sent)
    )


async def _may_publish_all(session: Session, keys: list[str]) -> bool:
    return all([await may_publish(session, topology.EXCHANGE, key) for key in keys])


async def _may_have_own_queue(session: Session) -> bool:
    names: list[str] = []

    async def declare(channel: AmqpChannel) -> None:
        declared = await channel.queue_declare("", exclusive=True, auto_delete=True)
        names.append(declared.queue or "")
        await channel.queue_delete(names[0])

    return await _is_allowed(session.consumer, declare) and await may_consume(session, names[0])


async def _may_bind(session: Session, key: str) -> bool:
    nobodys = f"{topology.OWN_QUEUES}-{secrets.token_hex(8)}"
    return await _is_allowed(
        session.consumer, lambda channel: channel.queue_bind(nobodys, topology.EXCHANGE, key)
    )


async def _is_allowed(
    connection: AmqpConnection, work: Callable[[AmqpChannel], Awaitable[object]]
) -> bool:
    channel = await connection.open_channel()
    try:
        await work(channel)
    except ChannelClosedError as error:
        return error.code != _ACCESS_REFUSED
    finally:
        await channel.release()
    return True


async def is_granted(session: Session, right: Right) -> bool:
    """Return whether the account has a right.

    Raises:
        ConnectionLostError: the session is over.
    """
    match right.action:
        case "publish":
            return await may_publish(session, topology.exchange_of(right.topic), right.topic)
        case "answer":
            return await may_publish(session, "", right.topic)
        case "declare":
            return await may_declare(session, right.topic)
        case "consume":
            return await may_consume(session, right.topic)
        case "subscribe":
            return await may_subscribe(session, right.topic)
