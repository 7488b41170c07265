"""Channels that snoop, as Asterisk 22 makes them of a request, or refuses it. Sans-I/O."""

from collections.abc import Mapping
from typing import Final

from .arguments import separated
from .model import Parameters, SimulatedChannel, SimulatedRefusalError, new_id

_DIRECTIONS: Final = frozenset({"none", "in", "out", "both"})
_NONE: Final = "none"


def snoop(
    target: str, name: str, asked: Parameters, channels: Mapping[str, SimulatedChannel]
) -> SimulatedChannel:
    """Return the channel that a request makes.

    Args:
        target: whom it is to hear.
        name: of the new channel; '' if the request has it as a parameter, or not at all.
        asked: the request's parameters, which are looked at in this order.
        channels: all that there are.

    Raises:
        SimulatedRefusalError: Asterisk refuses it.
    """
    _refuse_wrong_directions(asked)
    if not asked.get("app"):
        raise SimulatedRefusalError(400, "Application name is required")
    if target not in channels:
        raise SimulatedRefusalError(404, "Provided channel was not found")
    name = name or asked.get("snoopId") or new_id()
    if name in channels:
        raise SimulatedRefusalError(500, "Snoop channel could not be created")
    channel = SimulatedChannel(
        id=name,
        app=asked["app"],
        arguments=separated(asked.get("appArgs", "")),
        technology="Snoop",
        dialstring="s",
        snooped=target,
    )
    channel.answer()
    return channel


def _refuse_wrong_directions(asked: Parameters) -> None:
    given = {kind: asked.get(kind) or _NONE for kind in ("spy", "whisper")}
    for kind, direction in given.items():
        if direction not in _DIRECTIONS:
            raise SimulatedRefusalError(400, f"Invalid direction specified for {kind}")
    if set(given.values()) == {_NONE}:
        text = "Direction must be specified for at least spy or whisper"
        raise SimulatedRefusalError(400, text)
