"""Readiness checks of an ingest; a standby is ready to become active."""

from urllib.parse import quote

from ari_proxy.admin.checks import Check, RememberedCheck
from ari_proxy.ari.client import AriClient
from ari_proxy.ari.connection_source import EventSource
from ari_proxy.ari.errors import TransportError
from ari_proxy.ingest.lease.base import Lease

from .activity import Activity


class Readiness:
    """The checks of one ingest."""

    def __init__(
        self,
        activity: Activity,
        lease: Lease,
        applications: tuple[str, ...],
        rest: AriClient,
        socket: EventSource,
    ) -> None:
        self._activity = activity
        self._lease = lease
        self._applications = applications
        self._rest = rest
        self._socket = socket
        #: Those that Asterisk has registered for `_connection`, the oldest answer first.
        self._connection: object = None
        self._registered: dict[str, None] = {}
        self._ask = RememberedCheck(self._ask_asterisk, subject=lambda: activity.connection)

    @property
    def checks(self) -> dict[str, Check]:
        """The checks by name."""
        checks: dict[str, Check] = {
            "websocket": self._check_websocket,
            "applications": self._check_applications,
        }
        if self._lease.is_shared:
            checks["lease"] = self._check_lease
        return checks

    async def _check_lease(self) -> str:
        """Return why calls are not served when the active ingest fails, or are not already."""
        return "" if self._activity.is_active else self._lease.problem

    async def _check_websocket(self) -> str:
        activity = self._activity
        if activity.state == "handed_over" and not activity.is_shared:
            return "another ingest has taken over; stop this one"
        if not activity.is_active or activity.is_connected:
            return ""
        reason = "the events websocket is not connected"
        return f"{reason}: {self._socket.untrusted}" if self._socket.untrusted else reason

    async def _check_applications(self) -> str:
        if not self._activity.is_active:
            return ""
        if self._activity.replaced:
            return f"another client has taken {', '.join(sorted(self._activity.replaced))}"
        return await self._ask()

    async def _ask_asterisk(self) -> str:
        """Ask Asterisk for each application once on a connection, then for one at a time.

        It takes none of them away without an ApplicationReplaced. Whether it answers at all may
        change.
        """
        if self._connection is not self._activity.connection:
            self._connection = self._activity.connection
            self._registered.clear()
        new = [name for name in self._applications if name not in self._registered]
        for application in [*new, *list(self._registered)[:1]]:
            self._registered.pop(application, None)
            if problem := await self._problem_of(application):
                return problem
            self._registered[application] = None
        return ""

    async def _problem_of(self, application: str) -> str:
        try:
            path = f"/applications/{quote(application, safe='')}"
            answer = await self._rest.request("GET", path, timeout_seconds=1)
        except TransportError as error:
            return str(error)
        is_registered = answer.status == 200  # noqa: PLR2004  HTTP's OK
        return "" if is_registered else f"Asterisk answers {answer.status} for {application}"
