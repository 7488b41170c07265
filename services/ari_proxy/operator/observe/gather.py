"""Gathers the state that the reconciliation of one resource depends on."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ari_proxy.operator import names
from ari_proxy.operator.cache import Cache
from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.drain import draining_servers
from ari_proxy.operator.decide.leadership import unled_ingests
from ari_proxy.operator.decide.rivals import claims, rivals
from ari_proxy.operator.decide.servers import desired_servers
from ari_proxy.operator.decide.slots import assigned, moving_servers
from ari_proxy.operator.model import AriProxy, parse
from ari_proxy.operator.objects import (
    Object,
    ObjectKey,
    ResourceKey,
    is_ready,
    is_running,
    key_of,
    labels_of,
)
from ari_proxy.operator.state import Observed, PodQuery, QueryFailure

from . import pods
from .secret_keys import SecretKeys


async def observe(cache: Cache, secret_keys: SecretKeys, key: ResourceKey) -> Observed | None:
    """Return the state of a resource, or None if it does not exist.

    Args:
        cache: the cluster.
        secret_keys: the cluster's Secrets.
        key: the resource.

    Raises:
        ExceptionGroup: of KubernetesError; a request to the API server failed.
        KubernetesError: the same, for the pods that the resource selects, or a large object.
    """
    resource = cache.proxies.get(key)
    if resource is None:
        return None
    proxy = parse(resource)
    selector = proxy.spec.server_selector
    asterisk_pods = await cache.selected(key, selector.match_labels if selector else None)
    observed = Observed(
        proxy=proxy,
        children=await _children(cache, key, proxy),
        pods=await _whole(cache, cache.pods(key)),
        asterisk_pods=await _whole(cache, asterisk_pods),
        now=datetime.now(UTC).replace(microsecond=0),
    )
    observed = replace(observed, rivals=_rivals(cache, observed))
    return await _with_details(secret_keys, observed)


async def _with_details(secret_keys: SecretKeys, observed: Observed) -> Observed:
    """Add the Secrets' keys and the pods' answers; which ones, depends on the rest."""
    unready = [pod for pod in observed.pods if is_running(pod) and not is_ready(pod)]
    async with asyncio.TaskGroup() as tasks:
        checks = tasks.create_task(pods.failed_checks(map(PodQuery, unready)))
        shared = tasks.create_task(pods.server_checks(map(PodQuery, _shared_pods(observed))))
        dialogs = tasks.create_task(pods.dialogs(_leaving_ingests(observed)))
        unled = [query for query in unled_ingests(observed) if is_running(query.pod)]
        active = tasks.create_task(pods.active(unled))
        found = tasks.create_task(_secrets(secret_keys, observed))
    return replace(
        observed,
        failed_checks=checks.result().values,
        server_checks=shared.result().values,
        dialogs=dialogs.result().values,
        active=active.result().values,
        query_failures=frozenset(
            [
                *(QueryFailure("checks", *item) for item in checks.result().failures.items()),
                *(QueryFailure("checks", *item) for item in shared.result().failures.items()),
                *(QueryFailure("dialogs", *item) for item in dialogs.result().failures.items()),
            ]
        ),
        secrets=found.result(),
    )


def _shared_pods(observed: Observed) -> list[Object]:
    """Return the pods that may be ready though one of their servers is not served."""
    running = filter(is_running, observed.pods)
    return [pod for pod in running if is_ready(pod) and names.SLOT in labels_of(pod)]


def _leaving_ingests(observed: Observed) -> list[PodQuery]:
    """Return the queries of ingests whose servers drain, or have another slot now."""
    draining = [server.deployed for server in draining_servers(observed)]
    return [
        PodQuery(pod, server.server_id)
        for server in [*draining, *moving_servers(observed, assigned(observed))]
        for pod in observed.pods_of(server.slot, "ingest")
        if is_running(pod)
    ]


async def _children(cache: Cache, key: ResourceKey, proxy: AriProxy) -> dict[ObjectKey, Object]:
    """Return the objects that the resource owns; labels alone could be anybody's."""
    uid = proxy.metadata.uid
    owned = [item for item in cache.children(key) if _is_owned(item, uid)]
    # One that is read anew may be somebody else's by now.
    return {key_of(item): item for item in await _whole(cache, owned) if _is_owned(item, uid)}


async def _whole(cache: Cache, items: Iterable[Object]) -> tuple[Object, ...]:
    """Return objects with all their fields, without those that have been deleted."""
    found = [await cache.whole(item) for item in items]
    return tuple(item for item in found if item is not None)


def _is_owned(item: Object, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences") or ())


def _rivals(cache: Cache, observed: Observed) -> dict[str, str]:
    server_ids = {server.server_id for server in desired_servers(observed)}
    wanted = claims(observed.proxy, server_ids)
    return rivals(observed.proxy, cache.proxies.holding(wanted))


async def _secrets(
    secret_keys: SecretKeys, observed: Observed
) -> dict[str, Mapping[str, Any] | None]:
    """Return the keys of each referenced Secret."""
    files = secrets.of_bus(observed.proxy)
    for server in desired_servers(observed):
        files += secrets.of_server(server)
    needed: dict[str, set[str]] = {}
    for file in files:
        needed.setdefault(file.secret, set()).add(file.key)
    namespace = observed.proxy.metadata.namespace
    return {
        name: await secret_keys.of(ResourceKey(namespace, name), keys)
        for name, keys in sorted(needed.items())
    }
