"""The part of the Kubernetes API that the operator uses: a thin layer over lightkube.

Writes are server-side applies (kubernetes.io/docs/reference/using-api/server-side-apply): the
operator owns the fields that it sets and no others.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import httpx2
from lightkube import AsyncClient, KubeConfig, SingleConfig
from lightkube.config.client_adapter import verify_cluster
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.generic_resource import GenericNamespacedResource, create_namespaced_resource
from lightkube.types import PatchType

from ari_proxy.protocol.malformed import UNDECODABLE

from . import names
from .errors import KubernetesError, NoKubernetesError
from .model import GROUP, KIND, PLURAL, VERSION
from .objects import Object

#: Deadline of one request.
REQUEST_SECONDS: Final = 15.0
#: A watch without any change is begun again after this time.
WATCH_SECONDS: Final = 300.0
#: Objects in one answer to a list. One has up to 1.5 MB, whoever has made it.
PAGE_OBJECTS: Final = 32
#: More than all watches and all requests at once: a watch keeps its connection.
MAX_CONNECTIONS: Final = 4096
NOT_FOUND: Final = 404
_EVERYWHERE: Final = "*"  # lightkube's name for all namespaces.
#: A watch's dead connection is noticed after a minute.
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)

_Resource = type[GenericNamespacedResource]
_RBAC: Final = "rbac.authorization.k8s.io"
#: Kinds of children: API group, version and plural.
CHILDREN: Final[Mapping[str, tuple[str, str, str]]] = {
    "ServiceAccount": ("", "v1", "serviceaccounts"),
    "Role": (_RBAC, "v1", "roles"),
    "RoleBinding": (_RBAC, "v1", "rolebindings"),
    "ConfigMap": ("", "v1", "configmaps"),
    "Service": ("", "v1", "services"),
    "Lease": ("coordination.k8s.io", "v1", "leases"),
    "Deployment": ("apps", "v1", "deployments"),
    "PodDisruptionBudget": ("policy", "v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": ("autoscaling", "v2", "horizontalpodautoscalers"),
    "NetworkPolicy": ("networking.k8s.io", "v1", "networkpolicies"),
    "PodMonitor": ("monitoring.coreos.com", "v1", "podmonitors"),
}
_OTHERS: Final[Mapping[str, tuple[str, str, str]]] = {
    KIND: (GROUP, VERSION, PLURAL),
    "Pod": ("", "v1", "pods"),
    "Secret": ("", "v1", "secrets"),
    "Event": ("events.k8s.io", "v1", "events"),
}
_RESOURCES: Final[Mapping[str, _Resource]] = {
    kind: create_namespaced_resource(group, version, kind, plural)
    for kind, (group, version, plural) in {**CHILDREN, **_OTHERS}.items()
}


class Kubernetes:
    """Reads and writes objects.

    Every request has a deadline. Methods raise KubernetesError if a request fails.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    @property
    def own_namespace(self) -> str:
        """The namespace of this process's pod, or of the current context."""
        return str(self._client.namespace or "")

    async def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return an object, or None if it does not exist."""
        try:
            async with _request(f"get {kind} {namespace}/{name}"):
                return _plain(await self._client.get(_RESOURCES[kind], name, namespace=namespace))
        except KubernetesError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def list(
        self,
        kind: str,
        namespace: str | None,
        take: Callable[[Object], object],
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """List objects page by page, passing each to `take`; return the list's resourceVersion.

        Args:
            kind: of the objects.
            namespace: of the objects; None for all namespaces.
            take: called with each object.
            labels: of the objects; the API server selects them.
        """
        where = namespace or _EVERYWHERE
        what = f"list {kind} in {where}"
        found = self._client.list(
            _RESOURCES[kind],
            namespace=where,
            labels=dict(labels or {}),
            chunk_size=PAGE_OBJECTS,
        )
        items = aiter(found)
        with suppress(StopAsyncIteration):
            while True:
                async with _request(what):
                    item = await anext(items)
                # Items of a list lack apiVersion and kind.
                take(_plain(item) | _head(kind))
        return found.resourceVersion

    async def watch(
        self, kind: str, namespace: str | None, version: str, labels: Mapping[str, str] | None
    ) -> AsyncGenerator[tuple[str, Object]]:
        """Yield the type (ADDED, MODIFIED or DELETED) and object of each change after a version.

        It ends when nothing has changed for WATCH_SECONDS, since a connection may be dead.
        """
        where = namespace or _EVERYWHERE
        changes = self._client.watch(
            _RESOURCES[kind],
            namespace=where,
            labels=dict(labels or {}),
            resource_version=version,
            server_timeout=2 * int(WATCH_SECONDS),
        )
        with _translated(f"watch {kind} in {where}"):
            items = aiter(changes)
            while True:
                try:
                    async with asyncio.timeout(WATCH_SECONDS):
                        change, item = await anext(items)
                except (StopAsyncIteration, TimeoutError):
                    return
                yield change, _plain(item)

    async def apply(self, item: Object) -> Object:
        """Apply an object, taking over the fields that it sets, and return the result."""
        metadata = item["metadata"]
        async with _request(f"apply {_named(item)}"):
            return _plain(
                await self._client.patch(
                    _RESOURCES[item["kind"]],
                    metadata["name"],
                    item,
                    namespace=metadata["namespace"],
                    patch_type=PatchType.APPLY,
                    field_manager=names.MANAGER,
                    force=True,
                )
            )

    async def create(self, item: Object) -> Object:
        """Create an object; a KubernetesError with the status 409 says that it exists."""
        async with _request(f"create {_named(item)}"):
            return _plain(await self._client.create(_RESOURCES[item["kind"]].from_dict(item)))

    async def replace(self, item: Object) -> Object:
        """Replace an object in the version that it names; 409 says that it has another one."""
        async with _request(f"replace {_named(item)}"):
            return _plain(await self._client.replace(_RESOURCES[item["kind"]].from_dict(item)))

    async def patch(self, item: Object, operations: Sequence[Object]) -> Object:
        """Change an object by a JSON patch (RFC 6902), and return the result."""
        metadata = item["metadata"]
        async with _request(f"patch {_named(item)}"):
            return _plain(
                await self._client.patch(
                    _RESOURCES[item["kind"]],
                    metadata["name"],
                    list(operations),
                    namespace=metadata["namespace"],
                    patch_type=PatchType.JSON,
                )
            )

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object if it exists."""
        try:
            async with _request(f"delete {kind} {namespace}/{name}"):
                await self._client.delete(_RESOURCES[kind], name, namespace=namespace)
        except KubernetesError as error:
            if error.status != NOT_FOUND:
                raise

    async def delete_version(self, item: Object) -> None:
        """Delete an object in the version that it names; 409 says that it has another one."""
        metadata = item["metadata"]
        client = self._client._client  # noqa: SLF001  lightkube's delete knows no preconditions
        place = {"name": metadata["name"], "namespace": metadata["namespace"]}
        request = client.prepare_request("delete", _RESOURCES[item["kind"]], **place)
        request.data = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"resourceVersion": metadata["resourceVersion"]},
        }
        async with _request(f"delete {_named(item)}"):
            answer = await client.send(client.build_adapter_request(request))  # type: ignore[no-untyped-call]
            client.handle_response("delete", answer, request)

    async def set_status(self, namespace: str, name: str, status: Object) -> Object:
        """Write the status of an AriProxy; return the AriProxy."""
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "metadata": {"name": name, "namespace": namespace},
            "status": status,
        }
        async with _request(f"write the status of {KIND} {namespace}/{name}"):
            return _plain(
                await self._client.patch(
                    _RESOURCES[KIND].Status,
                    name,
                    body,
                    namespace=namespace,
                    patch_type=PatchType.APPLY,
                    field_manager=names.MANAGER,
                    force=True,
                )
            )


