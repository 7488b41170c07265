"""A subscription on two connections for a moment, while the bus moves from one to the other."""

import asyncio
from collections import Counter
from typing import Final

from nats.aio.msg import Msg

#: Seconds after the end of the former subscription in which the same message may still come.
LATE_SECONDS: Final = 1.0

_Key = tuple[str, str, bytes]


class Overlap:
    """Hands on once each message of a subscription without a group, which comes on both.

    What comes on the new connection waits until the subscription on the former one has ended.
    Messages are told apart by what they hold: of two that are alike, one that comes only on the
    former connection and one that comes only on the new one count as one. All of ours differ but
    responses to commands without unique_id.
    """

    def __init__(self, limit: int) -> None:
        """Make one; `limit` bounds the messages that it remembers."""
        self._limit = limit
        self._seen: Counter[_Key] = Counter()
        self._is_over = asyncio.Event()
        self._is_given_up = False

    def note(self, message: Msg) -> None:
        """Remember a message that has come on the former connection."""
        if not self._is_over.is_set() and len(self._seen) < self._limit:
            self._seen[_key(message)] += 1

    def end(self) -> None:
        """Note that nothing more comes on the former connection."""
        if not self._is_over.is_set():
            self._is_over.set()
            asyncio.get_running_loop().call_later(LATE_SECONDS, self._seen.clear)

    def give_up(self) -> None:
        """Hand on nothing of the new connection: the former one goes on."""
        self._is_given_up = True
        self.end()

    async def is_new(self, message: Msg) -> bool:
        """Return whether a message has not come on the former connection, once that is certain."""
        await self._is_over.wait()
        if self._is_given_up:
            return False
        if not self._seen:
            return True
        key = _key(message)
        if not self._seen[key]:
            return True
        self._seen[key] -= 1
        return False


def _key(message: Msg) -> _Key:
    return message.subject, message.reply, message.data
