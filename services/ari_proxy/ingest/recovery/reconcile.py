"""Compares the dialogs with what Asterisk has: which are kept, adopted, ended. Sans-I/O.

Events that Asterisk sends while no ingest is connected are lost, and a new process knows nothing.
So after every connect the channels show what must have happened:

1. A channel that a dialog has is gone if Asterisk does not have it, or if it had entered Stasis and
   is in none of our applications any more. A dialog without channels has ended.
2. A channel identifies its dialog by an id that ari-proxy gave it, by a name that a client has
   registered, or by its variable ARI_PROXY_DIALOG. It keeps the dialog alive while it is in one of
   our applications, or, with the dialog in its id, while it is not answered yet. The variable stays
   on a channel that has left: then it says nothing.
3. A bridge that a client has named belongs to the dialog of its channels, if they have only one.
4. A channel in one of our applications that identifies no dialog is unserved: it entered while no
   ingest was connected, so a dialog has to begin.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ari_proxy.ari.snapshot import ChannelState, Snapshot
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.protocol import ids
from ari_proxy.protocol.errors import IllegalSubjectTokenError
from ari_proxy.protocol.ids import DialogId, ServerId


@dataclass(slots=True, kw_only=True)
class Adoption:
    """The objects found of a dialog that is not known, or not as a whole."""

    dialog_id: DialogId
    #: That of its oldest channel in Stasis, or ''.
    application: str = ""
    #: The oldest channel in Stasis, or ''.
    channel_id: str = ""
    #: Channels that keep it alive, and whether each is in Stasis.
    channels: dict[str, bool] = field(default_factory=dict)
    bridges: list[str] = field(default_factory=list)

    def add(self, name: str, application: str) -> None:
        """Add a channel, the oldest first.

        Args:
            name: its id.
            application: the one of ours that it is in, or '' if it is not in Stasis.
        """
        self.channels[name] = bool(application)
        if application and not self.application:
            self.application, self.channel_id = application, name


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlan:
    """The changes that bring the dialogs up to date."""

    #: Open before and after.
    kept: list[Dialog]
    ended: list[Dialog]
    #: Channels that dialogs have lost.
    gone: dict[Dialog, list[str]]
    adopted: list[Adoption]
    unserved: list[str]


class Reconciliation:
    """The dialogs and one snapshot of Asterisk."""

    def __init__(
        self,
        server: ServerId,
        dialogs: Mapping[str, Dialog],
        bound: Mapping[str, Dialog],
        snapshot: Snapshot,
        applications: Collection[str],
    ) -> None:
        """Compare dialogs with a snapshot.

        Args:
            server: of the dialogs.
            dialogs: all that are known, by id.
            bound: the dialogs of channels, by channel id.
            snapshot: of Asterisk.
            applications: those of this ingest.
        """
        self._server = server
        self._dialogs = dialogs
        self._bound = bound
        self._snapshot = snapshot
        self._applications = applications

    def plan(
        self, known: Mapping[Dialog, Collection[str]], *, was_restarted: bool = False
    ) -> RecoveryPlan:
        """Return the changes that follow.

        Args:
            known: the open dialogs, with the channels that each had when the connection began.
            was_restarted: whether it is another Asterisk process: what it has is of no dialog of
                the old one, even under the same id.
        """
        counted = {name for names in known.values() for name in names}
        found, unserved = self._found(counted)
        gone: dict[Dialog, list[str]] = {}
        for dialog, names in known.items():
            gone[dialog] = [
                name for name in names if was_restarted or not self._is_there(dialog, name)
            ]
        ended = [
            dialog
            for dialog, names in known.items()
            if names and len(gone[dialog]) == len(names) and dialog.dialog_id not in found
        ]
        over = set(ended)
        return RecoveryPlan(
            kept=[dialog for dialog in known if dialog not in over],
            ended=ended,
            gone={dialog: names for dialog, names in gone.items() if names},
            adopted=list(found.values()),
            unserved=unserved,
        )

    def unidentified(self) -> list[str]:
        """Return the channels whose variable has to be asked for: nothing else names the dialog."""
        return [
            name
            for name, state in self._snapshot.channels.items()
            if state.application in self._applications
            and not state.dialog_id
            and self._named_by(name) is None
        ]

    def _is_there(self, dialog: Dialog, name: str) -> bool:
        state = self._snapshot.channels.get(name)
        if state is None:
            return False
        return not dialog.channels.get(name) or state.application in self._applications

    def _found(self, counted: Collection[str]) -> tuple[dict[DialogId, Adoption], list[str]]:
        """Group unclaimed channels by the dialog in them; also return those without one."""
        found: dict[DialogId, Adoption] = {}
        unserved = []
        channels = self._snapshot.channels.items()
        for name, state in sorted(channels, key=lambda item: item[1].created_at):
            in_stasis = state.application in self._applications
            if name in counted or not self._matters(name, state, in_stasis=in_stasis):
                continue
            dialog_id = self._dialog_of(name, state)
            if dialog_id is None:
                unserved.append(name)
                continue
            adoption = found.setdefault(dialog_id, Adoption(dialog_id=dialog_id))
            adoption.add(name, state.application if in_stasis else "")
        self._add_bridges(found)
        return found, unserved

    def _matters(self, name: str, state: ChannelState, *, in_stasis: bool) -> bool:
        """Return whether a channel keeps a dialog alive, whichever it is."""
        return in_stasis or (
            not state.application and not state.is_up and self._named_by(name) is not None
        )

    def _dialog_of(self, name: str, state: ChannelState) -> DialogId | None:
        """Return the dialog that a channel identifies, unless the channel has left it."""
        dialog_id = self._named_by(name) or self._of_variable(state)
        dialog = self._dialogs.get(dialog_id or "")
        return dialog_id if dialog is None or dialog.may_have(name) else None

    def _named_by(self, name: str) -> DialogId | None:
        """Return the dialog in a channel's id, or the one that a client has registered it for."""
        token = ids.token_of_object(name)
        if token is not None:
            return ids.dialog_of_token(self._server, token)
        dialog = self._bound.get(name)
        return dialog.dialog_id if dialog is not None else None

    def _of_variable(self, state: ChannelState) -> DialogId | None:
        try:
            return ids.dialog_id(self._server, state.dialog_id) if state.dialog_id else None
        except IllegalSubjectTokenError:
            return None  # Of another server, or set by hand.

    def _add_bridges(self, found: Mapping[DialogId, Adoption]) -> None:
        of_channel = {name: adoption for adoption in found.values() for name in adoption.channels}
        for bridge, members in self._snapshot.bridges.items():
            owners = {a.dialog_id: a for a in map(of_channel.get, members) if a is not None}
            if len(owners) == 1 and ids.token_of_object(bridge) is None:
                next(iter(owners.values())).bridges.append(bridge)
