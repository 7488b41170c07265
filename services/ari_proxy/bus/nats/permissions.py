"""Permissions of our account on NATS, as far as the server has refused something."""

from collections.abc import Collection
from typing import Final

import nats.errors
import structlog

from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.bus.faults import Faults
from ari_proxy.bus.outbox import Outbox
from ari_proxy.bus.refusals import ServerRefusals
from ari_proxy.protocol import topics

from .denials import DeniedTopics, Violation, violation_in
from .replies import Replies
from .servers import ClusterClient
from .subscription import NatsSubscription

_log = structlog.get_logger()

_REMEDY: Final = "give it the rights of docs/reference/wire.md#permissions"
_INBOX_REMEDY: Final = f"{_REMEDY}, or set bus.inbox_prefix to what it may use"


class NatsPermissions:
    """Passes each refusal of the server to the reply, message or subscription it concerns."""

    def __init__(
        self,
        refusals: ServerRefusals,
        subscriptions: Collection[NatsSubscription],
        *,
        replies: Replies,
        outbox: Outbox,
        faults: Faults,
    ) -> None:
        self._refusals = refusals
        self._subscriptions = subscriptions
        self._replies = replies
        self._outbox = outbox
        self._faults = faults
        self._denied = DeniedTopics()
        self._noted: set[tuple[str, str]] = set()

    def begin(self) -> None:
        """Forget what was refused on an earlier connection."""
        self._denied = DeniedTopics()
        for action, topic in tuple(self._noted):
            self.allow(action, topic)

    def allow(self, action: str, topic: str) -> None:
        """Note that a topic is no longer refused, or no longer needed."""
        self._noted.discard((action, topic))
        if self._refusals.remove((action, topic)):
            _log.info("bus.granted", bus="NATS", action=action, topic=topic)

    def allow_inbox(self) -> None:
        """Note that our account may have its inbox."""
        self.allow("subscribe", topics.pattern_of(self._replies.pattern))

    def note_sent(self, topic: str) -> None:
        """Note that a message of the outbox is sent."""
        if self._denied:
            self._denied.note_sent(topic)

    def sent(self) -> dict[str, int]:
        """Return how many messages were sent on topics that were refused."""
        return self._denied.sent()

    def confirm(self, sent: dict[str, int]) -> None:
        """Note that a round trip has returned; `sent` is what `sent()` was before it."""
        for pattern in self._denied.confirm(sent):
            self.allow("publish", pattern)

    def note_accepted(self, topic: str) -> None:
        """Note that the server has accepted a message on a topic."""
        if self._denied:
            pattern = topics.pattern_of(topic)
            if self._denied.forget(pattern):
                self.allow("publish", pattern)

    async def handle_error(self, client: ClusterClient, error: Exception) -> None:
        """Handle an error that nats-py reports, in the order in which the server has sent it."""
        violation = violation_in(str(error))
        if isinstance(error, nats.errors.SlowConsumerError):
            self._faults.lost(error.subject)
        elif violation is None:  # It ends the connection, which is logged then.
            _log.debug("bus.error", bus="NATS", error=str(error) or type(error).__name__)
        elif violation.action == "subscribe":
            self._deny_subscribing(client, violation)
        else:
            self._deny_publishing(client, violation)

    def _deny_subscribing(self, client: ClusterClient, violation: Violation) -> None:
        if violation.concerns(self._replies.pattern):  # No round trip returns without it.
            self._replies.fail(
                client, BusRefusedError(_sentence("subscribe", self._replies.pattern))
            )
            self._note("subscribe", topics.pattern_of(self._replies.pattern), _INBOX_REMEDY)
            return
        if violation.topic.startswith(self._replies.crossings.lower()):
            return  # The bus goes without.
        topic = violation.topic
        for subscription in self._subscriptions:
            if violation.concerns(subscription.topic, subscription.group):
                subscription.deny(client)
                topic = subscription.topic
        self._note("subscribe", topic, _REMEDY)

    def _deny_publishing(self, client: ClusterClient, violation: Violation) -> None:
        topic = self._replies.refuse(client, violation) or self._outbox.deny(violation.concerns)
        pattern = topics.pattern_of(topic or violation.topic)
        self._denied.deny(pattern)
        is_inbox = violation.topic.startswith(self._replies.prefix.lower())
        self._note("publish", pattern, _INBOX_REMEDY if is_inbox else _REMEDY)

    def _note(self, action: str, topic: str, remedy: str) -> None:
        self._noted.add((action, topic))
        sentence = _sentence(action, topic)
        is_needed = action == "subscribe" or not topics.is_optional(topic)
        if not self._refusals.add((action, topic), sentence, is_needed=is_needed):
            return
        if action == "subscribe":
            _log.error(
                "bus.subscription_refused", bus="NATS", topic=topic, error=sentence, remedy=remedy
            )
        elif is_needed:
            _log.error(
                "bus.publishing_refused", bus="NATS", topic=topic, error=sentence, remedy=remedy
            )
        else:
            _log.warning(
                "bus.publishing_refused", bus="NATS", topic=topic, error=sentence, remedy=remedy
            )


def _sentence(action: str, topic: str) -> str:
    return f"the account may not {action} to {topic}"
