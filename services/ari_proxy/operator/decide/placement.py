"""Which slot serves which server, where servers share pods. Sans-I/O.

A move restarts a server's ingest and that of all others in its slot, so none moves without need: a
new server takes the first room, a removed one leaves its room to the next new one.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence


def placed(
    servers: Sequence[str],
    former: Mapping[str, int],
    size: int,
    occupied: Collection[int] = (),
) -> dict[str, int]:
    """Return the slot of each server.

    Args:
        servers: names of those to serve.
        former: their slots until now; a new one has none.
        size: the largest number of servers of a slot.
        occupied: the slot of each server that still drains there, which can't move.
    """
    taken = Counter(occupied)
    found: dict[str, int] = {}
    for server in servers:
        slot = former.get(server)
        if slot is not None and taken[slot] < size:
            found[server] = slot
            taken[slot] += 1
    for server in servers:
        if server not in found:
            found[server] = slot = _first_with_room(taken, size)
            taken[slot] += 1
    return found


def _first_with_room(taken: Mapping[int, int], size: int) -> int:
    # One of as many slots as are taken, and one more, has room.
    return next(slot for slot in range(len(taken) + 1) if taken.get(slot, 0) < size)
