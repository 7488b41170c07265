"""The router: which dialogs an event belongs to. Sans-I/O, without a clock.

Rules (for the reasons see docs/reference/wire.md):

1. StasisStart of a channel that no dialog has starts one. A channel that a dialog has is its own.
2. `replace_channel` hands the dialog of the old channel to the new one (SIP REFER).
3. The id of an object that ari-proxy has named contains the dialog; an object that a client names
   is registered before the request is sent. So events may come before or after the response.
4. An event goes to every dialog that has one of the objects it is about; one of playbacks and
   recordings to the playback's dialog, else to that of the target; one of a bridge without a dialog
   to the dialogs of its channels.
5. StasisEnd or ChannelDestroyed, whichever comes, releases a channel. A dialog ends with its last
   channel and still gets late events for a grace period. A channel that comes back after its
   release starts a new dialog.
6. A CallBroadcast offers a channel to all applications (StasisBroadcast, Asterisk 22.10). With
   `ingest.claim` it begins a dialog of its own, which the channel joins if its StasisStart comes.
   The event may overtake the StasisEnd of the channel's former stay.
7. The peer half of a Local channel (`<id>;2`) shares the dialog, unless it enters Stasis from the
   dialplan: that is a call of its own.
"""

from collections.abc import Iterable
from typing import Final

from ari_proxy.ari import events
from ari_proxy.ari.events import SINGLE_CHANNEL_TYPES, AriEvent
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogForm, DialogId, RandomId, ServerId

from .dialog import Dialog
from .dialog_table import DialogTable

_LEG_TYPES: Final = frozenset({"StasisStart", "Dial", "ChannelCreated"})
_BROADCAST_TYPES: Final = frozenset({"CallBroadcast", "CallClaimed"})
_RELEASING_TYPES: Final = frozenset({"StasisEnd", "ChannelDestroyed"})


