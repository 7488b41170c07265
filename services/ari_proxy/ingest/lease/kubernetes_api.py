"""One Lease object at the API server: read, created and replaced over a connection that is kept."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NewType, Protocol

import aiohttp
import msgspec

from ari_proxy import bounded_body
from ari_proxy.protocol.malformed import UNDECODABLE

LeaseObject = NewType("LeaseObject", dict[str, Any])

#: A pod's credentials (kubernetes.io/docs/tasks/run-application/access-api-from-pod).
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Longer than the pauses between renewals.
KEEP_ALIVE_SECONDS: Final = 90.0
#: More than any object may have (etcd's --max-request-bytes).
MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024
_DONE: Final = frozenset({200, 201})
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_decoder = msgspec.json.Decoder(dict[str, Any])


class LeaseError(Exception):
    """A request for the Lease has failed; the message says how."""


class LeaseMissingError(LeaseError):
    """There is no such Lease."""


class LeaseConflictError(LeaseError):
    """Somebody else has written the Lease since it was read."""


class LeaseStore(Protocol):
    """Where one Lease object is kept; who writes it must have read its newest version.

    Every method raises LeaseError if its request fails; then it may have been executed. None has a
    deadline of its own: one that is cancelled leaves no connection behind.
    """

    async def read(self) -> LeaseObject:
        """Return the Lease.

        Raises:
            LeaseMissingError: there is none.
        """

    async def create(self, lease: dict[str, Any]) -> LeaseObject:
        """Create the Lease; return it as stored."""

    async def replace(self, lease: dict[str, Any]) -> LeaseObject:
        """Replace the Lease; return it as stored.

        Raises:
            LeaseConflictError: it has another resourceVersion.
            LeaseMissingError: there is none.
        """

    async def close(self) -> None:
        """Close the connection."""


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

    def leases(self) -> str:
        """Return the URL of the Leases in their namespace: by default the pod's own."""
        namespace = self.namespace or (SERVICE_ACCOUNT / "namespace").read_text().strip()
        return f"{self.address}/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    def headers(self) -> dict[str, str]:
        """Return the authorization; the token file is read each time, since tokens rotate."""
        return {"Authorization": f"Bearer {Path(self.token_file).read_text().strip()}"}

    def tls(self) -> ssl.SSLContext | bool:
        """Return the TLS context that verifies the server, or False without TLS."""
        if not self.address.startswith("https:"):
            return False
        return ssl.create_default_context(cafile=self.ca_file or None)


class KubernetesLeaseStore:
    """A Lease object at the API server."""

    def __init__(self, api: KubernetesApi, name: str) -> None:
        """Initialise without a connection; the first request opens it."""
        self._api = api
        self._name = name
        self._session: aiohttp.ClientSession | None = None

    async def read(self) -> LeaseObject:
        """Return the Lease (LeaseStore)."""
        return await self._send("GET", f"/{self._name}")

    async def create(self, lease: dict[str, Any]) -> LeaseObject:
        """Create the Lease (LeaseStore)."""
        return await self._send("POST", "", lease)

    async def replace(self, lease: dict[str, Any]) -> LeaseObject:
        """Replace the Lease (LeaseStore)."""
        return await self._send("PUT", f"/{self._name}", lease)

    async def close(self) -> None:
        """Close the connection (LeaseStore); the next request opens another one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(
        self, method: str, path: str, lease: dict[str, Any] | None = None
    ) -> LeaseObject:
        try:
            status, content = await self._exchange(method, path, lease)
        except (aiohttp.ClientError, OSError) as error:
            # The next one reads the authorities anew.
            await self.close()
            raise LeaseError(f"the API server can't be reached: {error}") from error
        if status == _NOT_FOUND:
            raise LeaseMissingError(f"there is no Lease {self._name}, or no such namespace")
        if status == _CONFLICT and method == "PUT":
            raise LeaseConflictError("somebody else has written the Lease meanwhile")
        if status not in _DONE:
            raise LeaseError(f"the API server answers {status} to {method} of Lease {self._name}")
        try:
            return LeaseObject(_decoder.decode(content or b""))
        except UNDECODABLE as error:
            raise LeaseError(f"the API server's answer is no object: {error}") from error

    async def _exchange(
        self, method: str, path: str, lease: dict[str, Any] | None
    ) -> tuple[int, bytes | None]:
        """Return the status and, unless it is too large, the content of an answer."""
        api = self._api
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=api.tls(), limit=1, keepalive_timeout=KEEP_ALIVE_SECONDS
            )
            self._session = aiohttp.ClientSession(connector=connector)
        async with self._session.request(
            method, api.leases() + path, headers=api.headers(), json=lease, allow_redirects=False
        ) as answer:
            return answer.status, await bounded_body.read(answer, MAX_ANSWER_BYTES)
