"""What the admin API tells of the servers of a process: which can serve, and their dialogs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ari_proxy.bus.base import Bus

from .checks import Check, problems


class DialogView(Protocol):
    """The dialogs of one server."""

    def is_active(self) -> bool:
        """Return whether events come to it, or it stands by."""

    def dialogs(self) -> list[dict[str, Any]]:
        """Return all of them."""

    def count_open(self) -> int | None:
        """Return how many have not ended; None while that is unknown."""

    def newest(self, find: str, limit: int) -> tuple[list[dict[str, Any]], int, int]:
        """Return the newest that contain a text, how many do, and how many there are."""


class ServerView(Protocol):
    """One server of the process."""

    @property
    def checks(self) -> Mapping[str, Check]:
        """What has to be so for it to serve calls."""

    @property
    def failure(self) -> str:
        """Why its services do not run, or ''."""

    @property
    def view(self) -> DialogView | None:
        """Its dialogs; None while its services do not run."""

    @property
    def bus(self) -> Bus | None:
        """Its connection to the bus; None while its services do not run."""


@dataclass(frozen=True, slots=True)
class ServersReadiness:
    """Which servers can serve calls."""

    #: By name of the check, with its server's before it if there are several: `ok`, or what is
    #: wrong.
    checks: dict[str, str]
    servers: dict[str, bool]

    @property
    def is_ready(self) -> bool:
        """Whether one of them can: what one server lacks must take no other out of service."""
        return any(self.servers.values())


async def readiness(servers: Mapping[str, ServerView]) -> ServersReadiness:
    """Run all checks of all servers concurrently."""
    checks = {
        (server, name): check
        for server, view in servers.items()
        for name, check in view.checks.items()
    }
    failed = await problems(checks)
    unready = {server for server, _ in failed}
    return ServersReadiness(
        {
            name if len(servers) == 1 else f"{server}.{name}": failed.get((server, name), "ok")
            for server, name in checks
        },
        {server: server not in unready for server in servers},
    )


def alive(servers: Mapping[str, ServerView]) -> dict[str, str]:
    """Return of each server whether its services run, or why they do not."""
    return {name: view.failure or "running" for name, view in servers.items()}


def activity(servers: Mapping[str, ServerView]) -> dict[str, bool]:
    """Return `active`, whether events of any server come here; {} where there is no ingest."""
    views = [shown.view for shown in servers.values() if shown.view is not None]
    return {"active": any(view.is_active() for view in views)} if views else {}


def dialogs(servers: Mapping[str, ServerView]) -> list[dict[str, Any]]:
    """Return the dialogs of all servers."""
    return [
        {"server_id": server, **dialog}
        for server, shown in servers.items()
        for dialog in (shown.view.dialogs() if shown.view else ())
    ]


def count_open(servers: Mapping[str, ServerView]) -> tuple[int, Collection[str]]:
    """Return how many dialogs have not ended, and the servers that do not know."""
    counts: dict[str, int | None] = {
        name: shown.view.count_open() if shown.view else None for name, shown in servers.items()
    }
    unknown: Sequence[str] = [name for name, count in counts.items() if count is None]
    return sum(count for count in counts.values() if count is not None), unknown
