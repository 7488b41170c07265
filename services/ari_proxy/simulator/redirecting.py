"""Redirecting a channel of the simulated Asterisk: its phone calls somebody else.

Texts, and what becomes of the channel, are those of a running Asterisk 22.
"""

from typing import Final

from ari_proxy.ari import causes

from .exchange import Exchange
from .model import SimulatedChannel, SimulatedRefusalError

_MOVED_TEMPORARILY: Final = 302


async def redirect(exchange: Exchange, name: str, endpoint: str) -> None:
    """Have the phone of a channel call an endpoint, and hang up; a Local channel has none.

    Raises:
        SimulatedRefusalError: Asterisk can't redirect it there.
    """
    channel = exchange.channel(name)
    _check(channel, endpoint)
    if channel.technology == "Local":
        return
    if channel.state == "Up":  # SIP's REFER
        await exchange.hang_up_at_peer(name)
    else:
        await exchange.hang_up_at_peer(name, causes.REDIRECTED, tech_cause=_MOVED_TEMPORARILY)


def _check(channel: SimulatedChannel, endpoint: str) -> None:
    technology, slash, resource = endpoint.partition("/")
    text = ""
    if not slash:
        text = f"Endpoint parameter '{endpoint}' does not contain tech/resource"
    elif not resource:
        text = f"No resource provided in endpoint parameter '{endpoint}'"
    elif technology.upper() != channel.technology.upper():
        text = (
            f"Endpoint technology '{technology}' does not match "
            f"channel technology '{channel.technology}'"
        )
    if text:
        raise SimulatedRefusalError(422, text)
