"""Channels of external media, as Asterisk 22 makes them of a request, or refuses it. Sans-I/O.

Nothing is sent: the other end is there, unless its plan says otherwise.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid4

from .model import Parameters, SimulatedChannel, SimulatedRefusalError, new_id

#: By encapsulation and transport: the technology of the channel.
_TECHNOLOGIES: Final = {
    ("rtp", "udp"): "UnicastRTP",
    ("audiosocket", "tcp"): "AudioSocket",
    ("none", "websocket"): "WebSocket",
}
#: By the name of a format: the bytes of 20 ms.
_FRAMES: Final = {
    "slin": 320,
    "slin12": 480,
    "slin16": 640,
    "slin24": 960,
    "slin32": 1280,
    "slin44": 1764,
    "slin48": 1920,
    "ulaw": 160,
    "alaw": 160,
    "gsm": 33,
}
_INCOMING: Final = "INCOMING"
_CLIENT, _SERVER = "client", "server"
#: Asterisk's answer when it has none: for one, the other end of an AudioSocket is away.
INTERNAL_ERROR: Final = "An internal error prevented this request from being handled"
_UNSUPPORTED: Final = "The encapsulation and/or transport is not supported"


def external_media(asked: Parameters, variables: Mapping[str, str]) -> SimulatedChannel:
    """Return the channel that a request makes.

    Raises:
        SimulatedRefusalError: Asterisk refuses it.
    """
    _refuse_wrong(asked)
    encapsulation, transport = _way(asked)
    technology = _TECHNOLOGIES.get((encapsulation, transport))
    if technology is None:
        raise SimulatedRefusalError(501, _UNSUPPORTED)
    if technology == "AudioSocket":
        _refuse_wrong_uuid(asked.get("data", ""))
    if asked["format"] not in _FRAMES:
        raise SimulatedRefusalError(500, INTERNAL_ERROR)
    peer = asked.get("external_host") or _INCOMING
    arguments = asked.get("data", "")
    channel = SimulatedChannel(
        id=asked.get("channelId") or new_id(),
        app=asked["app"],
        arguments=tuple(arguments.split(",")) if arguments else (),
        technology=technology,
        dialstring=_dialstring(technology, peer, asked),
        peer=peer,
    )
    channel.variables.update(variables)
    channel.variables.update(_told(channel, asked["format"]))
    return channel


def _way(asked: Parameters) -> tuple[str, str]:
    return asked.get("encapsulation") or "rtp", asked.get("transport") or "udp"


def _refuse_wrong(asked: Parameters) -> None:
    """Return if its parameters fit each other; they are looked at in this order."""
    if not asked.get("app"):
        raise SimulatedRefusalError(400, "app cannot be empty")
    _refuse_wrong_way(*_way(asked))
    _refuse_wrong_host(asked)
    if not asked.get("format"):
        raise SimulatedRefusalError(400, "format cannot be empty")


def _refuse_wrong_way(encapsulation: str, transport: str) -> None:
    if transport == "websocket" and encapsulation != "none":
        text = "encapsulation must be 'none' for websocket transport"
        raise SimulatedRefusalError(400, text)
    for kind, carrier in (("audiosocket", "tcp"), ("rtp", "udp")):
        if encapsulation == kind and transport != carrier:
            text = f"transport must be '{carrier}' for {kind} encapsulation"
            raise SimulatedRefusalError(400, text)


def _refuse_wrong_host(asked: Parameters) -> None:
    host, (_, transport) = asked.get("external_host", ""), _way(asked)
    connection_type = asked.get("connection_type") or _CLIENT
    if connection_type == _SERVER and transport != "websocket":
        text = "'server' connection_type can only be used with the websocket transport"
        raise SimulatedRefusalError(400, text)
    if not host and connection_type == _CLIENT:
        text = "external_host is required for all but websocket server connections"
        raise SimulatedRefusalError(400, text)
    if transport != "websocket" and ":" not in host:
        text = "external_host must be <host>:<port> for all transports other than websocket"
        raise SimulatedRefusalError(400, text)
    if host == _INCOMING and connection_type != _SERVER:
        text = "external_host must be a valid websocket_client connection id."
        raise SimulatedRefusalError(400, text)


def _refuse_wrong_uuid(text: str) -> None:
    if not text:
        raise SimulatedRefusalError(400, "data can not be empty")
    try:
        UUID(text)
    except ValueError:
        raise SimulatedRefusalError(500, INTERNAL_ERROR) from None


def _dialstring(technology: str, peer: str, asked: Parameters) -> str:
    """Return what is dialled, as the event Dial has it."""
    match technology:
        case "UnicastRTP":
            return f"{peer}/c({asked['format']})"
        case "AudioSocket":
            return f"{peer}/{asked['data']}"
    options = asked.get("transport_data", "")
    return f"{peer}/{options}" if options else peer


def _told(channel: SimulatedChannel, format_name: str) -> dict[str, str]:
    """Return the variables in which Asterisk tells where the media are."""
    match channel.technology:
        case "UnicastRTP":
            port = 10_000 + 2 * (channel.serial % 10_000)
            return {"UNICASTRTP_LOCAL_PORT": f"{port}", "UNICASTRTP_LOCAL_ADDRESS": "127.0.0.1"}
        case "WebSocket":
            return {
                "MEDIA_WEBSOCKET_CONNECTION_ID": (
                    f"{uuid4()}" if channel.peer == _INCOMING else channel.peer
                ),
                "MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE": f"{_FRAMES[format_name]}",
            }
    return {}
