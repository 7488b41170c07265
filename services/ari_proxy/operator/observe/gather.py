"""Looks at the cluster: gathers what the state of one resource depends on."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import structlog

from ari_proxy.operator import names
from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.children.wanted import Object
from ari_proxy.operator.decide.rivals import rivals
from ari_proxy.operator.decide.servers import is_ready
from ari_proxy.operator.errors import KubernetesError
from ari_proxy.operator.kubernetes import CHILDREN, Kubernetes
from ari_proxy.operator.model import KIND, AriProxy, parse

from . import pods
from .state import Key, Observed, Silence, is_running

_log = structlog.get_logger()
_FORBIDDEN = 403


async def observe(
    kubernetes: Kubernetes, namespace: str, name: str, scope: Iterable[str]
) -> Observed | None:
    """Return what there is of a resource and around it; None if it is no more.

    Args:
        kubernetes: the cluster.
        namespace: of the resource.
        name: of the resource.
        scope: namespaces that the operator looks after; none means all.

    Raises:
        KubernetesError: the API server can't be asked.
    """
    resource = await kubernetes.get(KIND, namespace, name)
    if resource is None:
        return None
    proxy = parse(resource)
    async with asyncio.TaskGroup() as tasks:
        children = tasks.create_task(_children(kubernetes, proxy))
        own = tasks.create_task(_own_pods(kubernetes, proxy))
        asterisk = tasks.create_task(_asterisk_pods(kubernetes, proxy))
        others = tasks.create_task(_others(kubernetes, scope))
    observed = Observed(
        proxy=proxy,
        children=children.result(),
        pods=tuple(own.result()),
        asterisk_pods=tuple(asterisk.result()),
        rivals=rivals(proxy, others.result()),
        now=datetime.now(UTC).replace(microsecond=0),
    )
    return await _asked(kubernetes, observed)


async def _asked(kubernetes: Kubernetes, observed: Observed) -> Observed:
    """Return it with what depends on what has been seen."""
    unready = [pod for pod in observed.pods if is_running(pod) and not is_ready(pod)]
    draining = {name for item in observed.leaving for name in observed.ingests_of(item.name)}
    named = [pod for pod in observed.pods if pod["metadata"]["name"] in draining]
    leaving = [pod for pod in named if is_running(pod)]
    async with asyncio.TaskGroup() as tasks:
        complaints = tasks.create_task(pods.complaints(unready))
        dialogs = tasks.create_task(pods.dialogs(leaving))
        found = tasks.create_task(_secrets(kubernetes, observed))
    return replace(
        observed,
        complaints=complaints.result().told,
        dialogs=dialogs.result().told,
        silences=frozenset(
            [
                *(Silence("complaint", *item) for item in complaints.result().silent.items()),
                *(Silence("dialogs", *item) for item in dialogs.result().silent.items()),
            ]
        ),
        secrets=found.result(),
    )


async def _children(kubernetes: Kubernetes, proxy: AriProxy) -> dict[Key, Object]:
    """Return the objects that belong to the resource, and not only look like it."""
    labels = names.labels(proxy.metadata.name)
    async with asyncio.TaskGroup() as tasks:
        lists = [
            tasks.create_task(kubernetes.objects(kind, proxy.metadata.namespace, labels))
            for kind in CHILDREN
        ]
    items = [item for found in lists for item in found.result()]
    return {
        (item["kind"], item["metadata"]["name"]): item
        for item in items
        if _is_owned(item, proxy.metadata.uid)
    }


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


async def _others(kubernetes: Kubernetes, scope: Iterable[str]) -> list[AriProxy]:
    found: list[AriProxy] = []
    for namespace in tuple(scope) or (None,):
        for item in await kubernetes.objects(KIND, namespace):
            try:
                found.append(parse(item))
            except msgspec.ValidationError as error:  # Of a former version of the contract.
                _log.warning("resource.unreadable", name=item["metadata"]["name"], error=str(error))
    return found


async def _secrets(kubernetes: Kubernetes, observed: Observed) -> dict[str, Object | None]:
    """Return the keys of each Secret that is named; their values are nobody's business here."""
    files = secrets.of_bus(observed.proxy)
    for server in observed.wanted:
        files += secrets.of_server(server)
    namespace = observed.proxy.metadata.namespace
    return {
        name: await _keys(kubernetes, namespace, name, files)
        for name in sorted({file.secret for file in files})
    }


async def _keys(
    kubernetes: Kubernetes, namespace: str, name: str, files: list[secrets.SecretFile]
) -> Object | None:
    """Return the keys of a Secret, or None if there is none."""
    try:
        secret = await kubernetes.get("Secret", namespace, name)
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        # Without the right to look, it is taken to be there: the kubelet will tell.
        return dict.fromkeys((file.key for file in files), "")
    return None if secret is None else dict.fromkeys(secret.get("data") or {}, "")