class Router:
    """Finds the dialogs of one server's events, and begins and ends them as the events say."""

    def __init__(
        self,
        server: ServerId,
        dialogs: DialogTable,
        *,
        dialog_form: DialogForm = "token",
        claims: bool = False,
        random: RandomId = ids.random_id,
    ) -> None:
        self._server = server
        self._dialogs = dialogs
        self._dialog_form = dialog_form
        self._claims = claims
        self._random = random
        self._objects = dialogs.objects
        self._channels = dialogs.objects.channels
        self._former = dialogs.objects.former
        self._offered = dialogs.objects.offered

    def route(self, event: AriEvent, now: float) -> tuple[Dialog, ...]:
        """Return the dialogs that get the event, at most each once.

        Args:
            event: the next event of the websocket.
            now: monotonic seconds.
        """
        channel = event.channel
        if channel is not None and event.type in SINGLE_CHANNEL_TYPES:
            dialog = self._channels.get(channel.id) or self._objects.of_channel(channel.id)
            if dialog is None:
                return ()
            if event.application != dialog.application and self._former:
                dialog = self._former.get(f"{event.application} {channel.id}", dialog)
            return (dialog,)
        offered = self._offered_by(event, now) if self._claims else None
        return (offered,) if offered is not None else self._route_other(event, now)

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
            self._objects.unbind("playback", event.playback.id)
        elif event.type == "BridgeDestroyed" and event.bridge is not None:
            self._objects.unbind("bridge", event.bridge.id)
        return dialogs

    # Which dialogs an event concerns

    def _concerned(self, event: AriEvent) -> tuple[Dialog, ...]:
        if event.playback is not None or event.recording is not None:
            dialog = self._of_media(event)
            return (dialog,) if dialog is not None else ()
        found = [self._former_or_channel(event, name) for name in events.channel_ids(event)]
        found += [self._bridge(name) for name in events.bridge_ids(event)]
        return _distinct(found) or _distinct(
            self._objects.of_channel(name) for name in events.indirect_channel_ids(event)
        )

    def _former_or_channel(self, event: AriEvent, name: str) -> Dialog | None:
        dialog = self._objects.of_channel(name)
        if dialog is not None and event.application != dialog.application and self._former:
            return self._former.get(f"{event.application} {name}", dialog)
        return dialog

    def _of_media(self, event: AriEvent) -> Dialog | None:
        if event.playback is not None:
            dialog = self._objects.of_object("playback", event.playback.id)
            if dialog is not None:
                return dialog
        kind, _, name = events.target(event).partition(":")
        return self._bridge(name) if kind == "bridge" else self._objects.of_channel(name)

    def _bridge(self, name: str) -> Dialog | None:
        return self._objects.of_object("bridge", name)

    # How dialogs begin and end

    def _offered_by(self, event: AriEvent, now: float) -> Dialog | None:
        """Return the dialog of a channel that is offered to an application, or was until now."""
        if event.channel is None or event.type not in _BROADCAST_TYPES:
            return None
        name = event.channel.id
        present = self._offer_of(event, name)
        if event.type == "CallClaimed":
            return present
        dialog = self._objects.of_object("channel", name)
        is_leg = dialog is not None and dialog.may_have(name) and not dialog.channels.get(name)
        if is_leg or not name:
            return None  # A dialog has asked for the channel, and gets it in any case.
        if present is not None:
            self._dialogs.end(present, now, "offer_over")
        return self._dialogs.offer(self._new_id(), event.application, name, now=now)

    def _offer_of(self, event: AriEvent, name: str) -> Dialog | None:
        """Return the dialog that begins if the event's application gets a channel, or None."""
        dialog = self._offered.get(f"{event.application} {name}") if self._offered else None
        return dialog if dialog is not None and dialog.is_offered else None

    def _enter(self, event: AriEvent, name: str, now: float) -> None:
        """A channel enters Stasis: a dialog has it, or it replaces one, or it begins a dialog."""
        dialog = self._objects.of_object("channel", name)
        offered = self._offer_of(event, name)
        if offered is None and dialog is not None and not dialog.has_released(name):
            self._dialogs.revive(dialog, now)
            self._dialogs.count(dialog, name, entered=True)
            dialog.enter(event.application)
            return
        if offered is None and event.replace_channel is not None:
            replaced = self._objects.of_channel(event.replace_channel.id)
            if replaced is not None:
                self._objects.bind("channel", name, replaced)
                self._dialogs.count(replaced, name, entered=True)
                return
        if dialog is not None and dialog.application != event.application:
            self._objects.bind_former(dialog, name)
        if offered is not None:
            self._dialogs.adopt(offered, {name: True})
        else:
            self.begin(event.application, name, now)

    def begin(self, application: str, name: str, now: float) -> Dialog:
        """Begin a new dialog with a channel that has entered an application."""
        dialog = self._dialogs.open(self._new_id(), application, name, announce=True, now=now)
        self._dialogs.adopt(dialog, {name: True})
        return dialog

    def _new_id(self) -> DialogId:
        return ids.new_dialog_id(self._server, self._random, form=self._dialog_form)

    def _count_legs(self, event: AriEvent) -> None:
        """A channel that is dialled or created keeps its dialog alive, before it enters Stasis."""
        for channel in (event.peer, event.channel):
            dialog = self._objects.of_object("channel", channel.id) if channel is not None else None
            if channel is not None and dialog is not None:
                self._dialogs.count(dialog, channel.id, entered=False)

    def _leave(self, event: AriEvent, name: str, dialogs: Iterable[Dialog], now: float) -> None:
        """A channel leaves Stasis or is destroyed."""
        for dialog in dialogs:
            if event.type == "ChannelDestroyed":
                self._dialogs.destroyed(dialog, name, now)
            else:
                self._dialogs.release(dialog, name, now)


def _distinct(dialogs: Iterable[Dialog | None]) -> tuple[Dialog, ...]:
    return tuple(dict.fromkeys(dialog for dialog in dialogs if dialog is not None))
