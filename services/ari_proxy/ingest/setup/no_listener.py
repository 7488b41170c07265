"""The no-listener policy, for calls that no application serves."""

from typing import Literal
from urllib.parse import quote, urlencode

import structlog

from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ingest.routing.dialog import Dialog

from .dialplan_status import NO_APPLICATION, STATUS_VARIABLE

_log = structlog.get_logger()

NoListenerPolicy = Literal["continue", "hangup", "keep"]


class NoListener:
    """Applies the policy to the calls of one server."""

    def __init__(self, rest: RestClient, policy: NoListenerPolicy) -> None:
        self._rest = rest
        self._policy = policy

    async def apply(self, dialog: Dialog, *, status: str = NO_APPLICATION) -> None:
        """Apply the policy to the channels of a dialog.

        Args:
            dialog: one that was abandoned.
            status: the reason, for the dialplan.
        """
        if dialog.is_call:
            own = {"dialog_id": dialog.dialog_id, "application": dialog.application}
            _log.warning("dialog.no_listener", **own, policy=self._policy, reason=status)
        for channel in tuple(dialog.channels):
            try:
                await self._apply(channel, status)
            except TransportError as error:
                _log.error("dialog.no_listener_policy_failed", channel=channel, error=str(error))

    async def _apply(self, channel: str, status: str) -> None:
        path = f"/channels/{quote(channel, safe='')}"
        if self._policy == "keep":
            return
        if self._policy == "hangup":
            await self._rest.request("DELETE", path)
            return
        variable = urlencode({"variable": STATUS_VARIABLE, "value": status})
        await self._rest.request("POST", f"{path}/variable?{variable}")
        await self._rest.request("POST", f"{path}/continue")
