"""Topics as RabbitMQ's exchanges, queues and message properties. Sans-I/O.

Queues (`protocol/topics.is_queue`) are go-ari-proxy's: durable, without arguments, on the default
exchange, since any other declaration closes a legacy client's channel. All other topics are routing
keys of one topic exchange, to which each subscriber, or group of them, binds a queue of its own.
"""

import hashlib
import re
from functools import lru_cache
from typing import Final

import msgspec
from pamqp.commands import Basic
from pamqp.common import FieldTable

from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.messages import TRACEPARENT

from . import frames

#: The topic exchange for topics that are no queue.
EXCHANGE: Final = "ari-proxy"
#: RabbitMQ's pseudo-queue: replies are sent straight to the requesting channel.
DIRECT_REPLY_TO: Final = "amq.rabbitmq.reply-to"
#: RabbitMQ 4's default limit; RabbitMQ 3.10 accepts more.
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
#: Limit of a routing key in the AMQP standard.
MAX_TOPIC_BYTES: Final = 255
#: Separator in the topic of a reply, `\0reply_to\0correlation_id`: an address, not a topic.
_REPLY: Final = "\0"
_TRANSIENT: Final = 1
#: For messages that must survive a restart of RabbitMQ.
_PERSISTENT: Final = 2
_JSON: Final = "application/json"
#: As the original publishes.
LEGACY_PROPERTIES: Final = Basic.Properties(content_type=_JSON, delivery_mode=_TRANSIENT).marshal()
_PERSISTENT_PROPERTIES: Final = Basic.Properties(
    content_type=_JSON, delivery_mode=_PERSISTENT
).marshal()
#: Of the registry, whatever the virtual host's default_queue_type: a quorum queue lets a second
#: consumer in beside an exclusive one, and on RabbitMQ 4 drops what it has delivered 20 times.
REGISTRY_ARGUMENTS: Final[FieldTable] = {"x-queue-type": "classic"}
#: Stands for all queues that RabbitMQ names itself (`kind_of`).
OWN_QUEUES: Final = "amq.gen"
#: RabbitMQ's codes for an existing queue that we may not declare, or that has other arguments.
DECLARED_OTHERWISE: Final = frozenset({403, 406})
#: Above all priorities of subscribers that learn of a queue later than others.
_FIRST_COMER: Final = 1 << 30
#: RabbitMQ's refusal of a message that is larger than its max_message_size.
_TOO_LARGE: Final = re.compile(r"larger than configured max size (\d+)")
#: … of the right to publish to an exchange; RabbitMQ 4 says which right, 3.10 does not.
_NO_WRITE: Final = re.compile(
    r"403 ACCESS_REFUSED - (?:write )?access to (?:exchange|topic .* in exchange) '([^']*)'"
)
#: RabbitMQ's name of the default exchange where it refuses it.
_DEFAULT_EXCHANGE: Final = "amq.default"


def refused_exchange(refusal: str) -> str | None:
    """Return the exchange to which our account may not publish, according to a refusal, or None."""
    found = _NO_WRITE.search(refusal)
    if found is None:
        return None
    return "" if found[1] == _DEFAULT_EXCHANGE else found[1]


def is_login_refused(reason: str) -> bool:
    """Return whether RabbitMQ has rejected the account or the virtual host."""
    return any(word in reason for word in ("ACCESS_REFUSED", "NOT_ALLOWED"))


def is_taken_by_another(refusal: str) -> bool:
    """Return whether RabbitMQ refuses a queue because it has an exclusive consumer."""
    return "in exclusive use" in refusal


def kind_of(queue: str) -> str:
    """Return the kind of a queue; as a rule an account may consume all queues of a kind or none."""
    return queue.partition("_")[0]


def limit_in(refusal: str) -> int | None:
    """Return the largest message that RabbitMQ accepts, according to a refusal, or None."""
    found = _TOO_LARGE.search(refusal)
    return int(found[1]) if found else None


def reply_topic(reply_to: str, correlation_id: str) -> str:
    """Return the topic on which the reply to a message is published, or ''."""
    return f"{_REPLY}{reply_to}{_REPLY}{correlation_id}" if reply_to else ""


def exchange_of(topic: str) -> str:
    """Return the exchange that carries a topic."""
    return "" if topics.is_queue(topic) else EXCHANGE


def properties_for(reply: str, traceparent: str, *, persistent: bool) -> bytes:
    """Return the properties of a message: nearly always just the original's."""
    if not reply and not traceparent:
        return _PERSISTENT_PROPERTIES if persistent else LEGACY_PROPERTIES
    properties = Basic.Properties(reply_to=reply or None, headers=headers(traceparent))
    return completed(properties, persistent=persistent).marshal()


