"""Which channels an event is about. Sans-I/O."""

from collections.abc import Iterator
from typing import TypeGuard

from .ari.events import (
    ChannelTransfer,
    PlaybackContinuing,
    PlaybackFinished,
    PlaybackStarted,
    RecordingFailed,
    RecordingFinished,
    RecordingStarted,
    StasisStart,
)
from .ari.model import Event, Model
from .ari.models import Channel
from .events import ProxyDialogEnded, ProxyGap


def channels_in(event: Event) -> Iterator[Channel]:
    """Yield the channels whose state an event tells."""
    for part in _parts(event):
        for name in part.__struct_fields__:
            value = getattr(part, name)
            if isinstance(value, Channel):
                yield value


def _parts(event: Event) -> tuple[Model, ...]:
    if isinstance(event, ChannelTransfer):
        return event.refer_to, event.referred_by
    return (event,)


def replaces(event: Event, channel_id: str) -> TypeGuard[StasisStart]:
    """Return whether an event has its channel take the place of another one.

    So Asterisk joins two calls of an application, when the phone that is in both transfers one to
    the other: for its channel in each there is one half of a Local channel then.
    """
    if not isinstance(event, StasisStart) or event.replace_channel is None:
        return False
    return event.replace_channel.id == channel_id


def concerns(event: Event, channel_id: str) -> bool:
    """Return whether an event is about a channel; ari-proxy's own are about all of a call."""
    match event:
        case ProxyGap() | ProxyDialogEnded():
            return True
        case PlaybackStarted() | PlaybackContinuing() | PlaybackFinished():
            return event.playback.target_uri == f"channel:{channel_id}"
        case RecordingStarted() | RecordingFinished() | RecordingFailed():
            return event.recording.target_uri == f"channel:{channel_id}"
    if event.channel_id == channel_id:
        return True
    return any(channel.id == channel_id for channel in channels_in(event))
