"""The outcome of a message to a listener."""

import asyncio


class Receipt:
    """The outcome of `publish_to_listener`; false if there was no listener.

    A listener's reply is accepted as long as this object and the connection exist.
    """

    __slots__ = ("__weakref__", "_is_answered", "has_listener", "reply")

    def __init__(self, *, has_listener: bool = True) -> None:
        self.has_listener = has_listener
        #: The first reply of a listener so far. Always None with durable queues: there, a consumer
        #: acknowledges a message or rejects it.
        self.reply: bytes | None = None
        self._is_answered = asyncio.Event()

    def __bool__(self) -> bool:
        return self.has_listener

    def add_reply(self, payload: bytes) -> None:
        """Keep a reply if it is the first one."""
        if self.reply is None:
            self.reply = payload
            self._is_answered.set()

    async def wait_reply(self) -> bytes:
        """Return the first reply; may wait without end."""
        await self._is_answered.wait()
        return self.reply or b""
