"""The router: which dialogs an event belongs to. Pure: no IO, no clock.

Rules (docs/reference/wire.md says why):

1. StasisStart of a channel that no dialog has starts one. A channel that a dialog has is its own.
2. `replace_channel` hands the dialog of the old channel to the new one (SIP REFER).
3. An object that we named tells its dialog by its id; one that a client named was registered before
   the request was sent. So events may come before or after the answer.
4. An event goes to every dialog that has one of the objects it is about; one of playbacks and
   recordings to the playback's dialog, else to that of the target; one of a bridge that nobody has
   to the dialogs of its channels.
5. StasisEnd or ChannelDestroyed, whichever comes, releases a channel. A dialog ends with its last
   channel and still gets late events for a grace period. A channel that comes back after its
   release starts a new dialog.
6. The peer half of a Local channel (`<id>;2`) shares the dialog, unless it enters Stasis from the
   dialplan: that is a call of its own.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from ari_proxy.ari import events
from ari_proxy.ari.events import SINGLE_CHANNEL_TYPES, AriEvent
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogId, RandomId, ServerId
from ari_proxy.protocol.messages import Binding

from .dialogs import Dialog

#: Seconds that a dialog without any channel waits for one: an originate may ring.
EMPTY_SECONDS: Final = 120.0
#: The suffix of the peer half of a Local channel (core_local.c).
_PEER_HALF: Final = ";2"
_LEG_TYPES: Final = frozenset({"StasisStart", "Dial", "ChannelCreated"})
_RELEASING_TYPES: Final = frozenset({"StasisEnd", "ChannelDestroyed"})


class Router:
    """All dialogs of one server."""

    def __init__(
        self, server: ServerId, *, grace_seconds: float, random: RandomId = ids.random_id
    ) -> None:
        self._server = server
        self._grace = grace_seconds
        self._random = random
        self._channels: dict[str, Dialog] = {}
        self._bridges: dict[str, Dialog] = {}
        self._playbacks: dict[str, Dialog] = {}
        self._dialogs: dict[str, Dialog] = {}
        #: `application channel` → the dialog that the channel had there before it moved on.
        self._former: dict[str, Dialog] = {}
        #: Ended, and never begun: each in the order of expiry, with the time; some were revived.
        self._ending: deque[tuple[float, Dialog]] = deque()
        self._empty: deque[tuple[float, Dialog]] = deque()
        self._destroyed: deque[tuple[float, str, Dialog]] = deque()
        #: Dialogs that ended since the last look; the caller empties it.
        self.ended: list[Dialog] = []

    def __len__(self) -> int:
        return len(self._dialogs)

    @property
    def dialogs(self) -> tuple[Dialog, ...]:
        """All dialogs, those in their grace period included."""
        return tuple(self._dialogs.values())

    def lives(self, dialog_id: DialogId) -> bool:
        """Return whether there is such a dialog that has not ended."""
        dialog = self._dialogs.get(dialog_id)
        return dialog is not None and not dialog.is_ended

    @property
    def bound_objects(self) -> int:
        """How many channels, bridges and playbacks are bound."""
        return len(self._channels) + len(self._bridges) + len(self._playbacks)

    def route(self, event: AriEvent, now: float) -> tuple[Dialog, ...]:
        """Return the dialogs that get the event, at most each once.

        Args:
            event: the next event of the websocket.
            now: monotonic seconds.
        """
        channel = event.channel
        if channel is not None and event.type in SINGLE_CHANNEL_TYPES:
            dialog = self._channels.get(channel.id) or self._channel(channel.id)
            if dialog is None:
                return ()
            if event.application != dialog.application and self._former:
                dialog = self._former.get(f"{event.application} {channel.id}", dialog)
            return (dialog,)
        return self._route_other(event, now)

    def _route_other(self, event: AriEvent, now: float) -> tuple[Dialog, ...]:
        channel = event.channel
        if event.type == "StasisStart" and channel is not None and channel.id:
            self._enter(event, channel.id, now)
        elif event.type in _LEG_TYPES:
            self._count_legs(event)
        dialogs = self._concerned(event)
        if event.type in _RELEASING_TYPES and channel is not None:
            self._leave(event, channel.id, dialogs, now)
        elif event.type == "PlaybackFinished" and event.playback is not None:
            self._unbind(self._playbacks, event.playback.id)
        elif event.type == "BridgeDestroyed" and event.bridge is not None:
            self._unbind(self._bridges, event.bridge.id)
        return dialogs

    # Which dialogs an event concerns

    def _concerned(self, event: AriEvent) -> tuple[Dialog, ...]:
        if event.playback is not None or event.recording is not None:
            dialog = self._of_media(event)
            return (dialog,) if dialog is not None else ()
        found = [self._former_or_channel(event, name) for name in events.channel_ids(event)]
        found += [self._bridge(name) for name in events.bridge_ids(event)]
        return _distinct(found) or _distinct(
            self._channel(name) for name in events.indirect_channel_ids(event)
        )

    def _former_or_channel(self, event: AriEvent, name: str) -> Dialog | None:
        dialog = self._channel(name)
        if dialog is not None and event.application != dialog.application and self._former:
            return self._former.get(f"{event.application} {name}", dialog)
        return dialog

    def _of_media(self, event: AriEvent) -> Dialog | None:
        if event.playback is not None:
            dialog = self._of_named(self._playbacks, event.playback.id)
            if dialog is not None:
                return dialog
        kind, _, name = events.target(event).partition(":")
        return self._bridge(name) if kind == "bridge" else self._channel(name)

    def _channel(self, name: str) -> Dialog | None:
        dialog = self._of_named(self._channels, name)
        if dialog is None and name.endswith(_PEER_HALF):
            return self._of_named(self._channels, name.removesuffix(_PEER_HALF))
        return dialog

    def _bridge(self, name: str) -> Dialog | None:
        return self._of_named(self._bridges, name)

    def _of_named(self, table: dict[str, Dialog], name: str) -> Dialog | None:
        dialog = table.get(name)
        if dialog is None:
            token = ids.token_of_object(name)
            if token is not None:
                dialog = self._dialogs.get(f"{self._server}.{token}")
                if dialog is not None and table is self._channels:
                    self._bind(table, name, dialog)
        return dialog

    # How dialogs begin and end

    def _enter(self, event: AriEvent, name: str, now: float) -> None:
        """A channel enters Stasis: a dialog has it, or it replaces one, or it begins a dialog."""
        dialog = self._of_named(self._channels, name)
        if dialog is not None and name not in (dialog.released or ()):
            self._count(dialog, name)
            return
        if event.replace_channel is not None:
            replaced = self._channel(event.replace_channel.id)
            if replaced is not None:
                self._bind(self._channels, name, replaced)
                self._count(replaced, name)
                return
        former = dialog
        dialog_id = ids.new_dialog_id(self._server, self._random)
        dialog = self._open(dialog_id, event.application, name, announce=True, now=now)
        if former is not None and former.application != event.application:
            key = f"{former.application} {name}"
            self._former[key] = former
            former.bound.append((self._former, key))
        self._bind(self._channels, name, dialog)
        self._count(dialog, name)

    def _open(
        self, dialog_id: DialogId, application: str, channel: str, *, announce: bool, now: float
    ) -> Dialog:
        dialog = Dialog(dialog_id, application, channel, announce=announce, now=now)
        self._dialogs[dialog_id] = dialog
        return dialog

    def _count_legs(self, event: AriEvent) -> None:
        """A channel that is dialled or created keeps its dialog alive, before it enters Stasis."""
        for channel in (event.peer, event.channel):
            dialog = self._of_named(self._channels, channel.id) if channel is not None else None
            if channel is not None and dialog is not None:
                self._count(dialog, channel.id)

    @staticmethod
    def _count(dialog: Dialog, name: str) -> None:
        if name not in (dialog.released or ()) and not dialog.is_ended:
            dialog.channels.add(name)
            dialog.expires_at = None

    @staticmethod
    def _bind(table: dict[str, Dialog], name: str, dialog: Dialog) -> None:
        table[name] = dialog
        dialog.bound.append((table, name))

    @staticmethod
    def _unbind(table: dict[str, Dialog], name: str) -> None:
        dialog = table.pop(name, None)
        if dialog is not None:
            dialog.bound.remove((table, name))

    def _leave(self, event: AriEvent, name: str, dialogs: Iterable[Dialog], now: float) -> None:
        """A channel leaves Stasis or is destroyed."""
        for dialog in dialogs:
            self._release(dialog, name, now)
            if event.type == "ChannelDestroyed":
                self._destroyed.append((now + self._grace, name, dialog))

    def _release(self, dialog: Dialog, name: str, now: float) -> None:
        if name not in dialog.channels:
            return
        dialog.channels.discard(name)
        dialog.released = dialog.released or set()
        dialog.released.add(name)
        if not dialog.channels:
            dialog.is_ended = True
            self.ended.append(dialog)
            dialog.expires_at = now + self._grace
            self._ending.append((dialog.expires_at, dialog))

    def sweep(self, now: float) -> None:
        """Forget dialogs whose grace period is over, and channels destroyed long enough ago."""
        for expiring in (self._ending, self._empty):
            while expiring and expiring[0][0] <= now:
                at, dialog = expiring.popleft()
                if dialog.expires_at == at:
                    self._forget(dialog)
        while self._destroyed and self._destroyed[0][0] <= now:
            _, name, dialog = self._destroyed.popleft()
            self._forget_channel(dialog, name)

    def _forget_channel(self, dialog: Dialog, name: str) -> None:
        if self._channels.get(name) is dialog and dialog.released and name in dialog.released:
            self._unbind(self._channels, name)
            dialog.released.discard(name)

    def _forget(self, dialog: Dialog) -> None:
        self._dialogs.pop(dialog.dialog_id, None)
        for table, name in dialog.bound:
            if table.get(name) is dialog:
                del table[name]
        dialog.bound.clear()
        if not dialog.is_ended:
            dialog.is_ended = True
            self.ended.append(dialog)

    # Objects that clients have named

    def register(self, binding: Binding, now: float) -> None:
        """Bind an object before it exists; the dialog may be one that no channel has begun yet.

        A name that another dialog's object has stays there: Asterisk will refuse the new one.

        Raises:
            IllegalSubjectTokenError: the dialog id is none of this server.
        """
        if binding.release:
            self._unregister(binding)
            return
        dialog = self._dialogs.get(binding.dialog_id)
        if dialog is None:
            dialog_id = ids.dialog_id(self._server, binding.dialog_id)
            announce = bool(binding.application)
            dialog = self._open(dialog_id, binding.application, "", announce=announce, now=now)
            dialog.expires_at = now + EMPTY_SECONDS
            self._empty.append((dialog.expires_at, dialog))
        table = self._table(binding.kind)
        owner = self._of_named(table, binding.object_id)
        if owner is not dialog and not _has_living(owner, binding.object_id):
            self._bind(table, binding.object_id, dialog)
        if binding.kind == "channel" and dialog.announce and not dialog.channel_id:
            dialog.channel_id = binding.object_id

    def _unregister(self, binding: Binding) -> None:
        dialog = self._dialogs.get(binding.dialog_id)
        table = self._table(binding.kind)
        if dialog is None or table.get(binding.object_id) is not dialog:
            return
        if binding.object_id in dialog.channels or binding.object_id in (dialog.released or ()):
            return  # Events have shown that it exists after all.
        self._unbind(table, binding.object_id)
        if dialog.expires_at is not None and not dialog.is_ended and not dialog.sequence:
            self._forget(dialog)

    def _table(self, kind: str) -> dict[str, Dialog]:
        return {"bridge": self._bridges, "playback": self._playbacks}.get(kind, self._channels)


def _distinct(dialogs: Iterable[Dialog | None]) -> tuple[Dialog, ...]:
    return tuple(dict.fromkeys(dialog for dialog in dialogs if dialog is not None))


def _has_living(dialog: Dialog | None, name: str) -> bool:
    return dialog is not None and not dialog.is_ended and name not in (dialog.released or ())
