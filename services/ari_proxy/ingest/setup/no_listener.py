"""The no-listener policy, for calls that no application serves."""

import asyncio
from typing import Literal
from urllib.parse import quote, urlencode

import structlog

from ari_proxy.ari.client import AriClient
from ari_proxy.ari.errors import TransportError
from ari_proxy.ingest.publishing.background import BackgroundWork
from ari_proxy.ingest.routing.dialog import Dialog

from .dialplan_status import NO_APPLICATION, STATUS_VARIABLE

_log = structlog.get_logger()

NoListenerPolicy = Literal["continue", "hangup", "keep"]


class NoListener:
    """Applies the policy to the calls of one server."""

    def __init__(self, rest: AriClient, policy: NoListenerPolicy) -> None:
        self._rest = rest
        self._policy = policy

    async def apply(self, dialog: Dialog, *, status: str = NO_APPLICATION) -> None:
        """Apply the policy to the channels of a dialog, as long as it is abandoned.

        Args:
            dialog: one that was abandoned.
            status: the reason, for the dialplan.
        """
        if dialog.is_call:
            own = {"dialog_id": dialog.dialog_id, "application": dialog.application}
            _log.warning("dialog.no_listener", **own, policy=self._policy, reason=status)
        for channel in tuple(dialog.channels):
            try:
                await self._apply(dialog, channel, status)
            except TransportError as error:
                _log.error("dialog.no_listener_policy_failed", channel=channel, error=str(error))

    async def _apply(self, dialog: Dialog, channel: str, status: str) -> None:
        for method, target in self._requests(channel, status):
            if dialog.is_abandoned:  # An application may serve it again meanwhile.
                await self._rest.request(method, target)

    def _requests(self, channel: str, status: str) -> tuple[tuple[str, str], ...]:
        """Return the method and target of each request for a channel."""
        path = f"/channels/{quote(channel, safe='')}"
        if self._policy == "keep":
            return ()
        if self._policy == "hangup":
            return (("DELETE", path),)
        variable = urlencode({"variable": STATUS_VARIABLE, "value": status})
        return (("POST", f"{path}/variable?{variable}"), ("POST", f"{path}/continue"))


class NoListenerTasks:
    """The tasks that apply the policy, one per dialog."""

    def __init__(self, no_listener: NoListener, background: BackgroundWork) -> None:
        self._no_listener = no_listener
        self._background = background
        self._tasks: dict[Dialog, asyncio.Task[None]] = {}

    def begin(self, dialog: Dialog, status: str) -> None:
        """Apply the policy to a dialog that was abandoned.

        Args:
            dialog: to which the policy applies.
            status: the reason, for the dialplan.
        """
        task = self._background.begin(self._no_listener.apply(dialog, status=status))
        self._tasks[dialog] = task
        task.add_done_callback(lambda ended: self._forget(dialog, ended))

    def _forget(self, dialog: Dialog, ended: asyncio.Task[None]) -> None:
        if self._tasks.get(dialog) is ended:
            del self._tasks[dialog]

    def cancel(self, dialog: Dialog) -> None:
        """Stop applying the policy to a dialog, if it is being applied."""
        task = self._tasks.get(dialog)
        if task is not None:
            task.cancel()
