"""When the objects of a server that is no longer desired may be deleted. Sans-I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ari_proxy.operator.state import Deployed, Observed, query_name

from .servers import desired_servers

#: A StatefulSet replaces a pod under its old name; once that is back, its server is desired again.
RETURN_SECONDS: Final = 30
#: Interval between reconciliations while a server drains.
RECHECK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainingServer:
    """A server that has Deployments but is no longer desired."""

    deployed: Deployed
    since: datetime
    #: Open dialogs of its ingests; None if one of them did not report a number.
    dialogs: int | None

    @property
    def name(self) -> str:
        """The server's name."""
        return self.deployed.server


def draining_servers(observed: Observed) -> list[DrainingServer]:
    """Return the servers that have Deployments but are no longer desired."""
    desired = {server.name for server in desired_servers(observed)}
    return [
        DrainingServer(
            deployed=item,
            since=_since(observed, item.server),
            dialogs=_sum([observed.dialogs.get(name) for name in dialog_queries(observed, item)]),
        )
        for item in observed.deployed
        if item.server not in desired
    ]


def dialog_queries(observed: Observed, server: Deployed) -> list[str]:
    """Return the names of the queries for the dialogs of each of a server's ingests."""
    return [query_name(pod, server.server_id) for pod in observed.ingests_of(server.slot)]


def is_drained(observed: Observed, server: DrainingServer) -> bool:
    """Return whether the server's objects may be deleted: its dialogs are over, or timed out."""
    spec = observed.proxy.spec
    waited = observed.now - server.since
    if waited >= timedelta(seconds=spec.drain_timeout_seconds):
        return True
    return server.dialogs == 0 and is_removed(observed, server)


def is_removed(observed: Observed, server: DrainingServer) -> bool:
    """Return whether the server will not come back, as far as one can know."""
    if observed.proxy.spec.server_selector is None or observed.proxy.metadata.deletion_timestamp:
        return True
    return observed.now - server.since >= timedelta(seconds=RETURN_SECONDS)


def _since(observed: Observed, server: str) -> datetime:
    """Return the start of the drain: what the status records, the deletion, or now."""
    for item in observed.proxy.status.get("servers") or ():
        if item.get("name") == server and item.get("drainingSince"):
            return datetime.fromisoformat(item["drainingSince"])
    deleted_at = observed.proxy.metadata.deletion_timestamp
    return datetime.fromisoformat(deleted_at) if deleted_at else observed.now


def _sum(counts: Sequence[int | None]) -> int | None:
    """Return the sum, 0 without any pod; None if a pod did not report, say as it is starting."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
