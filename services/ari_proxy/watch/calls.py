"""`ari-proxy calls`: calls that are open or over, as the recorders have kept them."""

import time
from collections.abc import Callable, Iterable, Sequence

from ari_proxy.bus.base import opened
from ari_proxy.connections import factories
from ari_proxy.settings.load import Settings
from ari_proxy.tap.facts import CallFacts
from ari_proxy.tap.recorded_calls import calls_of_servers

from .call_filter import CallFilter


async def show_calls(
    settings: Settings,
    servers: Sequence[str],
    wanted: CallFilter,
    limit: int,
    show: Callable[[CallFacts], None],
) -> None:
    """Show the newest calls that match, in the order in which they began.

    Args:
        settings: of the bus.
        servers: whose calls.
        wanted: which of them.
        limit: how many at most.
        show: called with each.

    Raises:
        NobodyServesError: no process of any of the servers is on the bus.
        BusError: the bus does not answer; in an ExceptionGroup.
    """
    async with opened(factories.bus(settings, "calls")) as bus:
        found = await calls_of_servers(bus, servers)
    for facts in newest(found, wanted, limit, now=time.time()):
        show(facts)


def newest(
    found: Iterable[CallFacts], wanted: CallFilter, limit: int, *, now: float
) -> list[CallFacts]:
    """Return the newest calls that match, in the order in which they began; `now` is Unix time."""
    matching = [facts for facts in found if wanted.passes(facts, now)]
    return sorted(matching, key=lambda facts: facts.started_at)[-limit:]
