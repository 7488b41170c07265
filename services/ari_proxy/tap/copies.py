"""Copies of messages, and who wants them. Pure.

A subscription of one's own on a dialog's topics would not do: on NATS ingest would take it for the
application's, and on RabbitMQ it would take the application's messages away.
"""

from typing import Annotated, Final, Literal

import msgspec

from ari_proxy.protocol.messages import encode_text

#: What is copied: messages to and from applications; the request that a command leads to; an event
#: that no application took (`unheard`); a dialog's end; copies that were too many (`skipped`).
Kind = Literal["app_start", "event", "command", "request", "response", "unheard", "end", "skipped"]
#: Seconds for which one may ask for copies at once.
MAX_SECONDS: Final = 60.0
#: Dialogs that one answer tells of.
MAX_DIALOGS: Final = 5_000
#: Watchers at once.
MAX_WATCHERS: Final = 100
#: Copies per second of one process: above it the copies suffer, not the calls.
MAX_RATE: Final = 2_000


class Watch(msgspec.Struct, frozen=True):
    """Asks for copies for a while; renewed by asking again."""

    watcher: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_SECONDS)]
    dialog_id: str = ""  #: only this one's, or all


class Watched(msgspec.Struct, frozen=True):
    """Answers a Watch: the dialogs that are open, with their applications."""

    dialogs: dict[str, str]


class Copy(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message that passed."""

    kind: Kind
    at: float  #: Unix seconds
    server_id: str = ""
    dialog_id: str = ""
    message: msgspec.Raw = msgspec.Raw(b"{}")  #: as it went over the bus


def encode(kind: Kind, at: float, server_id: str, dialog_id: str, message: bytes) -> bytes:
    """Return the JSON of a Copy, without looking into the message."""
    head = b'{"kind":"%b","at":%.6f,"server_id":%b,"dialog_id":%b,"message":'
    # A client may have published on a topic with anything for a dialog's id.
    owner = encode_text(server_id), encode_text(dialog_id)
    return head % (kind.encode(), at, *owner) + message + b"}"


class Watchers:
    """Who wants copies of what, until when, and how many there may be."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[str, float]] = {}
        self._dialogs: set[str] = set()
        self._expires_at = 0.0
        self._second = 0
        self._count = 0
        self._skipped = 0

    def add(self, watch: Watch, now: float) -> None:
        """Note a wish, or renew it; there is room for a number of them."""
        if watch.watcher in self._until or len(self._until) < MAX_WATCHERS:
            self._until[watch.watcher] = watch.dialog_id, now + watch.seconds
        self._look(now)

    def _look(self, now: float) -> None:
        self._until = {name: wish for name, wish in self._until.items() if wish[1] > now}
        self._dialogs = {dialog for dialog, _ in self._until.values()}
        self._expires_at = min((until for _, until in self._until.values()), default=0.0)

    def is_any(self, now: float) -> bool:
        """Return whether anybody watches."""
        if now >= self._expires_at:
            self._look(now)
        return bool(self._until)

    def wants(self, dialog_id: str) -> bool:
        """Return whether anybody wants a dialog's copies."""
        return "" in self._dialogs or dialog_id in self._dialogs

    def admit(self, now: float) -> int | None:
        """Count one more copy: return how many were skipped before it, or None if it is, too."""
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        if self._count >= MAX_RATE:
            self._skipped += 1
            return None
        self._count += 1
        skipped, self._skipped = self._skipped, 0
        return skipped
