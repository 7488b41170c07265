"""What NATS tells of a connection beside its messages: rights that it lacks, messages dropped."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import nats.errors
import structlog

from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.bus.faults import Faults
from ari_proxy.bus.outbox import Outbox
from ari_proxy.protocol import topics

from .denials import DeniedTopics, Violation, violation_in
from .replies import Replies
from .subscription import Interest

if TYPE_CHECKING:
    from .bus import NatsBus

_log = structlog.get_logger()

_REMEDY: Final = "give it the rights of docs/reference/wire.md#permissions"
_INBOX_REMEDY: Final = f"{_REMEDY}, or set bus.inbox_prefix to what it may use"


class Rights:
    """Has those know of a refusal whom it concerns: who waits, who counts, who asks for health."""

    def __init__(
        self,
        bus: "NatsBus",
        interests: Collection[Interest],
        *,
        replies: Replies,
        outbox: Outbox,
        faults: Faults,
    ) -> None:
        self._bus = bus
        self._interests = interests
        self._replies = replies
        replies.on_taken = self._note_taken
        self._outbox = outbox
        self._faults = faults
        #: What it may not publish on.
        self.denied = DeniedTopics()
        self._noted: set[tuple[str, str]] = set()

    def begin(self) -> None:
        """Begin anew with a connection."""
        self.denied = DeniedTopics()
        for action, topic in tuple(self._noted):
            self.allow(action, topic)

    def allow(self, action: str, topic: str) -> None:
        """Take that nothing is refused there any more, or that nobody wants it."""
        self._noted.discard((action, topic))
        if self._bus.note_granted((action, topic)):
            _log.info("bus.granted", bus="NATS", action=action, topic=topic)

    def note_sent(self, topic: str) -> None:
        """Take that a message goes out of the outbox."""
        if self.denied:
            self.denied.note_sent(topic)

    def confirm(self, sent: dict[str, int]) -> None:
        """Take that a round trip has come back, before which so much had been sent."""
        for pattern in self.denied.confirm(sent):
            self.allow("publish", pattern)

    def _note_taken(self, topic: str) -> None:
        if self.denied:
            pattern = topics.pattern_of(topic)
            if self.denied.forget(pattern):
                self.allow("publish", pattern)

    async def take_error(self, error: Exception) -> None:
        """Handle what nats-py tells, in the order in which the server has sent it."""
        violation = violation_in(str(error))
        if isinstance(error, nats.errors.SlowConsumerError):
            self._faults.lost(error.subject)
        elif violation is None:  # It ends the connection, which is told then.
            _log.debug("bus.error", bus="NATS", error=str(error) or type(error).__name__)
        elif violation.action == "subscribe":
            self._deny_subscribing(violation)
        else:
            self._deny_publishing(violation)

    def _deny_subscribing(self, violation: Violation) -> None:
        if violation.concerns(self._replies.pattern):  # No round trip comes back without it.
            self._replies.fail(BusRefusedError(_sentence("subscribe", self._replies.pattern)))
            self._note("subscribe", topics.pattern_of(self._replies.pattern), _INBOX_REMEDY)
            return
        topic = violation.topic
        for interest in self._interests:
            if violation.concerns(interest.topic, interest.group):
                interest.is_denied = True
                topic = interest.topic
        self._note("subscribe", topic, _REMEDY)

    def _deny_publishing(self, violation: Violation) -> None:
        topic = self._replies.refuse(violation) or self._outbox.deny(violation.concerns)
        pattern = topics.pattern_of(topic or violation.topic)
        self.denied.deny(pattern)
        is_inbox = violation.topic.startswith(self._replies.prefix.lower())
        self._note("publish", pattern, _INBOX_REMEDY if is_inbox else _REMEDY)

    def _note(self, action: str, topic: str, remedy: str) -> None:
        self._noted.add((action, topic))
        sentence = _sentence(action, topic)
        if not self._bus.note_refusal((action, topic), sentence):
            return
        if action == "subscribe":
            _log.error(
                "bus.subscription_refused", bus="NATS", topic=topic, error=sentence, remedy=remedy
            )
        else:
            _log.error(
                "bus.publishing_refused", bus="NATS", topic=topic, error=sentence, remedy=remedy
            )


def _sentence(action: str, topic: str) -> str:
    return f"the account may not {action} to {topic}"
