"""Orphaned dialogs, of which a crashed ingest has left queues. Sans-I/O.

Their ids come from the bus's registry of queues. Such a dialog lives as long as Asterisk has its
first channel, or any channel with the dialog's token in its id. Its queues stay until then and for
the grace period.
"""

from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

import msgspec

from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.malformed import UNDECODABLE


class _Note(msgspec.Struct, frozen=True):
    application: str = ""
    channel_id: str = ""


_decoder = msgspec.json.Decoder(_Note)


def note(application: str, channel_id: str) -> str:
    """Return the note that the bus's registry keeps for a dialog."""
    return msgspec.json.encode(_Note(application, channel_id)).decode()


@dataclass(slots=True)
class _Orphan:
    declared: DeclaredQueues
    token: str
    channel_id: str
    #: When it was first seen without a channel, or None while it has one.
    gone_at: float | None = None

    def note_seen(self) -> None:
        """Record that it has a channel."""
        self.gone_at = None

    def note_gone(self, now: float) -> None:
        """Record that it has no channel from now on."""
        self.gone_at = now


class OrphanedDialogs:
    """The orphaned dialogs of one server."""

    def __init__(self, *, grace_seconds: float) -> None:
        self._grace = grace_seconds
        self._dialogs: dict[tuple[str, ...], _Orphan] = {}

    def __len__(self) -> int:
        return len(self._dialogs)

    def add(self, declared: DeclaredQueues) -> None:
        """Add a dialog by its queues."""
        owner = topics.owner_of(declared.topics[0]) if declared.topics else ""
        try:
            channel_id = _decoder.decode(declared.note).channel_id
        except UNDECODABLE:
            channel_id = ""  # Another version's note: the token has to suffice.
        token = ids.token_of_dialog(DialogId(owner))
        self._dialogs[declared.topics] = _Orphan(declared, token, channel_id)

    @staticmethod
    def application_of(declared: DeclaredQueues) -> str:
        """Return the application that served a dialog, or '' if it is not known."""
        try:
            return _decoder.decode(declared.note).application
        except UNDECODABLE:
            return ""

    def forget(self, known: Container[str]) -> None:
        """Remove those that an ingest has, by their ids."""
        for names in list(self._dialogs):
            if names and topics.owner_of(names[0]) in known:
                del self._dialogs[names]

    def drop(self, names: tuple[str, ...]) -> None:
        """Remove the dialog with these queues, if it is one of them."""
        self._dialogs.pop(names, None)

    def observe(
        self, channel_ids: Collection[str], now: float
    ) -> tuple[list[DeclaredQueues], list[DeclaredQueues]]:
        """Return dialogs that are newly without a channel, and those past their grace period.

        The latter are removed.

        Args:
            channel_ids: of all channels that Asterisk has.
            now: monotonic seconds.
        """
        tokens = _tokens(channel_ids)
        gone, over = [], []
        for key, orphan in list(self._dialogs.items()):
            if orphan.channel_id in channel_ids or orphan.token in tokens:
                orphan.note_seen()
            elif orphan.gone_at is None:
                orphan.note_gone(now)
                gone.append(orphan.declared)
            elif now - orphan.gone_at >= self._grace:
                over.append(self._dialogs.pop(key).declared)
        return gone, over


def _tokens(channel_ids: Iterable[str]) -> set[str]:
    found = (ids.token_of_object(channel_id.partition(";")[0]) for channel_id in channel_ids)
    return {token for token in found if token is not None}
