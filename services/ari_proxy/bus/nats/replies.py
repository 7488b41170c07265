"""The inbox of a bus on NATS: replies, and the server's own answers."""

import asyncio
import itertools
import secrets
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Self

from nats.aio.client import Client
from nats.aio.msg import Msg

from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.bus.receipt import Receipt

from .denials import Violation
from .errors import LOST
from .streams import Trace, stream_of


class Reply:
    """A reply that is awaited within a `with` block."""

    __slots__ = ("_is_of_server", "_replies", "inbox", "message", "sent_on", "topic")

    def __init__(
        self, replies: "Replies", inbox: str, topic: str, sent_on: Client, *, is_of_server: bool
    ) -> None:
        self._replies = replies
        self.inbox = inbox
        #: The connection whose loss fails it.
        self.sent_on = sent_on
        self._is_of_server = is_of_server
        #: The topic of the message, or ''. A refusal to publish there fails the reply; any other
        #: reply shows that the server has accepted the message.
        self.topic = topic
        self.message: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Self:
        self._replies.awaited[self.inbox] = self
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        del self._replies.awaited[self.inbox]
        if not self.message.cancel() and not self.message.cancelled():
            self.message.exception()  # Mark it as retrieved.

    def take(self, client: Client, message: Msg) -> None:
        """Pass on a message that has come on a connection.

        While the bus moves, everything comes on another connection as well. What the server says
        about the messages of a connection counts on that one only.
        """
        if self._is_of_server and client is not self.sent_on:
            return
        if not self.message.done():
            self.message.set_result(message)

    def hand_over(self, client: Client) -> None:
        """Await a listener's reply on another connection."""
        if not self._is_of_server:
            self.sent_on = client

    def fail(self, error: Exception) -> None:
        """Raise an error where the reply is awaited."""
        if not self.message.done():
            self.message.set_exception(error)


class UnheardWatcher(Protocol):
    """Is told of events that the server reports to have had no listener."""

    @property
    def wants_reports(self) -> bool:
        """Whether the server is to report them."""

    def note_unheard(self, number: int) -> None:
        """Take the report of an event, by its number in the outbox."""


class Replies:
    """The inbox of one bus, and those who await messages there."""

    def __init__(self, prefix: str, watcher: UnheardWatcher | None = None) -> None:
        """Make an empty inbox.

        Args:
            prefix: of its subjects.
            watcher: told of events that the server reports to have had no listener.
        """
        self.prefix = f"{prefix}.ari-proxy.{secrets.token_hex(8)}"
        self.awaited: dict[str, Reply] = {}
        #: Receipts by reply subject, as long as somebody holds them.
        self._receipts: weakref.WeakValueDictionary[str, Receipt] = weakref.WeakValueDictionary()
        self._traces: dict[str, tuple[Client, Trace]] = {}
        self._tokens = itertools.count()
        self._watcher = watcher
        self._reports = f"{self.prefix}.u"

    @property
    def pattern(self) -> str:
        """The topic of the inbox's subscription."""
        return f"{self.prefix}.*"

    @property
    def report_prefix(self) -> str:
        """What precedes an event's number in the subject for a report of it; '' for no reports."""
        return self._reports if self._watcher is not None and self._watcher.wants_reports else ""

    @property
    def crossings(self) -> str:
        """The beginning of the topics of messages from one connection to another."""
        return f"{self.prefix}.crossing."

    def new_crossing(self) -> str:
        """Return a topic for them."""
        return f"{self.crossings}{next(self._tokens)}"

    def __len__(self) -> int:
        return len(self.awaited) + len(self._receipts) + len(self._traces)

    def awaiting(self, client: Client, topic: str = "", *, is_of_server: bool = True) -> Reply:
        """Return the reply to a message on a topic, to be awaited.

        Args:
            client: the connection of the message.
            topic: of the message if it may be refused, or ''.
            is_of_server: whether the reply shows what the server has handled; that of a listener
                comes on any of our connections.
        """
        return Reply(self, self._new_inbox(), topic, client, is_of_server=is_of_server)

    def receipt(self, *, has_listener: bool = True) -> tuple[str, Receipt]:
        """Return a reply subject, and the receipt of the message that has it."""
        inbox, receipt = self._new_inbox(), Receipt(has_listener=has_listener)
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

    def receive(self, client: Client, message: Msg) -> str:
        """Handle a message to the inbox that has come on a connection.

        Returns:
            The JetStream stream that reports to have recorded a message of ours, or ''.
        """
        if (traced := self._traces.get(message.subject)) is not None:
            sent_on, trace = traced
            if client is sent_on:
                trace.add(message.data)
            return ""
        if stream := stream_of(message.data):
            return stream  # It is no listener.
        if message.subject.startswith(self._reports):
            self._receive_report(message)
            return ""
        reply = self.awaited.get(message.subject)
        if reply is not None:
            reply.take(client, message)
        receipt = self._receipts.get(message.subject)
        if receipt is not None:
            if is_no_responders(message):
                receipt.note_no_listener()
            else:
                receipt.add_reply(message.data)
        return ""

    def _receive_report(self, message: Msg) -> None:
        number = message.subject.removeprefix(self._reports)
        if self._watcher is not None and is_no_responders(message) and number.isdecimal():
            self._watcher.note_unheard(int(number))

    def _sent_on(self, client: Client) -> list[Reply]:
        return [reply for reply in self.awaited.values() if reply.sent_on is client]

    def awaits(self, client: Client) -> bool:
        """Return whether something is awaited that was sent on a connection."""
        return bool(self._sent_on(client)) or any(on is client for on, _ in self._traces.values())

    def hand_over(self, former: Client, client: Client) -> None:
        """Await listeners' replies on another connection: the server has handled the requests."""
        for reply in self._sent_on(former):
            reply.hand_over(client)

    def lose(self, client: Client) -> None:
        """Fail everything that was sent on a connection and is awaited: it is lost."""
        self.fail(client, BusUnavailableError(LOST))
        for sent_on, trace in self._traces.values():
            if sent_on is client:
                trace.lose()

    def fail(self, client: Client, error: Exception) -> None:
        """Raise an error wherever a reply to a connection's message is awaited."""
        for reply in self._sent_on(client):
            reply.fail(error)

    def refuse(self, client: Client, violation: Violation) -> str:
        """Fail the replies to a connection's message that was refused; return its topic, or ''."""
        topic = ""
        for reply in self._sent_on(client):
            sent = next((t for t in (reply.topic, reply.inbox) if violation.concerns(t)), "")
            if sent:
                topic = sent
                reply.fail(BusRefusedError(f"the account may not publish to {sent}"))
        return topic


def is_no_responders(message: Msg) -> bool:
    """Return whether it is the server's status that a message has no responders."""
    return message.headers is not None and message.headers.get("Status") == "503"
