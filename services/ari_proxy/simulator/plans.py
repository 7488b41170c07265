"""What an endpoint does when it is called."""

import math
from dataclasses import dataclass
from typing import Final

from ari_proxy.ari.causes import BUSY, NO_ROUTE

from .model import Parameters, number

#: Seconds to ring, if none are asked for.
RING_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlan:
    """What an endpoint does when it is called: it refuses, or rings, then answers or gives up."""

    #: Seconds of ringing; after 0 it answers without having rung.
    ring_seconds: float = 0.0
    #: Whether it answers then.
    answers: bool = True
    #: The cause with which it refuses; None if it does not.
    refusal: int | None = None
    #: Pressed after the answer.
    digits: str = ""


def plan_of_extension(extension: str) -> EndpointPlan:
    """Return what an extension of the simulator does: `busy`, `ring`, `dtmf-123`, or answer."""
    if extension == "busy":
        return EndpointPlan(refusal=BUSY)
    if extension == "ring":
        return EndpointPlan(ring_seconds=math.inf, answers=False)
    kind, _, digits = extension.partition("-")
    return EndpointPlan(digits=digits if kind == "dtmf" else "")


def plan_of_media(endpoint: str) -> EndpointPlan:
    """Return what the other end of external media does: `away`, and TCP port 1, are not there."""
    technology, _, peer = endpoint.partition("/")
    is_away = technology != "UnicastRTP" and (peer == "away" or peer.endswith(":1"))
    return EndpointPlan(refusal=NO_ROUTE if is_away else None)


def ring_seconds(asked: Parameters) -> float:
    """Return the seconds to ring that a request asks for."""
    return number(asked.get("timeout", "")) or RING_SECONDS
