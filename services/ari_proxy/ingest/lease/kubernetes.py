"""The lease as a Kubernetes Lease, for ingests on several machines.

A holder that was suspended and did not renew the lease in time knows by its own clock that it has
expired, before another ingest can acquire it; it drops the events that it still has. A holder that
can't reach the API server stays active: calls don't depend on Kubernetes' control plane. If it
alone is cut off, its successor takes the applications at Asterisk, and ApplicationReplaced ends its
active period.
"""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import structlog

from ari_proxy.protocol.malformed import UNDECODABLE

from .record import Claim, LeaseRecord, parse

_log = structlog.get_logger()

#: A pod's credentials (kubernetes.io/docs/tasks/run-application/access-api-from-pod).
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Attempts to renew the lease within its duration.
RENEWALS: Final = 3
_decoder = msgspec.json.Decoder(dict[str, Any])
_CREATED: Final = frozenset({200, 201})
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_SERVER_ERROR: Final = 500


class _LeaseRefusedError(Exception):
    """Kubernetes has refused a request."""


class _LeaseMissingError(_LeaseRefusedError):
    """There is no such lease."""


class _ApiUnreachableError(_LeaseRefusedError):
    """The API server can't be reached, or fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesApi:
    """Address and credentials of the API server; by default those of a pod."""

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
        """Return the authorization; the token file is read each time, since tokens rotate."""
        return {"Authorization": f"Bearer {Path(self.token_file).read_text().strip()}"}

    def tls(self) -> ssl.SSLContext | bool:
        """Return the TLS context that verifies the server, or False without TLS."""
        if not self.address.startswith("https:"):
            return False
        return ssl.create_default_context(cafile=self.ca_file or None)


class KubernetesLease:
    """A Lease object; the process named in it is active."""

    is_shared = True

    def __init__(
        self, api: KubernetesApi, name: str, identity: str, *, duration_seconds: int
    ) -> None:
        self._api = api
        self._name = name
        self._pause = duration_seconds / RENEWALS
        self._claim = Claim(name, identity, duration_seconds=duration_seconds)
        self._record: LeaseRecord | None = None
        self._is_resigned = False

    def is_valid(self) -> bool:
        """Return whether this process certainly holds it, or has released it with no new holder."""
        return self._is_resigned or self._claim.is_valid(time.monotonic())

    async def acquire(self) -> None:
        """Return once this process holds the lease."""
        self._is_resigned = False
        _log.info("lease.awaited", lease=self._name)
        while not await self._is_acquired():  # noqa: ASYNC110  Kubernetes is asked
            await asyncio.sleep(self._pause)

    async def keep(self) -> None:
        """Renew the lease; return when it has expired or another process holds it."""
        while self._claim.is_valid(time.monotonic()):
            await asyncio.sleep(self._pause)
            await self._is_acquired()

    async def release(self) -> None:
        """Remove this process's name from the lease."""
        if self._record is None or not self._claim.is_valid(time.monotonic()):
            return
        self._is_resigned = True
        with contextlib.suppress(_LeaseRefusedError):
            async with self._session() as session:
                await self._send(session, "PUT", self._claim.resignation(self._record))

    async def _is_acquired(self) -> bool:
        begun_at = time.monotonic()
        try:
            async with self._session() as session:
                record = await self._read(session)
                if record is not None and not self._claim.observe(record, time.monotonic()):
                    self._claim.lost()
                    return False
                method = "POST" if record is None else "PUT"
                claim = self._claim.claim(record, datetime.now(UTC))
                written = await self._send(session, method, claim)
        except _LeaseRefusedError as error:
            _log.warning("lease.not_renewed", lease=self._name, error=str(error))
            if isinstance(error, _ApiUnreachableError):
                self._claim.presumed(time.monotonic())
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
        """Open a session for one attempt, bounded by the pause before the next one."""
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
