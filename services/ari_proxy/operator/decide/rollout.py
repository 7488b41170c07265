"""Which servers get a new pod template now: some at a time, none after a failure. Sans-I/O.

The former pods serve until the new ones are ready. So a template that does not work costs no call,
as long as it is in one server: the next one begins when the former has become ready.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import ceil
from typing import NamedTuple

from ari_proxy.operator.names import COMPONENTS, Component


class Phase(Enum):
    """What a server's pods are, compared with the desired template; the worst one last."""

    #: They have it, or their server was not served before: nothing depends on them.
    CURRENT = auto()
    #: They have a former one.
    WAITING = auto()
    #: They have it and served, but do not any more.
    UNREADY = auto()
    #: New ones become ready, and replace those of the former template.
    ROLLING = auto()
    #: New ones do not become ready; those of the former template go on.
    FAILED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRollout:
    """The roll-out of one server: ingest and command, which begin together."""

    name: str
    phase: Phase
    is_serving: bool = True
    #: Of one that waits: whether new pods of a former change are not ready yet, or never will be.
    is_unfinished: bool = False
    #: Of one that waits: the components whose change concerns all servers of the resource. Of one
    #: that is not served any more: those that are not ready.
    components: frozenset[Component] = frozenset(COMPONENTS)
    #: Whether it has an image of the installation; of one that waits, whether it gets a new one.
    is_of_installation: bool = False


class Elsewhere(NamedTuple):
    """The roll-outs of other resources."""

    #: Servers that may be rolled out at once, of all resources; None for any number.
    limit: int | None = None
    rolling: int = 0
    #: Servers with an image of the installation that do not become ready.
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The roll-out of a resource, by name of its servers."""

    #: Those that get the new template now.
    started: tuple[str, ...] = ()
    #: Those whose pods become ready, started ones included.
    rolling: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    #: Those that have the new template, are not served any more, and hold back others.
    unready: tuple[str, ...] = ()
    #: Those with an image of the installation that do not become ready, or not any more.
    broken: tuple[str, ...] = ()
    #: Those that keep the former template for now.
    waiting: tuple[str, ...] = ()
    #: Whether they wait for other resources.
    is_queued: bool = False
    #: Whether those that wait get a new image of the installation.
    is_of_installation: bool = False

    def of_applied(self, replacing: Collection[str]) -> "Rollout":
        """Return the same if only some of its servers have got what they were to get.

        The others take nobody's place, and wait for nobody: they are tried again anyway.

        Args:
            replacing: the servers whose pods are being replaced.
        """
        refused = tuple(server for server in self.started if server not in replacing)
        if not refused:
            return self
        return replace(
            self,
            started=tuple(server for server in self.started if server in replacing),
            rolling=tuple(server for server in self.rolling if server not in refused),
            unready=(),
            waiting=(*refused, *self.waiting),
            is_queued=False,
        )


def rollout(servers: Sequence[ServerRollout], limit: int | None, elsewhere: Elsewhere) -> Rollout:
    """Return which servers are rolled out now.

    Args:
        servers: of one resource.
        limit: how many of them at once, none after a failure; None for all, whatever has failed.
        elsewhere: the roll-outs of other resources.
    """
    waiting = _of(servers, Phase.WAITING)
    rolling, failed = _names(servers, Phase.ROLLING), _names(servers, Phase.FAILED)
    unready = _unready(servers, waiting)
    next_ones = sorted(waiting, key=_turn)
    if limit is not None:
        allowed = 0 if failed else limit - len(rolling) - len(unready)
        next_ones = next_ones[: max(0, allowed)]
    room = _room(next_ones, len(rolling), elsewhere)
    started = tuple(server.name for server in (next_ones if room is None else next_ones[:room]))
    broken = [server for server in servers if server.phase in {Phase.FAILED, Phase.UNREADY}]
    return Rollout(
        started=started,
        rolling=(*rolling, *started),
        failed=failed,
        unready=unready,
        broken=tuple(server.name for server in broken if server.is_of_installation),
        waiting=tuple(server.name for server in waiting if server.name not in started),
        is_queued=len(started) < len(next_ones),
        is_of_installation=any(server.is_of_installation for server in waiting),
    )


def limit_of(at_once: int | str, total: int) -> int:
    """Return a number of servers, given as such or as a share of all; at least one."""
    if isinstance(at_once, int):
        return max(1, at_once)
    share = int(at_once.removesuffix("%"))
    return max(1, ceil(total * share / 100))


def _turn(server: ServerRollout) -> tuple[bool, bool]:
    """Return a sort key: what a former change has left is mended first.

    After those, servers that are not served: they can only gain by it.
    """
    return not server.is_unfinished, server.is_serving


def _unready(
    servers: Iterable[ServerRollout], waiting: Collection[ServerRollout]
) -> tuple[str, ...]:
    """Return which servers count as in progress, as the same change may have broken them."""
    changing = {component for server in waiting for component in server.components}
    return tuple(
        server.name for server in _of(servers, Phase.UNREADY) if server.components & changing
    )


def _room(next_ones: Iterable[ServerRollout], rolling: int, elsewhere: Elsewhere) -> int | None:
    """Return for how many servers the other resources leave room; None for any number."""
    if elsewhere.limit is None:
        return None
    is_of_installation = any(server.is_of_installation for server in next_ones)
    # One resource's own mistakes do not stop the changes of others.
    taken = elsewhere.rolling + (elsewhere.failed if is_of_installation else 0)
    return max(0, elsewhere.limit - rolling - taken)


def _of(servers: Iterable[ServerRollout], phase: Phase) -> list[ServerRollout]:
    return [server for server in servers if server.phase is phase]


def _names(servers: Iterable[ServerRollout], phase: Phase) -> tuple[str, ...]:
    return tuple(server.name for server in _of(servers, phase))
