"""Labels of channels: the variable ARI_PROXY_DIALOG, by which a successor finds the dialog."""

from collections.abc import Coroutine
from typing import Final
from urllib.parse import quote, urlencode

import structlog

from ari_proxy.ari.client import AriClient
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.protocol import ids

_log = structlog.get_logger()

#: Seconds for Asterisk to set the variable; a slow Asterisk must not keep the caller waiting.
_SECONDS: Final = 1.0
#: … for a retry, which delays no caller.
_RETRY_SECONDS: Final = 5.0
#: Set; the channel is gone; it is out of Stasis.
_EXPECTED: Final = frozenset({204, 404, 409})


class ChannelLabels:
    """Writes dialog ids onto the channels of one server."""

    def __init__(self, rest: AriClient) -> None:
        self._rest = rest
        #: Channels without their label, and those of them that are retried now.
        self._failed: set[tuple[Dialog, str]] = set()
        self._retried: set[tuple[Dialog, str]] = set()

    async def label(self, dialog: Dialog, channel: str) -> None:
        """Write the dialog's id onto a channel, unless the channel's own id contains it.

        With `report_events` (22.10) Asterisk adds it to every event and list; older versions ignore
        it. A caller does not wait for a slow Asterisk: `retries` has the rest.
        """
        if ids.token_of_object(channel) == dialog.token:
            return
        labelled = (dialog, channel)
        path = f"/channels/{quote(channel, safe='')}/variable"
        query = {"variable": DIALOG_VARIABLE, "value": dialog.dialog_id, "report_events": "true"}
        seconds = _RETRY_SECONDS if labelled in self._retried else _SECONDS
        try:
            url = f"{path}?{urlencode(query)}"
            answer = await self._rest.request("POST", url, timeout_seconds=seconds)
        except TransportError as error:
            if labelled not in self._retried:
                _log.warning("dialog.not_marked", dialog_id=dialog.dialog_id, error=str(error))
            self._failed.add(labelled)
            return
        if answer.status not in _EXPECTED:
            _log.warning("dialog.not_marked", dialog_id=dialog.dialog_id, status=answer.status)

    def retries(self) -> list[Coroutine[None, None, None]]:
        """Return the labels that are still missing, as coroutines that write them."""
        self._retried, self._failed = self._failed, set()
        return [
            self.label(dialog, channel)
            for dialog, channel in self._retried
            if not dialog.is_ended and channel in dialog.channels
        ]
