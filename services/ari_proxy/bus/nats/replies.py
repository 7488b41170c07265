"""The inbox of a bus on NATS: replies, and the server's own answers."""

import asyncio
import itertools
import secrets
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from nats.aio.client import Client
from nats.aio.msg import Msg

from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.bus.receipt import Receipt

from .denials import Violation
from .errors import LOST
from .streams import Trace, stream_of


class Reply:
    """A reply that is awaited within a `with` block."""

    __slots__ = ("_replies", "inbox", "is_of_server", "message", "sent_on", "topic")

    def __init__(
        self, replies: "Replies", inbox: str, topic: str, sent_on: Client, *, is_of_server: bool
    ) -> None:
        self._replies = replies
        self.inbox = inbox
        #: The connection of the message. While the bus moves, replies come on another one as well;
        #: one of the server says what it has handled only on the connection that it was sent on.
        self.sent_on = sent_on
        self.is_of_server = is_of_server
        #: The topic of the message, or ''. A refusal to publish there fails the reply; any other
        #: reply shows that the server has accepted the message.
        self.topic = topic
        self.message: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Self:
        self._replies.awaited[self.inbox] = self
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        del self._replies.awaited[self.inbox]
        if self.topic and error is None:
            self._replies.on_accepted(self.topic)
        if not self.message.cancel() and not self.message.cancelled():
            self.message.exception()  # Mark it as retrieved.

    def take(self, client: Client, message: Msg) -> None:
        """Pass a message that has come on a connection to where the reply is awaited."""
        if self.is_of_server and client is not self.sent_on:
            return
        if not self.message.done():
            self.message.set_result(message)

    def fail(self, error: Exception) -> None:
        """Raise an error where the reply is awaited."""
        if not self.message.done():
            self.message.set_exception(error)


class Replies:
    """The inbox of one bus, and those who await messages there."""

    def __init__(self, prefix: str) -> None:
        self.prefix = f"{prefix}.ari-proxy.{secrets.token_hex(8)}"
        self.awaited: dict[str, Reply] = {}
        #: Receipts by reply subject, as long as somebody holds them.
        self._receipts: weakref.WeakValueDictionary[str, Receipt] = weakref.WeakValueDictionary()
        self._traces: dict[str, tuple[Client, Trace]] = {}
        self._tokens = itertools.count()
        #: Called with the name of a JetStream stream that has recorded a message of ours.
        self.on_recorded: Callable[[str], None] = lambda _: None
        #: Called with the topic of a message that the server has accepted.
        self.on_accepted: Callable[[str], None] = lambda _: None

    @property
    def pattern(self) -> str:
        """The topic of the inbox's subscription."""
        return f"{self.prefix}.*"

    def __len__(self) -> int:
        return len(self.awaited) + len(self._receipts) + len(self._traces)

    def awaiting(self, client: Client, topic: str = "", *, is_of_server: bool = True) -> Reply:
        """Return the reply to a message on a topic, to be awaited.

        Args:
            client: the connection of the message.
            topic: of a message that may be refused, or ''.
            is_of_server: whether the reply shows what the server has handled on the connection;
                that of a listener comes on any.
        """
        return Reply(self, self._new_inbox(), topic, client, is_of_server=is_of_server)

    def receipt(self) -> tuple[str, Receipt]:
        """Return a reply subject, and the receipt of the message that has it."""
        inbox, receipt = self._new_inbox(), Receipt()
        self._receipts[inbox] = receipt
        return inbox, receipt

    @contextmanager
    def tracing(self, client: Client) -> Iterator[tuple[str, Trace]]:
        """Receive the trace of a connection's message around a block; yields its inbox as well."""
        inbox, trace = self._new_inbox(), Trace()
        self._traces[inbox] = client, trace
        try:
            yield inbox, trace
        finally:
            del self._traces[inbox]

    def _new_inbox(self) -> str:
        return f"{self.prefix}.{next(self._tokens)}"

    async def receive(self, client: Client, message: Msg) -> None:
        """Handle a message to the inbox that has come on a connection."""
        if (traced := self._traces.get(message.subject)) is not None:
            sent_on, trace = traced
            if client is sent_on:
                trace.add(message.data)
            return
        if stream := stream_of(message.data):
            self.on_recorded(stream)  # A stream is no listener.
            return
        reply = self.awaited.get(message.subject)
        if reply is not None:
            reply.take(client, message)
        receipt = self._receipts.get(message.subject)
        if receipt is not None:
            if is_no_responders(message):
                receipt.has_listener = False
            else:
                receipt.add_reply(message.data)

    def lose(self, client: Client) -> None:
        """Fail everything that was sent on a connection and is awaited: it is lost."""
        for reply in self.awaited.values():
            if reply.sent_on is client:
                reply.fail(BusUnavailableError(LOST))
        for sent_on, trace in self._traces.values():
            if sent_on is client:
                trace.lose()

    def awaits_server(self, client: Client) -> bool:
        """Return whether something is awaited that comes only on this connection."""
        replies = self.awaited.values()
        return any(reply.is_of_server and reply.sent_on is client for reply in replies) or any(
            sent_on is client for sent_on, _ in self._traces.values()
        )

    def fail(self, error: Exception) -> None:
        """Raise an error wherever a reply is awaited."""
        for reply in self.awaited.values():
            reply.fail(error)

    def refuse(self, violation: Violation) -> str:
        """Fail the replies to a message that was refused; return its topic, or ''."""
        topic = ""
        for reply in self.awaited.values():
            sent = next((t for t in (reply.topic, reply.inbox) if violation.concerns(t)), "")
            if sent:
                topic = sent
                reply.fail(BusRefusedError(f"the account may not publish to {sent}"))
        return topic


def is_no_responders(message: Msg) -> bool:
    """Return whether it is the server's status that a message has no responders."""
    return message.headers is not None and message.headers.get("Status") == "503"
