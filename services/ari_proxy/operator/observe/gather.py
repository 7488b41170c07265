"""Gathers the state that the reconciliation of one resource depends on."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import structlog

from ari_proxy.operator import names
from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.drain import draining_servers
from ari_proxy.operator.decide.rivals import rivals
from ari_proxy.operator.decide.servers import desired_servers
from ari_proxy.operator.errors import KubernetesError
from ari_proxy.operator.kubernetes import CHILDREN, Kubernetes
from ari_proxy.operator.model import KIND, AriProxy, parse
from ari_proxy.operator.objects import (
    Object,
    ObjectKey,
    ResourceKey,
    is_ready,
    is_running,
    key_of,
)
from ari_proxy.operator.state import Observed, QueryFailure

from . import pods

_log = structlog.get_logger()
_FORBIDDEN = 403


async def observe(
    kubernetes: Kubernetes, key: ResourceKey, namespaces: Iterable[str]
) -> Observed | None:
    """Return the state of a resource, or None if it does not exist.

    Args:
        kubernetes: the cluster.
        key: the resource.
        namespaces: those in which other resources may serve the same servers; empty means all.

    Raises:
        ExceptionGroup: of KubernetesError; a request to the API server failed.
        KubernetesError: the same, for the first request.
    """
    resource = await kubernetes.get(KIND, key.namespace, key.name)
    if resource is None:
        return None
    proxy = parse(resource)
    async with asyncio.TaskGroup() as tasks:
        children = tasks.create_task(_children(kubernetes, proxy))
        own = tasks.create_task(_own_pods(kubernetes, proxy))
        asterisk = tasks.create_task(_asterisk_pods(kubernetes, proxy))
        resources = tasks.create_task(_resources(kubernetes, namespaces))
    observed = Observed(
        proxy=proxy,
        children=children.result(),
        pods=tuple(own.result()),
        asterisk_pods=tuple(asterisk.result()),
        rivals=rivals(proxy, resources.result()),
        now=datetime.now(UTC).replace(microsecond=0),
    )
    return await _with_details(kubernetes, observed)


async def _with_details(kubernetes: Kubernetes, observed: Observed) -> Observed:
    """Add the Secrets' keys and the pods' answers; which ones, depends on the rest."""
    unready = [pod for pod in observed.pods if is_running(pod) and not is_ready(pod)]
    async with asyncio.TaskGroup() as tasks:
        checks = tasks.create_task(pods.failed_checks(unready))
        dialogs = tasks.create_task(pods.dialogs(_draining_ingests(observed)))
        found = tasks.create_task(_secrets(kubernetes, observed))
    return replace(
        observed,
        failed_checks=checks.result().values,
        dialogs=dialogs.result().values,
        query_failures=frozenset(
            [
                *(QueryFailure("checks", *item) for item in checks.result().failures.items()),
                *(QueryFailure("dialogs", *item) for item in dialogs.result().failures.items()),
            ]
        ),
        secrets=found.result(),
    )


def _draining_ingests(observed: Observed) -> list[Object]:
    draining = {
        name for server in draining_servers(observed) for name in observed.ingests_of(server.name)
    }
    found = [pod for pod in observed.pods if pod["metadata"]["name"] in draining]
    return [pod for pod in found if is_running(pod)]


async def _children(kubernetes: Kubernetes, proxy: AriProxy) -> dict[ObjectKey, Object]:
    """Return the objects that the resource owns; labels alone could be anybody's."""
    labels = names.labels(proxy.metadata.name)
    async with asyncio.TaskGroup() as tasks:
        lists = [
            tasks.create_task(kubernetes.objects(kind, proxy.metadata.namespace, labels))
            for kind in CHILDREN
        ]
    items = [item for found in lists for item in found.result()]
    return {key_of(item): item for item in items if _is_owned(item, proxy.metadata.uid)}


def _is_owned(item: Object, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences") or ())


async def _own_pods(kubernetes: Kubernetes, proxy: AriProxy) -> list[Object]:
    labels = names.labels(proxy.metadata.name)
    return await kubernetes.objects("Pod", proxy.metadata.namespace, labels)


async def _asterisk_pods(kubernetes: Kubernetes, proxy: AriProxy) -> list[Object]:
    selector = proxy.spec.server_selector
    if selector is None:
        return []
    return await kubernetes.objects("Pod", proxy.metadata.namespace, selector.match_labels)


async def _resources(kubernetes: Kubernetes, namespaces: Iterable[str]) -> list[AriProxy]:
    found: list[AriProxy] = []
    for namespace in tuple(namespaces) or (None,):
        for item in await kubernetes.objects(KIND, namespace):
            try:
                found.append(parse(item))
            except msgspec.ValidationError as error:  # Of a former version of the contract.
                _log.warning("resource.unreadable", name=item["metadata"]["name"], error=str(error))
    return found


async def _secrets(kubernetes: Kubernetes, observed: Observed) -> dict[str, Object | None]:
    """Return the keys of each referenced Secret; values are never kept."""
    files = secrets.of_bus(observed.proxy)
    for server in desired_servers(observed):
        files += secrets.of_server(server)
    namespace = observed.proxy.metadata.namespace
    return {
        name: await _keys(kubernetes, namespace, name, files)
        for name in sorted({file.secret for file in files})
    }


async def _keys(
    kubernetes: Kubernetes, namespace: str, name: str, files: list[secrets.SecretFile]
) -> Object | None:
    """Return the keys of a Secret, or None if it does not exist."""
    try:
        secret = await kubernetes.get("Secret", namespace, name)
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        # Without the right to read it, assume that it exists; if not, the kubelet reports it.
        return dict.fromkeys((file.key for file in files), "")
    return None if secret is None else dict.fromkeys(secret.get("data") or {}, "")
