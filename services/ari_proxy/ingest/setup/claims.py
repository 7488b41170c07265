"""Claims of the channels that Asterisk offers to several applications.

`POST /events/claim` (Asterisk 22.10) gives a channel to the first application that asks for it:
204. Then its StasisStart comes, before the answer or behind it. 409: another one has it. 404: it is
offered no more.
"""

import asyncio
from typing import Final, Literal
from urllib.parse import urlencode

import structlog

from ari_proxy.ari.client import AriClient
from ari_proxy.ari.errors import TransportError
from ari_proxy.ingest.routing.dialog import Dialog

_log = structlog.get_logger()

ClaimResult = Literal["claimed", "claimed_elsewhere", "offer_over", "failed"]
#: Deadline of a claim.
CLAIM_SECONDS: Final = 2.0
#: Seconds for the StasisStart of a claim whose answer was lost.
UNKNOWN_SECONDS: Final = 2.0
_BY_STATUS: Final[dict[int, ClaimResult]] = {
    204: "claimed",
    404: "offer_over",
    409: "claimed_elsewhere",
}


class CallClaims:
    """Claims channels of one Asterisk."""

    def __init__(self, rest: AriClient, *, unknown_seconds: float = UNKNOWN_SECONDS) -> None:
        self._rest = rest
        self._unknown_seconds = unknown_seconds

    async def claim(self, dialog: Dialog) -> ClaimResult:
        """Claim the channel of a dialog for its application, once.

        A claim that is sent again would be refused because of the first one. So without an answer
        only the StasisStart shows who has the channel; without that, nobody is told that it is his.
        """
        query = urlencode({"channelId": dialog.channel_id, "application": dialog.application})
        own = {"dialog_id": dialog.dialog_id, "channel": dialog.channel_id}
        try:
            answer = await self._rest.request(
                "POST", f"/events/claim?{query}", timeout_seconds=CLAIM_SECONDS
            )
        except TransportError as error:
            if error.sent:
                await asyncio.sleep(self._unknown_seconds)
            if not dialog.is_offered and not dialog.is_ended:
                return "claimed"
            _log.warning("call.claim_failed", **own, error=str(error))
            return "failed"
        result = _BY_STATUS.get(answer.status)
        if result is None:
            _log.warning("call.claim_failed", **own, status=answer.status, body=answer.body)
            return "failed"
        return result