@asynccontextmanager
async def opened() -> AsyncIterator[Kubernetes]:
    """Yield the API of the cluster that this process runs in, or that KUBECONFIG names.

    Raises:
        NoKubernetesError: neither is configured.
    """
    try:
        config = KubeConfig.from_env().get()
        client = AsyncClient(
            config=config,
            field_manager=names.MANAGER,
            trust_env=False,
            transport=_transport(config),
        )
    except (ConfigError, OSError) as error:
        message = f"no Kubernetes cluster: {error}; run in a pod, or set KUBECONFIG"
        raise NoKubernetesError(message) from error
    async with client:
        yield Kubernetes(client)


def _transport(config: SingleConfig | None) -> httpx2.AsyncHTTPTransport:
    """Return connections to the API server: enough for all watches, which keep theirs."""
    if config is None or config.user is None:
        raise ConfigError("the configuration has no current context with a user")
    return httpx2.AsyncHTTPTransport(
        verify=verify_cluster(config.cluster, config.user, config.abs_file, trust_env=False),
        trust_env=False,
        limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=32),
        socket_options=_KEEPALIVE,
    )


@asynccontextmanager
async def _request(what: str) -> AsyncIterator[None]:
    """Set the deadline of a request, and translate its errors."""
    with _translated(what):
        async with asyncio.timeout(REQUEST_SECONDS):
            yield


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        status = error.status
        raise KubernetesError(what, status.message or str(error), status.code or 0) from error
    except httpx2.HTTPStatusError as error:
        raise KubernetesError(what, str(error), error.response.status_code) from error
    except (httpx2.HTTPError, OSError) as error:  # OSError includes TimeoutError.
        raise KubernetesError(what, str(error) or "no answer in time") from error
    except UNDECODABLE as error:
        raise KubernetesError(what, f"the answer is no object: {error}") from error


def _named(item: Object) -> str:
    return f"{item['kind']} {item['metadata']['namespace']}/{item['metadata']['name']}"


def _head(kind: str) -> Object:
    group, version, _ = CHILDREN.get(kind) or _OTHERS[kind]
    return {"apiVersion": f"{group}/{version}" if group else version, "kind": kind}


def _plain(item: Any) -> Object:
    found: Object = dict(item)
    return found
