"""`ari-proxy calls`: calls that are open or over, as the recorders have kept them."""

import time
from collections.abc import Callable, Sequence

from ari_proxy.bus.base import opened
from ari_proxy.connections import factories
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.facts import CallFacts
from ari_proxy.tap.recorded_calls import RecordedCalls
from ari_proxy.tap.watcher import NobodyServesError

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
        BusError: the bus does not answer.
    """
    found: list[CallFacts] = []
    absent: list[NobodyServesError] = []
    async with opened(factories.bus(settings, "calls")) as bus:
        for server in dict.fromkeys(servers):
            try:
                found += await RecordedCalls(bus, ServerId(server)).calls()
            except NobodyServesError as error:
                absent.append(error)
    if absent and len(absent) == len(set(servers)):
        raise absent[0]
    now = time.time()
    matching = [facts for facts in found if wanted.passes(facts, now)]
    for facts in sorted(matching, key=lambda facts: facts.started_at)[-limit:]:
        show(facts)
