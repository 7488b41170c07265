"""Connections to the servers of a cluster: the first one, and those that take its place."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Final

from ari_proxy.certificate_names import CertificateNames

from .connection import ConnectFailure, attempt, discard
from .moving import USELESS, NatsReception
from .options import NatsOptions, NatsTuning
from .permissions import NatsPermissions
from .servers import Candidates, ClusterClient, Discovered

#: Deadline for connections to the other servers of the cluster.
WITNESS_SECONDS: Final = 3.0


class NatsSuccession:
    """Connects, with our account as its files have it then."""

    def __init__(
        self,
        options: NatsOptions,
        tuning: NatsTuning,
        *,
        permissions: NatsPermissions,
        reception: NatsReception,
    ) -> None:
        """Make it.

        Args:
            options: with the configured servers and the files.
            tuning: deadlines.
            permissions: of our account; told of the errors that nats-py reports.
            reception: subscribes on a successor.
        """
        self._options = options
        self._tuning = tuning
        self._permissions = permissions
        self._reception = reception
        self._names = CertificateNames("bus")

    async def connect(self, candidates: Candidates) -> ClusterClient | ConnectFailure:
        """Return a connection to one of the servers, or why there is none."""
        options = self._options.current()
        return await attempt(options, self._tuning, self._permissions, self._names, candidates)

    async def successor(self, client: ClusterClient) -> ClusterClient:
        """Return another connection that has all our subscriptions, as soon as there is one."""
        failures = 0
        while (successor := await self._successor(client)) is None:
            failures += 1
            await asyncio.sleep(self._tuning.backoff.seconds(failures))
        return successor

    async def _successor(self, client: ClusterClient) -> ClusterClient | None:
        leaving = client.server if client.is_leaving.is_set() else None
        connected = await self.connect(Candidates(client.discovered, leaving))
        if isinstance(connected, ConnectFailure):
            return None
        is_ready = False
        try:
            with contextlib.suppress(*USELESS):
                witnesses = await self._witnesses(client, {client.server, connected.server})
                await self._reception.begin_beside(client, connected, witnesses)
                is_ready = not connected.is_leaving.is_set()
        finally:
            if not is_ready:
                await self._reception.dismiss_witnesses(client)
                await self._reception.lose(connected)
        return connected if is_ready else None

    async def _witnesses(
        self, client: ClusterClient, but: Collection[tuple[str, int] | None]
    ) -> list[ClusterClient]:
        """Return connections to the servers that a server knows, as far as they answer."""
        found: list[ClusterClient] = []

        async def connect(known: Discovered) -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WITNESS_SECONDS):
                    witness = await self.connect(Candidates((known,), are_all=True))
                    if not isinstance(witness, ConnectFailure):
                        found.append(witness)

        try:
            async with asyncio.TaskGroup() as tasks:
                for known in client.discovered:
                    if known.host_and_port not in but:
                        tasks.create_task(connect(known))
        except BaseException:
            for witness in found:
                await discard(witness)
            raise
        return found
