"""Events of dialogs that no listener got on NATS.

The server confirms a message whether or not somebody has subscribed: an application may be on its
way back to another server, or behind a link between servers that is cut. So each event of a dialog
has a reply subject of its own. There the server says at once if the event has no listener (NATS
"no responders"), before a round trip that was sent behind it returns.
"""

from collections.abc import Callable

from ari_proxy.bus.base import OnUnheard
from ari_proxy.bus.outbox import Outbox
from ari_proxy.protocol import topics

from .replies import Replies
from .requests import NatsRequests


class ListenerReports:
    """Gives events the reply subjects on which the server reports that no listener got them."""

    def __init__(
        self,
        outbox: Outbox,
        replies: Replies,
        requests: NatsRequests,
        *,
        handler: Callable[[], OnUnheard | None],
    ) -> None:
        """Make it for a connection.

        Args:
            outbox: what is published.
            replies: our inbox.
            requests: knows of streams, which would answer each event.
            handler: returns who takes unheard events back, or None.
        """
        self._outbox = outbox
        self._prefix = replies.unheard_prefix
        self._requests = requests
        self._handler = handler

    def reply_to_last(self, topic: str) -> str:
        """Return the reply subject of the message that the outbox returned last, or ''."""
        if not topics.is_fleeting(topic) or self._requests.are_recorded:
            return ""
        return f"{self._prefix}{self._outbox.sent_count}" if self._handler() else ""

    def hand_back(self, topic: str, payload: bytes) -> bool:
        """Give an event back that was not sent since nobody listens; return whether it is taken."""
        handler = self._handler()
        return handler is not None and topics.is_fleeting(topic) and handler(topic, payload)
