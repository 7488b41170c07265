"""Records of messages, and the watchers that want them. Sans-I/O.

Watchers can't subscribe to a dialog's own topics: on NATS ingest would take them for the
application, and on RabbitMQ they would take messages away from it.
"""

from typing import Annotated, Final, Literal

import msgspec

from ari_proxy.protocol.messages import encode_text

from .facts import CallFacts

#: Kind of a record: a message to or from an application; the request that a command leads to; an
#: event that no application received (`unheard`); a dialog's end; a number of records left out
#: since there were too many (`skipped`).
Kind = Literal["app_start", "event", "command", "request", "response", "unheard", "end", "skipped"]
#: Longest time in seconds that one request may last.
MAX_SECONDS: Final = 60.0
#: Dialogs in one answer.
MAX_DIALOGS: Final = 5_000
#: Watchers at a time.
MAX_WATCHERS: Final = 100
#: Records per second of one process; more are skipped, so that calls don't suffer.
MAX_RATE: Final = 2_000


class RecordedQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """Asks one recorder for calls that it has kept, a page at a time."""

    source: str = ""  #: the recorder; '' for the name of any that is not known
    known: tuple[str, ...] = ()  #: names of recorders that need not answer
    dialog_id: str = ""  #: whose records are wanted; '' for the facts of all calls
    position: int = 0  #: where the page begins, as the last answer says; 0 for the first


class TapRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Requests records for a while; sent again to renew it."""

    watcher: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_SECONDS)]
    dialog_id: str = ""  #: '' for all dialogs


class RecordedRequest(msgspec.Struct, frozen=True):
    """Requests what a recorder has kept, on the same topic.

    Versions without a recorder do not answer: it is no TapRequest.
    """

    recorded: RecordedQuery | None = None


class OpenDialogs(msgspec.Struct, frozen=True):
    """The answer to a TapRequest: open dialogs with their applications.

    Where one dialog is watched, that one at most; of all, MAX_DIALOGS.
    """

    dialogs: dict[str, str]


class TapRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A copy of one message."""

    kind: Kind
    at: float  #: Unix seconds
    server_id: str = ""
    dialog_id: str = ""
    message: msgspec.Raw = msgspec.Raw(b"{}")  #: as it was on the bus


class RecordedAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answers a RecordedQuery with a page."""

    source: str  #: the recorder's name
    calls: list[CallFacts] = []  #: the newest first
    records: list[TapRecord] = []  #: in their order
    position: int = 0  #: of the next page; 0 without one


_decoder: Final = msgspec.json.Decoder(TapRequest)
_recorded_decoder: Final = msgspec.json.Decoder(RecordedRequest)


def encode(kind: Kind, at: float, server_id: str, dialog_id: str, message: bytes) -> bytes:
    """Return the JSON of a TapRecord; the message is not parsed."""
    # All digits of the time: with the kind it tells a record from others, wherever it was kept.
    head = b'{"kind":"%b","at":%a,"server_id":%b,"dialog_id":%b,"message":'
    # A client may publish on a topic with anything as dialog id.
    owner = encode_text(server_id), encode_text(dialog_id)
    return head % (kind.encode(), at, *owner) + message + b"}"


def request_of(payload: bytes) -> TapRequest | RecordedQuery:
    """Return what is requested: copies, or what was kept.

    Raises:
        UNDECODABLE: it is no request.
    """
    query = _recorded_decoder.decode(payload).recorded
    return query if query is not None else _decoder.decode(payload)


class Watchers:
    """Which dialogs are watched, until when, and at which rate."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[str, float]] = {}
        self._dialogs: set[str] = set()
        self._expires_at = 0.0
        self._second = 0
        self._count = 0
        self._skipped = 0

    def add(self, watch: TapRequest, now: float) -> None:
        """Add or renew a request; ignored above MAX_WATCHERS."""
        if watch.watcher in self._until or len(self._until) < MAX_WATCHERS:
            self._until[watch.watcher] = watch.dialog_id, now + watch.seconds
        self._expire(now)

    def _expire(self, now: float) -> None:
        self._until = {name: entry for name, entry in self._until.items() if entry[1] > now}
        self._dialogs = {dialog for dialog, _ in self._until.values()}
        self._expires_at = min((until for _, until in self._until.values()), default=0.0)

    def is_any(self, now: float) -> bool:
        """Return whether there is a watcher."""
        if now >= self._expires_at:
            self._expire(now)
        return bool(self._until)

    def wants(self, dialog_id: str) -> bool:
        """Return whether a dialog is watched."""
        return "" in self._dialogs or dialog_id in self._dialogs

    def admit(self, now: float) -> int | None:
        """Count one more record; return the number skipped before it, or None to skip this one."""
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        if self._count >= MAX_RATE:
            self._skipped += 1
            return None
        self._count += 1
        skipped, self._skipped = self._skipped, 0
        return skipped
