"""All dialogs of one server: which there are, when they end, when they are forgotten. Sans-I/O.

`DialogTable.end` is the only place where a dialog's life ends; `router.py`, recovery and others
call it.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import ObjectKind, ObjectRegistration

from .deadlines import Deadlines
from .dialog import Dialog
from .object_index import ObjectIndex
from .phase import LifePhase
from .proxy_events import EndReason

#: Seconds that a dialog without any channel waits for one before Asterisk is asked whether there is
#: one: longer than a request takes.
EMPTY_SECONDS: Final = 30.0
#: Seconds from a dialog's end until its application is informed: Asterisk's late events have come
#: by then.
TELL_SECONDS: Final = 1.0


class DialogTable:
    """The dialogs of one server, those in their grace period included."""

    def __init__(self, server: ServerId, *, grace_seconds: float) -> None:
        self._server = server
        self._grace = grace_seconds
        self._dialogs: dict[str, Dialog] = {}
        #: By dialog id.
        self.dialogs: Mapping[str, Dialog] = self._dialogs
        #: By their objects.
        self.objects = ObjectIndex()
        #: When ended dialogs are forgotten, and before that reported as ended.
        self._forgotten: Deadlines[Dialog] = Deadlines()
        self._ended: Deadlines[Dialog] = Deadlines()
        #: Until when dialogs without a channel wait for one.
        self._awaiting: Deadlines[Dialog] = Deadlines()
        #: When destroyed channels are forgotten, if their dialogs live on.
        self._destroyed: Deadlines[tuple[Dialog, str]] = Deadlines()

    def __len__(self) -> int:
        return len(self._dialogs)

    def __iter__(self) -> Iterator[Dialog]:
        """Iterate over the dialogs that there are now, the oldest first."""
        return iter(tuple(self._dialogs.values()))

    @property
    def size(self) -> int:
        """Number of objects and deadlines that are kept beside the dialogs."""
        ending = len(self._ended) + len(self._forgotten) + len(self._destroyed)
        internal = len(self.objects.former) + len(self.objects.offered)
        return len(self.objects) + internal + ending + len(self._awaiting)

    def lives(self, dialog_id: DialogId) -> bool:
        """Return whether there is such a dialog that has not ended."""
        dialog = self._dialogs.get(dialog_id)
        return dialog is not None and not dialog.is_ended

    # Beginning

    def open(
        self, dialog_id: DialogId, application: str, channel: str, *, announce: bool, now: float
    ) -> Dialog:
        """Add a new dialog."""
        dialog = Dialog(dialog_id, application, channel, announce=announce, now=now)
        self._dialogs[dialog_id] = dialog
        self.objects.add(dialog)
        return dialog

    def open_empty(
        self, dialog_id: DialogId, application: str, *, announce: bool, now: float
    ) -> Dialog:
        """Add a new dialog that has no channel yet."""
        dialog = self.open(dialog_id, application, "", announce=announce, now=now)
        self.await_channel(dialog, now)
        return dialog

    def offer(self, dialog_id: DialogId, application: str, channel: str, *, now: float) -> Dialog:
        """Add a dialog that begins if Asterisk gives us the channel that it offers."""
        dialog = self.open(dialog_id, application, channel, announce=True, now=now)
        dialog.offer()
        self.objects.bind_offered(dialog)
        return dialog

    def claim(self, dialog: Dialog, now: float) -> None:
        """Record that Asterisk has given us the channel that it offered for a dialog.

        Its StasisStart may have come before, or its dialog before that may still wait for its
        StasisEnd.
        """
        if dialog.life is not LifePhase.UNCLAIMED:
            return
        dialog.claim()
        self.await_channel(dialog, now)
        former = self.objects.channels.get(dialog.channel_id)
        if former is None or not former.may_have(dialog.channel_id):
            self.objects.move("channel", dialog.channel_id, dialog)

    def await_channel(self, dialog: Dialog, now: float) -> None:
        """Give a dialog without channels some time for one; `overdue` returns it then."""
        self._awaiting.set(dialog, now + EMPTY_SECONDS)

    def overdue(self, now: float) -> list[Dialog]:
        """Return the dialogs that have waited too long for a channel, each once."""
        return self._awaiting.due(now)

    def revive(self, dialog: Dialog, now: float) -> None:
        """Reopen a dialog that has ended, for a channel that its client has asked for."""
        if dialog.is_ended:
            dialog.revive()
            self._ended.drop(dialog)
            self._forgotten.drop(dialog)
            self.await_channel(dialog, now)

    def adopt(
        self,
        dialog: Dialog,
        channels: Mapping[str, bool],
        objects: Mapping[ObjectKind, Iterable[str]] = MappingProxyType({}),
    ) -> None:
        """Add what was found of a dialog on Asterisk, or in another ingest.

        Args:
            dialog: a new one, or one that has more than was known.
            channels: those that keep it alive, and whether each is in Stasis.
            objects: all others that belong to it, by kind.
        """
        for kind, names in (("channel", channels), *objects.items()):
            for name in names:
                self.objects.move(kind, name, dialog)
        for name, entered in channels.items():
            self.count(dialog, name, entered=entered)

    # Channels, and the end

    def count(self, dialog: Dialog, name: str, *, entered: bool) -> None:
        """Count a channel among those that keep its dialog alive, unless it has left."""
        if dialog.may_have(name):
            dialog.count(name, entered=entered)
            self._awaiting.drop(dialog)

    def release(
        self, dialog: Dialog, name: str, now: float, reason: EndReason = "channels_left"
    ) -> None:
        """Remove a channel from its dialog; with its last one a dialog ends."""
        if dialog.release(name) and not (dialog.channels or dialog.is_offered):
            self.end(dialog, now, reason)

    def destroyed(self, dialog: Dialog, name: str, now: float) -> None:
        """Remove a channel that was destroyed, whether or not it was seen before.

        It is forgotten after the grace period, even if its dialog lives on.
        """
        is_own = self.objects.channels.get(name) is dialog
        if is_own and dialog.may_have(name) and name not in dialog.channels:
            # One that could not be called: Asterisk sends nothing else about it.
            dialog.note_released(name)
            self._end_if_empty(dialog, now, "channels_left")
        self.release(dialog, name, now)
        self._destroyed.set((dialog, name), now + self._grace)

    def end(self, dialog: Dialog, now: float, reason: EndReason) -> None:
        """End a dialog, unless it has ended; late events still find it for the grace period."""
        if dialog.is_ended:
            return
        dialog.end(reason)
        self._awaiting.drop(dialog)
        self._ended.set(dialog, now + min(TELL_SECONDS, self._grace))
        self._forgotten.set(dialog, now + self._grace)

    def _end_if_empty(self, dialog: Dialog, now: float, reason: EndReason) -> None:
        """End a dialog without channels, unless it has something that was asked for."""
        expected = dialog.is_offered or any(map(dialog.may_have, dialog.names_of("channel")))
        if not (dialog.channels or expected or dialog.names_of("bridge")):
            self.end(dialog, now, reason)

    def ended(self, now: float) -> list[Dialog]:
        """Return the dialogs that have ended and are to be reported, each once."""
        return self._ended.due(now)

    def sweep(self, now: float) -> None:
        """Forget dialogs whose grace period is over, and channels destroyed long enough ago."""
        for dialog in self._forgotten.due(now):
            self._forget(dialog)
        for dialog, name in self._destroyed.due(now):
            if self.objects.channels.get(name) is dialog and dialog.has_released(name):
                self.objects.unbind("channel", name)
                dialog.readmit(name)

    def _forget(self, dialog: Dialog) -> None:
        dialog.forget()
        self._ended.drop(dialog)
        self._dialogs.pop(dialog.dialog_id, None)
        self.objects.remove(dialog)

    # Objects that clients have named

    def register(self, registration: ObjectRegistration, now: float) -> bool:
        """Bind an object before it exists; the dialog may be one that no channel has begun yet.

        A name that another dialog's object has stays there: Asterisk will refuse the new one.

        Returns:
            Whether it is the dialog's by this registration alone, so that a release may undo it.

        Raises:
            IllegalSubjectTokenError: the dialog id is none of this server.
        """
        if registration.release:
            self._unregister(registration, now)
            return False
        kind, name = registration.kind, registration.object_id
        dialog = self._dialogs.get(registration.dialog_id) or self._open_for(registration, now)
        is_bound = self.objects.of_kind(kind).get(name) is dialog
        owner = self.objects.of_object(kind, name)
        is_kept = owner is not None and owner.keeps(registration)
        if kind == "channel":
            self.revive(dialog, now)
            dialog.expect(name)
        if owner is not dialog and not is_kept:
            self.objects.bind(kind, name, dialog)
        return not is_kept or (owner is dialog and not is_bound)

    def _open_for(self, registration: ObjectRegistration, now: float) -> Dialog:
        dialog_id = ids.dialog_id(self._server, registration.dialog_id)
        announce = bool(registration.application)
        return self.open_empty(dialog_id, registration.application, announce=announce, now=now)

    def _unregister(self, registration: ObjectRegistration, now: float) -> None:
        dialog = self._dialogs.get(registration.dialog_id)
        kind, name = registration.kind, registration.object_id
        if dialog is None or self.objects.of_kind(kind).get(name) is not dialog:
            return
        if kind == "channel" and (name in dialog.channels or dialog.has_released(name)):
            return  # Events have shown that it exists after all.
        self.objects.unbind(kind, name)
        self._end_if_empty(dialog, now, "not_created")
