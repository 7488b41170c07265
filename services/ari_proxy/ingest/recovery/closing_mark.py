"""A mark on Asterisk that the last ingest has read all that Asterisk had sent it.

Asterisk that connects to us keeps its events while there is no ingest. After an orderly end none is
missing; after a crash those are that had been sent and not yet published. The next process can't
tell one from the other, unless the former one leaves a mark: a global variable of Asterisk.
"""

from typing import Final
from urllib.parse import quote, urlencode

import structlog

from ari_proxy.ari import snapshot as asterisk
from ari_proxy.ari.client import AriClient
from ari_proxy.ari.errors import TransportError
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE

_log = structlog.get_logger()

_VARIABLE: Final = "ARI_PROXY_CLOSED_"
_PATH: Final = "/asterisk/variable"
_SECONDS: Final = 2.0
#: For the first answer, which comes behind all that Asterisk has kept.
_QUEUE_SECONDS: Final = 120.0
_NO_CONTENT: Final = 204


class ClosingMark:
    """The mark of one server's ingests."""

    def __init__(self, rest: AriClient, server: ServerId) -> None:
        self._rest = rest
        self._variable = _VARIABLE + server

    async def leave(self) -> None:
        """Leave it, before the websocket is closed in order."""
        await self._set("1")

    async def take(self) -> bool:
        """Remove it; return whether it was there."""
        url = f"{_PATH}?{urlencode({'variable': self._variable}, quote_via=quote)}"
        try:
            answer = await self._rest.request("GET", url, timeout_seconds=_QUEUE_SECONDS)
            was_there = asterisk.variable(answer.body) == "1"
        except (TransportError, *UNDECODABLE) as error:
            _log.debug("closing_mark.failed", error=str(error))
            return False
        return was_there and await self._set("")

    async def _set(self, value: str) -> bool:
        query = urlencode({"variable": self._variable, "value": value}, quote_via=quote)
        try:
            answer = await self._rest.request("POST", f"{_PATH}?{query}", timeout_seconds=_SECONDS)
        except TransportError as error:
            _log.debug("closing_mark.failed", error=str(error))
            return False
        return answer.status == _NO_CONTENT
