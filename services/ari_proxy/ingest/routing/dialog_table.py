"""All dialogs of one server, by their ids and by their objects: who begins, who ends. Sans-I/O.

`router.py` says which events make it so.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogId, ServerId, Token
from ari_proxy.protocol.messages import ObjectKind, ObjectRegistration

from .deadlines import Deadlines
from .dialog import BoundKind, Dialog
from .proxy_events import EndReason

#: Seconds that a dialog without any channel waits for one, before somebody looks whether Asterisk
#: has one: longer than a request takes.
EMPTY_SECONDS: Final = 30.0
#: Seconds from a dialog's end until it is told: Asterisk's late events have come by then.
TELL_SECONDS: Final = 1.0


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
        self._tables: dict[BoundKind, dict[str, Dialog]] = {"former": self.former}
        self._tables.update((kind, names) for kind, names in self.tables.items())
        #: When dialogs that have ended are forgotten, and before that told.
        self._forgotten: Deadlines[Dialog] = Deadlines()
        self._told: Deadlines[Dialog] = Deadlines()
        #: When somebody looks for the channel that a dialog waits for.
        self._awaiting: Deadlines[Dialog] = Deadlines()
        #: When destroyed channels are forgotten whose dialogs live on.
        self._destroyed: Deadlines[tuple[Dialog, str]] = Deadlines()

    @property
    def bound_objects(self) -> int:
        """How many channels, bridges, playbacks and recordings belong to dialogs."""
        return sum(map(len, self.tables.values()))

    @property
    def size(self) -> int:
        """How many objects and deadlines are kept beside the dialogs."""
        ending = len(self._forgotten) + len(self._told) + len(self._destroyed)
        return self.bound_objects + len(self.former) + ending + len(self._awaiting)

    def of_named(self, kind: ObjectKind, name: str) -> Dialog | None:
        """Return the dialog of an object: the one it is bound to, or the one that its id tells."""
        dialog = self.tables[kind].get(name)
        if dialog is None:
            token = ids.token_of_object(name)
            if token is not None:
                dialog = self._by_token.get(token)
                if dialog is not None and kind == "channel":
                    self.bind(kind, name, dialog)
        return dialog

    def owns(self, dialog_id: str, kind: ObjectKind, name: str) -> bool:
        """Return whether an object belongs to a dialog."""
        is_channel = kind == "channel"
        owner = self.of_channel(name) if is_channel else self.of_named(kind, name)
        return owner is not None and owner.dialog_id == dialog_id

    def of_channel(self, name: str) -> Dialog | None:
        """Return the dialog of a channel; the peer half of a Local channel goes with the first."""
        dialog = self.of_named("channel", name)
        if dialog is None and name.endswith(ids.PEER_HALF):
            return self.of_named("channel", name.removesuffix(ids.PEER_HALF))
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
        self.await_channel(dialog, now)
        return dialog

    def await_channel(self, dialog: Dialog, now: float) -> None:
        """Have `overdue` tell a dialog without channels if no channel has come in time."""
        self._awaiting.set(dialog, now + EMPTY_SECONDS)

    def overdue(self, now: float) -> list[Dialog]:
        """Return the dialogs that have waited too long for a channel."""
        return self._awaiting.due(now)

    def count(self, dialog: Dialog, name: str, *, entered: bool) -> None:
        """Have a channel keep its dialog alive."""
        if dialog.may_have(name):
            dialog.channels[name] = entered or dialog.channels.get(name, False)
            self._awaiting.drop(dialog)

    def bind(self, kind: BoundKind, name: str, dialog: Dialog) -> None:
        """Let an object belong to a dialog."""
        self._tables[kind][name] = dialog
        dialog.bound.append((kind, name))

    def unbind(self, kind: BoundKind, name: str) -> None:
        """Let an object belong to nobody."""
        dialog = self._tables[kind].pop(name, None)
        if dialog is not None:
            dialog.bound.remove((kind, name))

    def keep_former(self, dialog: Dialog, name: str) -> None:
        """Remember whose a channel was in the application that it has left for another one."""
        self.bind("former", f"{dialog.application} {name}", dialog)

    def release(self, dialog: Dialog, name: str, now: float) -> None:
        """Take a channel from its dialog; with its last one a dialog ends."""
        if dialog.channels.pop(name, None) is None:
            return
        dialog.has_lost(name)
        if not dialog.channels:
            self.end(dialog, now, "channels_left")

    def end(self, dialog: Dialog, now: float, reason: EndReason) -> None:
        """End a dialog; late events still find it for the grace period."""
        if dialog.is_ended:
            return
        dialog.end(reason)
        self._awaiting.drop(dialog)
        self._told.set(dialog, now + min(TELL_SECONDS, self._grace))
        self._forgotten.set(dialog, now + self._grace)

    def _end_if_empty(self, dialog: Dialog, now: float, reason: EndReason) -> None:
        """End a dialog without channels, unless it has something that was asked for."""
        expected = any(map(dialog.may_have, dialog.names_of("channel")))
        if not (dialog.channels or expected or dialog.names_of("bridge")):
            self.end(dialog, now, reason)

    def asked_for(self, dialog: Dialog) -> list[str]:
        """Return the channels and bridges that belong to a dialog, whether or not they exist."""
        return dialog.names_of("channel") + dialog.names_of("bridge")

    def ended(self, now: float) -> list[Dialog]:
        """Return the dialogs whose end is to be told, each once."""
        return self._told.due(now)

    def destroyed(self, dialog: Dialog, name: str, now: float) -> None:
        """Take that a channel is no more, whether or not it was seen before.

        It is forgotten after the grace period, its dialog may live on.
        """
        is_own = self.channels.get(name) is dialog
        if is_own and dialog.may_have(name) and name not in dialog.channels:
            # One that could not be called: Asterisk tells nothing else of it.
            dialog.has_lost(name)
            self._end_if_empty(dialog, now, "channels_left")
        self.release(dialog, name, now)
        self._destroyed.set((dialog, name), now + self._grace)

    def sweep(self, now: float) -> None:
        """Forget dialogs whose grace period is over, and channels destroyed long enough ago."""
        for dialog in self._forgotten.due(now):
            self.forget(dialog)
        for dialog, name in self._destroyed.due(now):
            self._forget_channel(dialog, name)

    def _forget_channel(self, dialog: Dialog, name: str) -> None:
        if self.channels.get(name) is dialog and dialog.released and name in dialog.released:
            self.unbind("channel", name)
            dialog.released.discard(name)

    def forget(self, dialog: Dialog) -> None:
        """Keep nothing of a dialog that has ended."""
        dialog.forget()
        self._told.drop(dialog)
        self.dialogs.pop(dialog.dialog_id, None)
        self._by_token.pop(dialog.token, None)
        for kind, name in dialog.bound:
            table = self._tables[kind]
            if table.get(name) is dialog:
                del table[name]
        dialog.bound.clear()

    # Objects that clients have named

    def register(self, binding: ObjectRegistration, now: float) -> bool:
        """Bind an object before it exists; the dialog may be one that no channel has begun yet.

        A name that another dialog's object has stays there: Asterisk will refuse the new one.

        Returns:
            Whether it is the dialog's by this binding alone, so that a release may undo it.

        Raises:
            IllegalSubjectTokenError: the dialog id is none of this server.
        """
        if binding.release:
            self._unregister(binding, now)
            return False
        kind, name = binding.kind, binding.object_id
        dialog = self.dialogs.get(binding.dialog_id) or self._open_for(binding, now)
        is_bound = self.tables[kind].get(name) is dialog
        owner = self.of_named(kind, name)
        is_kept = owner is not None and owner.keeps(binding)
        if kind == "channel":
            self._expect(dialog, name, now)
        if owner is not dialog and not is_kept:
            self.bind(kind, name, dialog)
        return not is_kept or (owner is dialog and not is_bound)

    def _open_for(self, binding: ObjectRegistration, now: float) -> Dialog:
        dialog_id = ids.dialog_id(self._server, binding.dialog_id)
        announce = bool(binding.application)
        return self.open_empty(dialog_id, binding.application, announce=announce, now=now)

    def _expect(self, dialog: Dialog, name: str, now: float) -> None:
        """Let a dialog get a channel: it may have ended, or had one of that name."""
        self.revive(dialog, now)
        if dialog.released:
            dialog.released.discard(name)
        dialog.begin_with(name)

    def revive(self, dialog: Dialog, now: float) -> None:
        """Have a dialog that has ended live again, for a channel that its client has asked for."""
        if dialog.is_ended:
            dialog.revive()
            self._told.drop(dialog)
            self._forgotten.drop(dialog)
            self.await_channel(dialog, now)

    def _unregister(self, binding: ObjectRegistration, now: float) -> None:
        dialog = self.dialogs.get(binding.dialog_id)
        kind, name = binding.kind, binding.object_id
        if dialog is None or self.tables[kind].get(name) is not dialog:
            return
        is_channel = kind == "channel"
        if is_channel and (name in dialog.channels or name in (dialog.released or ())):
            return  # Events have shown that it exists after all.
        self.unbind(kind, name)
        self._end_if_empty(dialog, now, "not_created")

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
                self._bind_once(kind, name, dialog)

    def _bind_once(self, kind: ObjectKind, name: str, dialog: Dialog) -> None:
        if self.tables[kind].get(name) is not dialog:
            self.unbind(kind, name)
            self.bind(kind, name, dialog)
