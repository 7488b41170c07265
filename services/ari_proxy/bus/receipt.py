"""The outcome of a message to a listener."""

import asyncio


class Receipt:
    """The outcome of `publish_to_listener`; false if there was no listener.

    A listener's reply is accepted as long as this object and the connection exist.
    """

    __slots__ = ("__weakref__", "_has_listener", "_is_answered", "_reply")

    def __init__(self, *, has_listener: bool = True) -> None:
        self._has_listener = has_listener
        self._reply: bytes | None = None
        self._is_answered = asyncio.Event()

    def __bool__(self) -> bool:
        return self._has_listener

    @property
    def reply(self) -> bytes | None:
        """The first reply of a listener so far.

        Always None with durable queues: there, a consumer acknowledges a message or rejects it.
        """
        return self._reply

    def note_no_listener(self) -> None:
        """Note that the message has reached no listener."""
        self._has_listener = False

    def add_reply(self, payload: bytes) -> None:
        """Keep a reply if it is the first one."""
        if self._reply is None:
            self._reply = payload
            self._is_answered.set()

    async def wait_reply(self) -> bytes:
        """Return the first reply; may wait without end."""
        await self._is_answered.wait()
        return self._reply or b""
