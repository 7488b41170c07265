"""What a NATS connection has sent and waits for: replies, and the server's own answers."""

import asyncio
import itertools
import secrets
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from nats.aio.msg import Msg

from ari_proxy.bus.base import Receipt
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError

from .denials import Violation
from .errors import LOST
from .streams import Trace, stream_of


class Reply:
    """A reply that is awaited within a `with` block."""

    __slots__ = ("_replies", "inbox", "message", "topic")

    def __init__(self, replies: "Replies", inbox: str, topic: str) -> None:
        self._replies = replies
        self.inbox = inbox
        #: What was sent there: a refusal of it is the reply; whatever else comes, it was taken.
        self.topic = topic
        self.message: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Self:
        self._replies.awaited[self.inbox] = self
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        del self._replies.awaited[self.inbox]
        if self.topic and error is None:
            self._replies.on_taken(self.topic)
        if not self.message.cancel() and not self.message.cancelled():
            self.message.exception()  # Nobody else may look at it.

    def fail(self, error: Exception) -> None:
        """Raise an error where the reply is awaited."""
        if not self.message.done():
            self.message.set_exception(error)


class Replies:
    """The inbox of one bus, and who waits for what comes there."""

    def __init__(self, prefix: str) -> None:
        self.prefix = f"{prefix}.ari-proxy.{secrets.token_hex(8)}"
        self.awaited: dict[str, Reply] = {}
        #: Receipt messages by their reply subject, as long as somebody holds them.
        self._offered: weakref.WeakValueDictionary[str, Receipt] = weakref.WeakValueDictionary()
        self._traces: dict[str, Trace] = {}
        self._tokens = itertools.count()
        #: Called with the name of a JetStream stream that has taken a message of ours.
        self.on_recorded: Callable[[str], None] = lambda _: None
        #: Called with the topic of a message that the server has taken.
        self.on_taken: Callable[[str], None] = lambda _: None

    @property
    def pattern(self) -> str:
        """What to subscribe to."""
        return f"{self.prefix}.*"

    def __len__(self) -> int:
        return len(self.awaited) + len(self._offered) + len(self._traces)

    def awaiting(self, topic: str = "") -> Reply:
        """Return a reply to await, to a message on a topic."""
        return Reply(self, self._new_inbox(), topic)

    def offer(self) -> tuple[str, Receipt]:
        """Return a reply subject, and what becomes of the message that has it."""
        inbox, offered = self._new_inbox(), Receipt()
        self._offered[inbox] = offered
        return inbox, offered

    @contextmanager
    def tracing(self) -> Iterator[tuple[str, Trace]]:
        """Take what servers tell of a message around a block; yields where they have to."""
        inbox, trace = self._new_inbox(), Trace()
        self._traces[inbox] = trace
        try:
            yield inbox, trace
        finally:
            del self._traces[inbox]

    def _new_inbox(self) -> str:
        return f"{self.prefix}.{next(self._tokens)}"

    async def take(self, message: Msg) -> None:
        """Handle what comes to the inbox."""
        if (trace := self._traces.get(message.subject)) is not None:
            trace.take(message.data)
            return
        if stream := stream_of(message.data):
            self.on_recorded(stream)  # It is nobody who listens.
            return
        reply = self.awaited.get(message.subject)
        if reply is not None and not reply.message.done():
            reply.message.set_result(message)
        offered = self._offered.get(message.subject)
        if offered is not None:
            if is_no_responders(message):
                offered.has_listener = False
            else:
                offered.add_reply(message.data)

    def lose(self) -> None:
        """Tell all who wait that the connection is gone."""
        self.fail(BusUnavailableError(LOST))
        for trace in self._traces.values():
            trace.lose()

    def fail(self, error: Exception) -> None:
        """Raise an error wherever something is awaited."""
        for reply in self.awaited.values():
            reply.fail(error)

    def refuse(self, violation: Violation) -> str:
        """Tell those who wait for an outcome that their message was refused; return its topic."""
        topic = ""
        for reply in self.awaited.values():
            sent = next((t for t in (reply.topic, reply.inbox) if violation.concerns(t)), "")
            if sent:
                topic = sent
                reply.fail(BusRefusedError(f"the account may not publish to {sent}"))
        return topic


def is_no_responders(message: Msg) -> bool:
    """Return whether it is the server's answer that nobody listens."""
    return message.headers is not None and message.headers.get("Status") == "503"
