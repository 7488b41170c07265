"""Which dialog each channel, bridge, playback and recording belongs to. Sans-I/O."""

from collections.abc import Mapping
from typing import Final

from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import Token
from ari_proxy.protocol.messages import ObjectKind

from .dialog import BoundKind, Dialog


class ObjectIndex:
    """Finds a dialog by one of its objects: by the object's entry, or by the token in its id."""

    def __init__(self) -> None:
        self._by_token: dict[Token, Dialog] = {}
        channels: dict[str, Dialog] = {}
        former: dict[str, Dialog] = {}
        offered: dict[str, Dialog] = {}
        #: A recording stays until its dialog is forgotten, since it is stored by then.
        self._entries: Final[dict[BoundKind, dict[str, Dialog]]] = {
            "channel": channels,
            "bridge": {},
            "playback": {},
            "recording": {},
            "former": former,
            "offered": offered,
        }
        #: The entries of channels, for the event path.
        self.channels: Mapping[str, Dialog] = channels
        #: `application channel` → the dialog that the channel had there before it moved on.
        self.former: Mapping[str, Dialog] = former
        #: `application channel` → the dialog that begins if Asterisk gives us the channel.
        self.offered: Mapping[str, Dialog] = offered

    def of_kind(self, kind: ObjectKind) -> Mapping[str, Dialog]:
        """Return the entries of a kind of object."""
        return self._entries[kind]

    def __len__(self) -> int:
        """Number of channels, bridges, playbacks and recordings that have an entry."""
        return sum(map(len, self._entries.values())) - len(self.former) - len(self.offered)

    def of_object(self, kind: ObjectKind, name: str) -> Dialog | None:
        """Return the dialog of an object, or None."""
        dialog = self._entries[kind].get(name)
        if dialog is None:
            token = ids.token_of_object(name)
            if token is not None:
                dialog = self._by_token.get(token)
                if dialog is not None and kind == "channel":
                    self.bind(kind, name, dialog)
        return dialog

    def of_channel(self, name: str) -> Dialog | None:
        """Return the dialog of a channel; the peer half of a Local channel goes with the first."""
        dialog = self.of_object("channel", name)
        if dialog is None and name.endswith(ids.PEER_HALF):
            return self.of_object("channel", name.removesuffix(ids.PEER_HALF))
        return dialog

    def owns(self, dialog_id: str, kind: ObjectKind, name: str) -> bool:
        """Return whether an object belongs to a dialog."""
        is_channel = kind == "channel"
        owner = self.of_channel(name) if is_channel else self.of_object(kind, name)
        return owner is not None and owner.dialog_id == dialog_id

    def add(self, dialog: Dialog) -> None:
        """Add a dialog: from now on it is found by the ids that carry its token."""
        self._by_token[dialog.token] = dialog

    def remove(self, dialog: Dialog) -> None:
        """Remove a dialog with all entries of its objects."""
        self._by_token.pop(dialog.token, None)
        for kind, name in dialog.unbind_all():
            entries = self._entries[kind]
            if entries.get(name) is dialog:
                del entries[name]

    def bind(self, kind: BoundKind, name: str, dialog: Dialog) -> None:
        """Bind an object to a dialog; its former entry is replaced."""
        self._entries[kind][name] = dialog
        dialog.bind(kind, name)

    def unbind(self, kind: BoundKind, name: str) -> None:
        """Remove the entry of an object, if it has one."""
        dialog = self._entries[kind].pop(name, None)
        if dialog is not None:
            dialog.unbind(kind, name)

    def move(self, kind: ObjectKind, name: str, dialog: Dialog) -> None:
        """Bind an object to a dialog, and unbind it from any other one."""
        if self._entries[kind].get(name) is not dialog:
            self.unbind(kind, name)
            self.bind(kind, name, dialog)

    def bind_offered(self, dialog: Dialog) -> None:
        """Bind the channel that Asterisk offers to a dialog's application."""
        self.bind("offered", f"{dialog.application} {dialog.channel_id}", dialog)

    def bind_former(self, dialog: Dialog, channel: str) -> None:
        """Bind a channel to the dialog that it had in the application that it has left."""
        self.bind("former", f"{dialog.application} {channel}", dialog)
