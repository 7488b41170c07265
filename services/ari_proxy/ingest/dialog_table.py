"""All dialogs of one server, by their ids and by their objects: who begins, who ends. Pure.

`router.py` says which events make it so.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogId, ServerId, Token
from ari_proxy.protocol.messages import Binding, ObjectKind

from .dialogs import Dialog

#: Seconds that a dialog without any channel waits for one: an originate may ring.
EMPTY_SECONDS: Final = 120.0


class DialogTable:
    """Which objects belong to which dialog, and until when."""

    def __init__(self, server: ServerId, *, grace_seconds: float) -> None:
        self._server = server
        self._grace = grace_seconds
        self.dialogs: dict[str, Dialog] = {}
        self._by_token: dict[Token, Dialog] = {}
        self.channels: dict[str, Dialog] = {}
        self.bridges: dict[str, Dialog] = {}
        self.playbacks: dict[str, Dialog] = {}
        #: Made under a name; bound until the dialog is forgotten, since they are stored then.
        self.recordings: dict[str, Dialog] = {}
        #: These by kind of object.
        self.tables: dict[ObjectKind, dict[str, Dialog]] = {
            "channel": self.channels,
            "bridge": self.bridges,
            "playback": self.playbacks,
            "recording": self.recordings,
        }
        #: `application channel` → the dialog that the channel had there before it moved on.
        self.former: dict[str, Dialog] = {}
        #: Ended, and never begun: each in the order of expiry, with the time; some were revived.
        self._ending: deque[tuple[float, Dialog]] = deque()
        self._empty: deque[tuple[float, Dialog]] = deque()
        self._destroyed: deque[tuple[float, str, Dialog]] = deque()
        #: Dialogs that ended since the last look; the caller empties it.
        self.ended: list[Dialog] = []

    @property
    def bound_objects(self) -> int:
        """How many channels, bridges, playbacks and recordings belong to dialogs."""
        return sum(map(len, self.tables.values()))

    @property
    def size(self) -> int:
        """How many objects and deadlines are kept beside the dialogs."""
        deadlines = len(self._ending) + len(self._empty) + len(self._destroyed)
        return self.bound_objects + len(self.former) + deadlines

    def of_named(self, table: dict[str, Dialog], name: str) -> Dialog | None:
        """Return the dialog of an object: the one it is bound to, or the one that its id tells."""
        dialog = table.get(name)
        if dialog is None:
            token = ids.token_of_object(name)
            if token is not None:
                dialog = self._by_token.get(token)
                if dialog is not None and table is self.channels:
                    self.bind(table, name, dialog)
        return dialog

    def owns(self, dialog_id: str, kind: ObjectKind, name: str) -> bool:
        """Return whether an object belongs to a dialog."""
        is_channel = kind == "channel"
        owner = self.of_channel(name) if is_channel else self.of_named(self.tables[kind], name)
        return owner is not None and owner.dialog_id == dialog_id

    def of_channel(self, name: str) -> Dialog | None:
        """Return the dialog of a channel; the peer half of a Local channel goes with the first."""
        dialog = self.of_named(self.channels, name)
        if dialog is None and name.endswith(ids.PEER_HALF):
            return self.of_named(self.channels, name.removesuffix(ids.PEER_HALF))
        return dialog

    def open(
        self, dialog_id: DialogId, application: str, channel: str, *, announce: bool, now: float
    ) -> Dialog:
        """Begin a dialog."""
        dialog = Dialog(dialog_id, application, channel, announce=announce, now=now)
        self.dialogs[dialog_id] = self._by_token[dialog.token] = dialog
        return dialog

    def open_empty(
        self, dialog_id: DialogId, application: str, *, announce: bool, now: float
    ) -> Dialog:
        """Begin a dialog that has no channel yet."""
        dialog = self.open(dialog_id, application, "", announce=announce, now=now)
        dialog.expires_at = now + EMPTY_SECONDS
        self._empty.append((dialog.expires_at, dialog))
        return dialog

    @staticmethod
    def count(dialog: Dialog, name: str, *, entered: bool) -> None:
        """Have a channel keep its dialog alive."""
        if dialog.may_have(name):
            dialog.channels[name] = entered or dialog.channels.get(name, False)
            dialog.expires_at = None

    @staticmethod
    def bind(table: dict[str, Dialog], name: str, dialog: Dialog) -> None:
        """Let an object belong to a dialog."""
        table[name] = dialog
        dialog.bound.append((table, name))

    @staticmethod
    def unbind(table: dict[str, Dialog], name: str) -> None:
        """Let an object belong to nobody."""
        dialog = table.pop(name, None)
        if dialog is not None:
            dialog.bound.remove((table, name))

    def keep_former(self, dialog: Dialog, name: str) -> None:
        """Remember whose a channel was in the application that it has left for another one."""
        key = f"{dialog.application} {name}"
        self.former[key] = dialog
        dialog.bound.append((self.former, key))

    def release(self, dialog: Dialog, name: str, now: float) -> None:
        """Take a channel from its dialog; with its last one a dialog ends."""
        if name not in dialog.channels:
            return
        del dialog.channels[name]
        dialog.released = dialog.released or set()
        dialog.released.add(name)
        if not dialog.channels:
            self.end(dialog, now)

    def end(self, dialog: Dialog, now: float) -> None:
        """End a dialog; late events still find it for the grace period."""
        if dialog.is_ended:
            return
        dialog.is_ended = True
        self.ended.append(dialog)
        dialog.expires_at = now + self._grace
        self._ending.append((dialog.expires_at, dialog))

    def expect_no_more(self, dialog: Dialog, name: str, now: float) -> None:
        """Forget a destroyed channel after the grace period, its dialog may live on."""
        self._destroyed.append((now + self._grace, name, dialog))

    def sweep(self, now: float) -> None:
        """Forget dialogs whose grace period is over, and channels destroyed long enough ago."""
        for expiring in (self._ending, self._empty):
            while expiring and expiring[0][0] <= now:
                at, dialog = expiring.popleft()
                if dialog.expires_at == at:
                    self.forget(dialog)
        while self._destroyed and self._destroyed[0][0] <= now:
            _, name, dialog = self._destroyed.popleft()
            self._forget_channel(dialog, name)

    def _forget_channel(self, dialog: Dialog, name: str) -> None:
        if self.channels.get(name) is dialog and dialog.released and name in dialog.released:
            self.unbind(self.channels, name)
            dialog.released.discard(name)

    def forget(self, dialog: Dialog) -> None:
        """Keep nothing of a dialog."""
        self.dialogs.pop(dialog.dialog_id, None)
        self._by_token.pop(dialog.token, None)
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
        dialog = self.dialogs.get(binding.dialog_id)
        if dialog is None:
            dialog_id = ids.dialog_id(self._server, binding.dialog_id)
            announce = bool(binding.application)
            dialog = self.open_empty(dialog_id, binding.application, announce=announce, now=now)
        table = self.tables[binding.kind]
        owner = self.of_named(table, binding.object_id)
        is_others = owner is not None and owner.may_have(binding.object_id)
        if owner is not dialog and not is_others:
            self.bind(table, binding.object_id, dialog)
        if binding.kind == "channel" and dialog.announce and not dialog.channel_id:
            dialog.channel_id = binding.object_id

    def _unregister(self, binding: Binding) -> None:
        dialog = self.dialogs.get(binding.dialog_id)
        table = self.tables[binding.kind]
        if dialog is None or table.get(binding.object_id) is not dialog:
            return
        if binding.object_id in dialog.channels or binding.object_id in (dialog.released or ()):
            return  # Events have shown that it exists after all.
        self.unbind(table, binding.object_id)
        if dialog.expires_at is not None and not dialog.is_ended and not dialog.sequence:
            self.forget(dialog)

    # Dialogs that are older than this process, or than its connection

    def adopt(
        self, dialog: Dialog, channels: Mapping[str, bool], bridges: Iterable[str] = ()
    ) -> None:
        """Take what is found of a dialog; its channels keep it alive.

        Args:
            dialog: a new one, or one that has more than was known.
            channels: with whether each is in Stasis.
            bridges: that it has named.
        """
        self.bind_all(dialog, {"channel": channels, "bridge": bridges})
        for name, entered in channels.items():
            self.count(dialog, name, entered=entered)

    def bind_all(self, dialog: Dialog, objects: Mapping[ObjectKind, Iterable[str]]) -> None:
        """Let objects belong to a dialog, whomever they belonged to."""
        for kind, names in objects.items():
            for name in names:
                self._bind_once(self.tables[kind], name, dialog)

    def _bind_once(self, table: dict[str, Dialog], name: str, dialog: Dialog) -> None:
        if table.get(name) is not dialog:
            self.unbind(table, name)
            self.bind(table, name, dialog)
