"""The lease as a Kubernetes Lease, for ingests on several machines.

A holder that did not renew it in time, since it was stopped, knows by its own clock that it is
over, before anybody else can have it: the events that it still has go nowhere. One that can't reach
the API server goes on: calls don't depend on Kubernetes' control plane. Where it alone is cut off,
its successor takes the application at Asterisk, and ApplicationReplaced ends its turn.
"""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import structlog

from ari_proxy.protocol.malformed import UNDECODABLE

from .record import Claim, LeaseRecord, parse

_log = structlog.get_logger()

#: Where a pod finds who it is (kubernetes.io/docs/tasks/run-application/access-api-from-pod).
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Attempts to renew it within its duration.
RENEWALS: Final = 3
_decoder = msgspec.json.Decoder(dict[str, Any])
_CREATED: Final = frozenset({200, 201})
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_SERVER_ERROR: Final = 500


class _LeaseRefusedError(Exception):
    """Kubernetes does not do what it was asked."""


class _LeaseMissingError(_LeaseRefusedError):
    """There is no such object."""


class _ApiUnreachableError(_LeaseRefusedError):
    """Kubernetes can't be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesApi:
    """How to reach the API server; as a pod does, unless something else is said."""

    url: str = ""
    token_file: str = str(SERVICE_ACCOUNT / "token")
    ca_file: str = str(SERVICE_ACCOUNT / "ca.crt")
    namespace: str = ""

    @property
    def address(self) -> str:
        """The server's URL."""
        host, port = (os.environ.get(f"KUBERNETES_SERVICE_{x}", "") for x in ("HOST", "PORT"))
        return self.url or f"https://{f'[{host}]' if ':' in host else host}:{port}"

    def current_namespace(self) -> str:
        """Return the namespace of the lease: by default the pod's own."""
        return self.namespace or (SERVICE_ACCOUNT / "namespace").read_text().strip()

    def headers(self) -> dict[str, str]:
        """Return what to log in with; the token's file is read each time, since tokens change."""
        return {"Authorization": f"Bearer {Path(self.token_file).read_text().strip()}"}

    def tls(self) -> ssl.SSLContext | bool:
        """Return how to check the server's certificate."""
        if not self.address.startswith("https:"):
            return False
        return ssl.create_default_context(cafile=self.ca_file or None)


class KubernetesLease:
    """A Lease object; whoever has written its name into it is active."""

    is_shared = True

    def __init__(
        self,
        api: KubernetesApi,
        name: str,
        identity: str,
        *,
        duration_seconds: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._name = name
        self._clock = clock
        self._pause = duration_seconds / RENEWALS
        self._claim = Claim(name, identity, duration_seconds=duration_seconds, clock=clock)
        self._record: LeaseRecord | None = None
        self._is_resigned = False

    def is_valid(self) -> bool:
        """Return whether it is ours, for certain; or was, and nobody else has claimed it."""
        return self._is_resigned or self._claim.is_valid

    async def acquire(self) -> None:
        """Return once it is ours."""
        self._is_resigned = False
        _log.info("lease.awaited", lease=self._name)
        while not await self._is_acquired():  # noqa: ASYNC110  Kubernetes is asked
            await asyncio.sleep(self._pause)

    async def keep(self) -> None:
        """Renew it; return when we did not try in time, or when somebody else has it."""
        while self._claim.is_valid:
            await asyncio.sleep(self._pause)
            await self._is_acquired()

    async def release(self) -> None:
        """Take our name out of it."""
        if self._record is None or not self._claim.is_valid:
            return
        self._is_resigned = True
        with contextlib.suppress(_LeaseRefusedError):
            async with self._session() as session:
                await self._send(session, "PUT", self._claim.resignation(self._record))

    async def _is_acquired(self) -> bool:
        begun_at = self._clock()
        try:
            async with self._session() as session:
                record = await self._read(session)
                if record is not None and not self._claim.observe(record):
                    self._claim.lost()
                    return False
                method = "POST" if record is None else "PUT"
                written = await self._send(session, method, self._claim.claim(record))
        except _LeaseRefusedError as error:
            _log.warning("lease.not_renewed", lease=self._name, error=str(error))
            if isinstance(error, _ApiUnreachableError):
                self._claim.presumed()
            return False
        self._record = parse(written)
        self._claim.written(begun_at)
        return True

    async def _read(self, session: aiohttp.ClientSession) -> LeaseRecord | None:
        try:
            return parse(await self._send(session, "GET"))
        except _LeaseMissingError:
            return None

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Open what one attempt needs, and bound it: the next one is due after a pause."""
        try:
            async with asyncio.timeout(self._pause):
                connector = aiohttp.TCPConnector(ssl=self._api.tls())
                async with aiohttp.ClientSession(connector=connector) as session:
                    yield session
        except (aiohttp.ClientError, OSError) as error:  # Among them TimeoutError.
            reason = str(error) or "no answer in time"
            raise _ApiUnreachableError(f"the API server can't be reached: {reason}") from error

    async def _send(
        self, session: aiohttp.ClientSession, method: str, lease: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a request for the lease and return the answer's object."""
        api = self._api
        space = f"/apis/coordination.k8s.io/v1/namespaces/{api.current_namespace()}/leases"
        url = f"{api.address}{space}" + ("" if method == "POST" else f"/{self._name}")
        async with session.request(method, url, headers=api.headers(), json=lease) as answer:
            content = await answer.read()
        if answer.status == _NOT_FOUND:
            raise _LeaseMissingError("there is no such lease, or no such namespace")
        if answer.status == _CONFLICT:
            raise _LeaseRefusedError("somebody else has written it meanwhile")
        if answer.status >= _SERVER_ERROR:
            raise _ApiUnreachableError(f"the API server answers {answer.status}")
        if answer.status not in _CREATED:
            raise _LeaseRefusedError(
                f"the API server answers {answer.status} to {method} of the lease"
            )
        try:
            return _decoder.decode(content)
        except UNDECODABLE as error:
            raise _LeaseRefusedError(f"the API server's answer is no object: {error}") from error
