"""Permissions that NATS refuses on a connection. Sans-I/O.

The server reports them asynchronously, in lines like
`-ERR 'Permissions Violation for Publish to "x"'` (docs.nats.io, "NATS Protocol"), and handles a
connection's messages in order: such a line comes before the round trip that follows
the message. nats-py passes it on in lower case.
"""

import re
from typing import Final, Literal, NamedTuple

from ari_proxy.protocol import topics

_VIOLATION: Final = re.compile(
    r'permissions violation for (publish|subscription)\b.*?"([^"]*)"(?: using queue "([^"]*)")?'
)


class Violation(NamedTuple):
    """One refusal of the server; its names are in lower case."""

    action: Literal["publish", "subscribe"]
    topic: str
    group: str

    def concerns(self, topic: str, group: str = "") -> bool:
        """Return whether it concerns a topic."""
        return topic.lower() == self.topic and group.lower() == self.group


def violation_in(error: str) -> Violation | None:
    """Return the refusal in an error of the server, or None."""
    found = _VIOLATION.search(error.lower())
    if found is None:
        return None
    action: Literal["publish", "subscribe"] = "publish" if found[1] == "publish" else "subscribe"
    return Violation(action, found[2], found[3] or "")


class DeniedTopics:
    """Topics on which our account may not publish, as far as a connection has shown."""

    def __init__(self) -> None:
        #: Pattern → how many messages were sent since the first refusal, and how many were refused.
        self._patterns: dict[str, tuple[int, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def deny(self, pattern: str) -> None:
        """Note that a message on a topic of a pattern was refused."""
        sent, refused = self._patterns.get(pattern, (0, 0))
        self._patterns[pattern] = (sent, min(refused + 1, sent))

    def forget(self, pattern: str) -> bool:
        """Note that the server accepts messages of a pattern; return False if none was refused."""
        return self._patterns.pop(pattern, None) is not None

    def note_sent(self, topic: str) -> None:
        """Note that a message is sent."""
        pattern = topics.pattern_of(topic)
        if pattern in self._patterns:
            sent, refused = self._patterns[pattern]
            self._patterns[pattern] = (sent + 1, refused)

    def sent(self) -> dict[str, int]:
        """Return how many messages were sent on topics of each pattern."""
        return {pattern: sent for pattern, (sent, _) in self._patterns.items()}

    def confirm(self, sent: dict[str, int]) -> list[str]:
        """Forget the patterns of which the server has accepted a message; return them.

        Args:
            sent: the result of `sent` before a round trip that has returned.
        """
        allowed = [
            pattern
            for pattern, count in sent.items()
            if pattern in self._patterns and self._patterns[pattern][1] < count
        ]
        for pattern in allowed:
            del self._patterns[pattern]
        return allowed
