"""Asterisk's state: its answers to GET /channels, /bridges and /asterisk/info. Sans-I/O.

Channel (api-docs/channels.json): while the channel is in an application, `dialplan.app_name` is
`Stasis` and `app_data` begins with the application's name; a leg that still rings has `AppDial2`.
A channel of StasisBroadcast does not show who has claimed it, but that application is subscribed to
it (api-docs/applications.json).
`channelvars` holds the variables that were set with `report_events` (22.10) or are listed in
ari.conf's `channelvars`.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

from . import broadcasts
from .lenient import LenientDecoder

#: The channel variable with the dialog id of a channel that ari-proxy has not named.
DIALOG_VARIABLE: Final = "ARI_PROXY_DIALOG"
_LEFT_MARK: Final = b'"type":"StasisEnd"'


class _Dialplan(msgspec.Struct, frozen=True):
    app_name: str = ""
    app_data: str = ""


class _Variables(msgspec.Struct, frozen=True):
    dialog_id: str = msgspec.field(default="", name=DIALOG_VARIABLE)


class _Channel(msgspec.Struct, frozen=True):
    id: str
    state: str = ""
    creationtime: str = ""
    dialplan: _Dialplan = _Dialplan()
    channelvars: _Variables = _Variables()


class _ListedApplication(msgspec.Struct, frozen=True):
    name: str
    channel_ids: tuple[str, ...] = ()


class _Bridge(msgspec.Struct, frozen=True):
    id: str
    channels: tuple[str, ...] = ()


class _Status(msgspec.Struct, frozen=True):
    startup_time: str = ""


class _System(msgspec.Struct, frozen=True):
    version: str = ""


class Information(msgspec.Struct, frozen=True):
    """Asterisk's version and start time."""

    status: _Status = _Status()
    system: _System = _System()


class _Variable(msgspec.Struct, frozen=True):
    value: str = ""


class ChannelState(NamedTuple):
    """The state of one channel."""

    #: The application that the channel is in, or ''.
    application: str
    #: The application's arguments from the dialplan.
    arguments: tuple[str, ...]
    is_up: bool
    #: When it began, as Asterisk writes it; these texts sort.
    created_at: str
    #: The value of its variable, or ''.
    dialog_id: str
    #: Its JSON as Asterisk wrote it.
    description: str
    #: Whether StasisBroadcast offers it, or has given it to an application.
    is_broadcast: bool = False


class _Left(msgspec.Struct, frozen=True):
    """A StasisEnd."""

    application: str
    channel: msgspec.Raw


class Snapshot(NamedTuple):
    """Asterisk's channels and bridges at one time."""

    channels: dict[str, ChannelState]
    #: Bridges with their channels.
    bridges: dict[str, tuple[str, ...]]
    #: When Asterisk was started, as it writes it.
    started_at: str = ""
    version: str = ""

    def with_dialogs(self, dialogs: Mapping[str, str]) -> "Snapshot":
        """Return a copy with dialog ids that were read from the channels' variables.

        Args:
            dialogs: dialog ids by channel id.
        """
        channels = {
            name: state._replace(dialog_id=dialogs.get(name, state.dialog_id))
            for name, state in self.channels.items()
        }
        return self._replace(channels=channels)

    def with_channels(self, channels: Mapping[str, "ChannelState"]) -> "Snapshot":
        """Return a copy in which these channels are as given."""
        return self._replace(channels={**self.channels, **channels})


T = TypeVar("T")
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_channel_decoder = LenientDecoder(_Channel)
_application_decoder = LenientDecoder(_ListedApplication)
_bridge_decoder = LenientDecoder(_Bridge)
_left_decoder = msgspec.json.Decoder(_Left)
_information_decoder = LenientDecoder(Information)
_variable_decoder = LenientDecoder(_Variable)


def channels(text: str) -> dict[str, ChannelState]:
    """Return the channels in an answer to GET /channels; entries without an id are skipped.

    Raises:
        UNDECODABLE: the answer is not a list.
    """
    found = _listed(text, _channel_decoder)
    return {channel.id: _state(channel, bytes(raw).decode()) for channel, raw in found}


def channel(text: str) -> ChannelState:
    """Return the channel in an answer to GET /channels/{channelId}.

    Raises:
        UNDECODABLE: the answer is none.
    """
    return _state(_channel_decoder.decode(text), text)


def before_leaving(frame: bytes) -> tuple[str, ChannelState] | None:
    """Return the id of a channel, and its state before it left an application.

    Args:
        frame: an event.

    Returns:
        None for another event than StasisEnd.
    """
    if _LEFT_MARK not in frame:
        return None
    try:
        event = _left_decoder.decode(frame)
        channel = _channel_decoder.decode(event.channel)
    except UNDECODABLE:
        return None
    state = _state(channel, bytes(event.channel).decode())
    return channel.id, state._replace(application=event.application, arguments=())


def _listed(text: str, decoder: LenientDecoder[T]) -> Iterator[tuple[T, msgspec.Raw]]:
    for raw in _list_decoder.decode(text):
        try:
            listed = decoder.decode(raw)
        except msgspec.ValidationError:
            continue
        yield listed, raw


def _state(channel: _Channel, description: str) -> ChannelState:
    in_stasis = channel.dialplan.app_name == "Stasis"
    is_broadcast = channel.dialplan.app_name == broadcasts.NAME
    application, *arguments = channel.dialplan.app_data.split(",") if in_stasis else [""]
    if is_broadcast:
        arguments = list(broadcasts.arguments(channel.dialplan.app_data))
    return ChannelState(
        application=application,
        arguments=tuple(arguments),
        is_up=channel.state == "Up",
        created_at=channel.creationtime,
        dialog_id=channel.channelvars.dialog_id,
        description=description,
        is_broadcast=is_broadcast,
    )


def claimed(
    states: Mapping[str, ChannelState], text: str, applications: Collection[str]
) -> dict[str, ChannelState]:
    """Return channels with the applications that have claimed them.

    Args:
        states: as `channels` returns them.
        text: the answer to GET /applications.
        applications: those that matter.

    Raises:
        UNDECODABLE: the answer is not a list.
    """
    listed = [found for found, _ in _listed(text, _application_decoder)]
    owners = {n: a.name for a in listed if a.name in applications for n in a.channel_ids}
    return {
        name: state._replace(application=owners.get(name, "")) if state.is_broadcast else state
        for name, state in states.items()
    }


def bridges(text: str) -> dict[str, tuple[str, ...]]:
    """Return the bridges in an answer to GET /bridges; entries without an id are skipped.

    Raises:
        UNDECODABLE: the answer is not a list.
    """
    return {bridge.id: bridge.channels for bridge, _ in _listed(text, _bridge_decoder)}


def information(text: str) -> Information:
    """Return the content of an answer to GET /asterisk/info.

    Raises:
        UNDECODABLE: the answer is not a JSON object.
    """
    return _information_decoder.decode(text)


def variable(text: str) -> str:
    """Return the value in an answer to GET /channels/{channelId}/variable.

    Raises:
        UNDECODABLE: the answer is not a JSON object.
    """
    return _variable_decoder.decode(text).value
