"""Partial decoding of ARI events: just the ids that routing needs, for every event type.

Asterisk's `rest-api/api-docs/events.json` describes the events. The fields below are all those that
hold the id of a channel, bridge, playback or recording in any event type; a test compares them with
a table made from that description. Other fields and unknown types pass undecoded.
"""

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

from .errors import MalformedEventError
from .lenient import LenientDecoder


class ChannelRef(msgspec.Struct, frozen=True, gc=False):
    """A channel in an event."""

    id: str = ""


class BridgeRef(msgspec.Struct, frozen=True, gc=False):
    """A bridge in an event, with the ids of its channels."""

    id: str = ""
    channels: tuple[str, ...] = ()


class PlaybackRef(msgspec.Struct, frozen=True, gc=False):
    """A playback and its target, like `channel:1.2` or `bridge:x`."""

    id: str = ""
    target_uri: str = ""


class RecordingRef(msgspec.Struct, frozen=True, gc=False):
    """A live recording and its target."""

    name: str = ""
    target_uri: str = ""


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """An endpoint with the ids of its channels."""

    channel_ids: tuple[str, ...] = ()


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """One side of a ChannelTransfer: ReferTo or ReferredBy."""

    source_channel: ChannelRef | None = None
    destination_channel: ChannelRef | None = None
    connected_channel: ChannelRef | None = None
    bridge: BridgeRef | None = None


class AriEvent(msgspec.Struct, frozen=True, gc=False):
    """The fields of one event that routing needs."""

    type: str
    application: str = ""
    channel: ChannelRef | None = None
    bridge: BridgeRef | None = None
    playback: PlaybackRef | None = None
    recording: RecordingRef | None = None
    replace_channel: ChannelRef | None = None
    # Dial
    peer: ChannelRef | None = None
    caller: ChannelRef | None = None
    forwarded: ChannelRef | None = None
    # BridgeMerged, BridgeVideoSourceChanged
    bridge_from: BridgeRef | None = None
    old_video_source_id: str = ""
    # BridgeBlindTransfer, BridgeAttendedTransfer
    transferee: ChannelRef | None = None
    transfer_target: ChannelRef | None = None
    transferer_first_leg: ChannelRef | None = None
    transferer_first_leg_bridge: BridgeRef | None = None
    transferer_second_leg: ChannelRef | None = None
    transferer_second_leg_bridge: BridgeRef | None = None
    destination_bridge: str = ""
    destination_link_first_leg: ChannelRef | None = None
    destination_link_second_leg: ChannelRef | None = None
    destination_threeway_channel: ChannelRef | None = None
    destination_threeway_bridge: BridgeRef | None = None
    # ChannelTransfer
    refer_to: Transfer | None = None
    referred_by: Transfer | None = None
    # EndpointStateChange, ContactStatusChange, PeerStatusChange, ChannelUserevent,
    # TextMessageReceived
    endpoint: Endpoint | None = None


#: These types name one channel and no other object; nearly all of the traffic is of these types.
SINGLE_CHANNEL_TYPES = frozenset(
    {
        "ChannelCallerId",
        "ChannelConnectedLine",
        "ChannelCreated",
        "ChannelDialplan",
        "ChannelDtmfReceived",
        "ChannelHangupRequest",
        "ChannelHold",
        "ChannelStateChange",
        "ChannelTalkingFinished",
        "ChannelTalkingStarted",
        "ChannelToneDetected",
        "ChannelUnhold",
        "ChannelVarset",
    }
)

_decoder = LenientDecoder(AriEvent)


def decode(frame: str) -> AriEvent:
    """Decode the fields that routing needs; a field of an unexpected type counts as absent.

    Raises:
        MalformedEventError: the frame is not a JSON object with a `type` that is a string.
    """
    try:
        return _decoder.decode(frame)
    except UNDECODABLE as error:
        raise MalformedEventError(str(error)) from error


def channel_ids(event: AriEvent) -> list[str]:
    """Return the ids of the channels that the event names, the most important first."""
    named = (
        event.channel,
        event.replace_channel,
        event.peer,
        event.caller,
        event.forwarded,
        event.transferer_first_leg,
        event.transferer_second_leg,
        event.transferee,
        event.transfer_target,
        event.destination_link_first_leg,
        event.destination_link_second_leg,
        event.destination_threeway_channel,
        *_channels_of_transfer(event.referred_by),
        *_channels_of_transfer(event.refer_to),
    )
    found = [channel.id for channel in named if channel is not None and channel.id]
    return [*found, event.old_video_source_id] if event.old_video_source_id else found


def _channels_of_transfer(transfer: Transfer | None) -> tuple[ChannelRef | None, ...]:
    if transfer is None:
        return ()
    return (transfer.source_channel, transfer.destination_channel, transfer.connected_channel)


def _bridges(event: AriEvent) -> list[BridgeRef]:
    bridges = (
        event.bridge,
        event.bridge_from,
        event.transferer_first_leg_bridge,
        event.transferer_second_leg_bridge,
        event.destination_threeway_bridge,
        event.referred_by.bridge if event.referred_by else None,
        event.refer_to.bridge if event.refer_to else None,
    )
    return [bridge for bridge in bridges if bridge is not None and bridge.id]


def bridge_ids(event: AriEvent) -> list[str]:
    """Return the ids of the bridges that the event names."""
    found = [bridge.id for bridge in _bridges(event)]
    return [*found, event.destination_bridge] if event.destination_bridge else found


def indirect_channel_ids(event: AriEvent) -> list[str]:
    """Return the ids of the channels in the event's bridges and at its endpoint."""
    found = [channel for bridge in _bridges(event) for channel in bridge.channels]
    return [*found, *event.endpoint.channel_ids] if event.endpoint else found


def target(event: AriEvent) -> str:
    """Return the target of the event's playback or recording, like `channel:1.2`, or ''."""
    if event.playback is not None:
        return event.playback.target_uri
    return event.recording.target_uri if event.recording is not None else ""
