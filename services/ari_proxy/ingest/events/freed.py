"""Applications that another client had taken, and that nobody has any more.

Their calls leave Stasis at once until somebody takes them, and nobody else will: on Kubernetes no
process is started anew for that. An application that anybody has is left alone, and one that is
free for a moment only may be its owner's who connects again.
"""

import asyncio
from typing import Final
from urllib.parse import quote

from ari_proxy.ari.client import AriClient
from ari_proxy.ari.errors import TransportError
from ari_proxy.ingest.permit import Permit

from .canary import is_unknown
from .replaced import ReplacedApplications

#: Between two looks at an application that another client has taken. Longer than its owner needs to
#: connect again: nobody has it at two successive looks.
LOOK_SECONDS: Final = 5.0
_REQUEST_SECONDS: Final = 5.0


class FreedApplications:
    """Asks Asterisk for the applications that are replaced."""

    def __init__(
        self,
        rest: AriClient,
        replaced: ReplacedApplications,
        *,
        permit: Permit,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Initialise; `wait` asks.

        Args:
            rest: asks Asterisk.
            replaced: the applications that another client has taken.
            permit: to be active. Without it they may rightly belong to another ingest.
            look_seconds: between two looks.
        """
        self._rest = rest
        self._replaced = replaced
        self._permit = permit
        self._look_seconds = look_seconds

    async def wait(self) -> frozenset[str]:
        """Return those that nobody has had in two successive looks, once there are any."""
        former: frozenset[str] = frozenset()
        while True:
            await asyncio.sleep(self._look_seconds)
            free = frozenset([name for name in self._taken() if await self._is_free(name)])
            # A successor may have asked for the dialogs meanwhile.
            if freed := free & former & self._taken():
                return freed
            former = free

    def _taken(self) -> frozenset[str]:
        """Return the applications that a stranger has taken: not those that a successor has."""
        is_ours = self._permit.is_valid() and not self._replaced.is_expected
        return frozenset(self._replaced.names) if is_ours else frozenset()

    async def _is_free(self, application: str) -> bool:
        path = f"/applications/{quote(application, safe='')}"
        try:
            answer = await self._rest.request("GET", path, timeout_seconds=_REQUEST_SECONDS)
        except TransportError:
            return False
        return is_unknown(answer.status, answer.body)