def encode(channel: int, topic: str, payload: bytes, properties: bytes, max_body: int) -> bytes:
    """Return the frames that publish a message; its topic may be that of a reply.

    Raises:
        ValueError: its topic is too long.
    """
    if topic.startswith(_REPLY):
        _, reply_to, correlation_id = topic.split(_REPLY, 2)
        method = frames.publish_method(channel, "", reply_to, mandatory=False)
        properties = completed(Basic.Properties(correlation_id=correlation_id or None)).marshal()
    else:
        method = _publish_method(channel, topic)
    return method + frames.content(channel, properties, payload, max_body)


@lru_cache(maxsize=8192)
def _publish_method(channel: int, topic: str) -> bytes:
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise ValueError(f"its topic is longer than {MAX_TOPIC_BYTES} bytes")
    exchange = exchange_of(topic)
    # Returned if the queue is gone; a routing key needs no listener.
    return frames.publish_method(channel, exchange, topic, mandatory=not exchange)


def completed(properties: Basic.Properties, *, persistent: bool = False) -> Basic.Properties:
    """Return properties with the original's content type, and a delivery mode."""
    properties.content_type = _JSON
    properties.delivery_mode = _PERSISTENT if persistent else _TRANSIENT
    return properties


def headers(traceparent: str) -> FieldTable | None:
    """Return the headers of a message."""
    return {TRACEPARENT: traceparent} if traceparent else None


def expiration(seconds: float | None) -> str | None:
    """Return the expiration of a message in RabbitMQ's form (rabbitmq.com/docs/ttl)."""
    return None if seconds is None else str(int(seconds * 1000))


def group_queue(group: str, topic: str) -> str:
    """Return the queue of a group of subscribers to a topic that is no queue."""
    return f"{EXCHANGE}.{group}.{topic}"


def declared_topic(queue: str) -> str:
    """Return the topic that announces the declaration of a queue."""
    return f"declared.{_noticed(queue)}"


def deleted_topic(queue: str) -> str:
    """Return the topic that announces the deletion of a queue."""
    return f"deleted.{_noticed(queue)}"


def _noticed(queue: str) -> str:
    """Return a queue's name with its server as a word of its own, for `notices_of` to match."""
    owner = topics.owner_of(queue)
    if "." in queue or not topics.is_of_dialog(queue):
        return queue
    return f"{queue.removesuffix(owner)}{ids.server_mark(owner)}.{owner}"


def notices_of(pattern: str) -> list[str]:
    """Return the topics, with wildcards, that announce the queues of a pattern."""
    kind, _, server = pattern.removesuffix(".*").partition("_")
    marked = f"{kind}_{ids.server_mark(server)}.*"
    return [f"{notice}.{form}" for notice in ("declared", "deleted") for form in (pattern, marked)]


def queue_of(notice: str) -> str:
    """Return the queue in the topic of an announcement."""
    queue = notice.partition(".")[2]
    kind, _, owner = queue.partition("_")
    mark, _, dialog = owner.partition(".")
    is_marked = ids.is_dialog_id(dialog) and ids.server_mark(dialog) == mark
    return f"{kind}_{dialog}" if is_marked else queue


def missing_topic(queue: str) -> str:
    """Return the topic that reports a queue as missing."""
    return f"missing.{_noticed(queue)}"


#: Matches every `missing_topic`.
ALL_MISSING: Final = missing_topic("*.*")


def list_topic(pattern: str) -> str:
    """Return the topic that requests a list of the declared queues of a pattern."""
    return f"list.{pattern}"


#: Matches every `list_topic`.
ALL_LISTS: Final = list_topic("*.*")


def priority(listener: str, topic: str, *, first_comer: bool) -> int:
    """Return a consumer's priority at a queue; RabbitMQ delivers to the highest.

    It differs for each subscriber and queue, so that subscribers share queues evenly. Those that
    know a queue since its declaration come first, so that a newcomer takes over from none.

    Args:
        listener: id of the subscriber.
        topic: the queue.
        first_comer: whether it has known the queue since its declaration.
    """
    digest = hashlib.blake2b(f"{listener} {topic}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % _FIRST_COMER + (_FIRST_COMER if first_comer else 0)


class _Record(msgspec.Struct, frozen=True):
    topics: tuple[str, ...]
    note: str


_record_decoder = msgspec.json.Decoder(_Record)
_topics_decoder = msgspec.json.Decoder(list[str])


def encode_record(declared: DeclaredQueues) -> bytes:
    """Return the registry's record of declared queues."""
    return msgspec.json.encode(_Record(declared.topics, declared.note))


def decode_record(payload: bytes) -> DeclaredQueues:
    """Return the queues of a record.

    Raises:
        UNDECODABLE: it is something else.
    """
    record = _record_decoder.decode(payload)
    return DeclaredQueues(record.topics, record.note)


def encode_topics(names: list[str]) -> bytes:
    """Return the answer to `list_topic`."""
    return msgspec.json.encode(names)


def decode_topics(payload: bytes) -> list[str]:
    """Return the queues of an answer to `list_topic`.

    Raises:
        UNDECODABLE: it is something else.
    """
    return _topics_decoder.decode(payload)
