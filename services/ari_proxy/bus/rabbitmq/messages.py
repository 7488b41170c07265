"""Messages put together from their frames. Sans-I/O.

A message is a method, a header with the size of its body, and the body in any number of frames; on
one channel nothing comes between them (AMQP 0-9-1 §4.2.6).
"""

from typing import NamedTuple

from . import frames
from .frames import Delivery, Properties


class Incoming(NamedTuple):
    """One message for a consumer."""

    delivery: Delivery
    properties: Properties
    body: bytes


class Returned(NamedTuple):
    """One message that reached no queue."""

    routing_key: str
    message_id: str
    body: bytes


class MessageAssembler:
    """Assembles the messages of one channel."""

    def __init__(self) -> None:
        #: What is being received: a delivery, or a returned message's routing key.
        self._pending: Delivery | None = None
        self._returned_key = ""
        self._properties = Properties()
        self._missing = 0
        self._parts: list[bytes] = []

    def begin(self, head: bytes, payload: bytes) -> bool:
        """Begin a message; return False if the method begins none.

        Args:
            head: class and method.
            payload: of the frame, with them.
        """
        if head == frames.DELIVER:
            self._pending = frames.parse_delivery(payload)
        elif head == frames.RETURN:
            self._pending = None
            self._returned_key = frames.parse_return(payload)
        else:
            return False
        return True

    def add(self, kind: int, payload: bytes) -> Incoming | Returned | None:
        """Add a header or a part of the body; return the message once it is complete."""
        if kind == frames.HEADER:
            self._missing, self._properties = frames.parse_header(payload)
            return None if self._missing else self._finish(b"")
        self._missing -= len(payload)
        if self._missing > 0:
            self._parts.append(payload)
            return None
        if not self._parts:
            return self._finish(payload)
        body = b"".join((*self._parts, payload))
        self._parts.clear()
        return self._finish(body)

    def _finish(self, body: bytes) -> Incoming | Returned:
        delivery, self._pending = self._pending, None
        if delivery is None:
            return Returned(self._returned_key, self._properties.message_id, body)
        return Incoming(delivery, self._properties, body)
