"""What the operator knows of the cluster: all AriProxies, their objects, and Asterisk's pods.

kopf delivers the AriProxies, watches of our own the rest: each resource may select Asterisk's pods
by other labels, which kopf's watches can't.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from . import names
from .errors import KubernetesError
from .kubernetes import CHILDREN, REQUEST_SECONDS, Kubernetes
from .model import GROUP, KIND
from .objects import Object, ResourceKey
from .proxies import Proxies
from .store import is_whole
from .watch import Scope, Watch

_log = structlog.get_logger()

#: Interval of lists of all AriProxies: kopf tells no deletion that it has missed.
LIST_SECONDS: Final = 600.0
_OWN: Final = ((names.MANAGED_BY, names.MANAGER),)


class Cache:
    """The newest known state of everything that a reconciliation reads, but Secrets."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        namespaces: Sequence[str],
        changed: Callable[[ResourceKey], None],
    ) -> None:
        """Initialise the cache.

        Args:
            kubernetes: the cluster.
            namespaces: those to watch; empty means all.
            changed: called with each resource that a change may concern.
        """
        self._kubernetes = kubernetes
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        #: Call it with each resource that a change may concern.
        self.changed = changed
        self._watches = {
            kind: [
                Watch(kubernetes, Scope(kind, namespace, _OWN), changed, is_kept)
                for namespace in self._namespaces
            ]
            for kind, is_kept in {**dict.fromkeys(CHILDREN, _is_owned), "Pod": _is_any}.items()
        }
        self._selected: dict[ResourceKey, Scope] = {}
        self._selections: dict[Scope, tuple[Watch, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self.proxies = Proxies()

    async def run(self) -> None:
        """Keep it current until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for watch in self._all_watches():
                tasks.create_task(watch.run())
            tasks.create_task(self._list_at_intervals())

    async def complete(self) -> None:
        """Wait until all objects are known; the AriProxies are after `list_proxies`."""
        for watch in self._all_watches():
            await watch.listed()

    @property
    def problem(self) -> str:
        """Why it is not complete; '' if it is."""
        return next((watch.problem for watch in self._all_watches() if watch.problem), "")

    def children(self, key: ResourceKey) -> list[Object]:
        """Return the objects that are labelled as a resource's and owned by any."""
        return [
            item
            for kind in CHILDREN
            for watch in self._watches[kind]
            for item in watch.store.of(key)
        ]

    def pods(self, key: ResourceKey) -> list[Object]:
        """Return the pods that are labelled as a resource's."""
        return [item for watch in self._watches["Pod"] for item in watch.store.of(key)]

    async def whole(self, item: Object) -> Object | None:
        """Return an object with all its fields, read anew if it was too large to keep.

        Returns:
            None if it has been deleted meanwhile.

        Raises:
            KubernetesError: it could not be read.
        """
        if is_whole(item):
            return item
        metadata = item["metadata"]
        return await self._kubernetes.get(item["kind"], metadata["namespace"], metadata["name"])

    async def selected(
        self, key: ResourceKey, match_labels: Mapping[str, str] | None
    ) -> list[Object]:
        """Return the pods that a resource selects, and follow them from now on.

        Args:
            key: the resource.
            match_labels: of its pods; None if it selects none.

        Raises:
            KubernetesError: they could not be listed in time.
        """
        if match_labels is None:
            self.forget(key)
            return []
        scope = Scope("Pod", key.namespace, tuple(sorted(match_labels.items())))
        watch = self._select(key, scope)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await watch.listed()
        except TimeoutError as error:
            raise KubernetesError("watch the pods of serverSelector", watch.problem) from error
        return list(watch.store)

    def forget(self, key: ResourceKey) -> None:
        """End the watch of the pods that a resource selects, unless others select the same."""
        scope = self._selected.pop(key, None)
        if scope is not None and scope not in self._selected.values():
            _, task = self._selections.pop(scope)
            task.cancel()

    def written(self, item: Object) -> None:
        """Note the result of an own write."""
        for watch in self._watches_of(item["kind"], item["metadata"]["namespace"]):
            watch.store.answered(item)

    def status_written(self, resource: Object) -> None:
        """Note an AriProxy whose status this process has written; that is no news for itself.

        The answer has whatever somebody else has changed meanwhile, which is.
        """
        key = ResourceKey(resource["metadata"]["namespace"], resource["metadata"]["name"])
        is_changed = _wanted(resource) != _wanted(self.proxies.get(key))
        self._concerns(self.proxies.put(resource) - (set() if is_changed else {key}))

    def deleted(self, kind: str, namespace: str, name: str) -> None:
        """Note an own deletion."""
        for watch in self._watches_of(kind, namespace):
            watch.store.discard(ResourceKey(namespace, name))

    async def list_proxies(self) -> None:
        """List all AriProxies.

        Raises:
            KubernetesError: the CRD, the right to read it, or the API server is missing.
        """
        for namespace in self._namespaces:
            listed: set[ResourceKey] = set()

            def take(item: Object, listed: set[ResourceKey] = listed) -> None:
                listed.add(ResourceKey(item["metadata"]["namespace"], item["metadata"]["name"]))
                self._concerns(self.proxies.put(item))

            version = await self._kubernetes.list(KIND, namespace, take)
            self._concerns(self.proxies.retain(listed, int(version or 0), namespace))

    def _concerns(self, keys: set[ResourceKey]) -> None:
        for key in keys:
            self.changed(key)

    async def _list_at_intervals(self) -> None:
        while True:
            await asyncio.sleep(LIST_SECONDS)
            try:
                await self.list_proxies()
            except KubernetesError as error:
                _log.warning("resources.not_listed", error=str(error))

    def _select(self, key: ResourceKey, scope: Scope) -> Watch:
        if self._selected.get(key) != scope:
            self.forget(key)
        self._selected[key] = scope
        if scope not in self._selections:
            if self._tasks is None:
                raise KubernetesError("watch the pods of serverSelector", "nothing is watched yet")
            watch = Watch(self._kubernetes, scope, lambda _: self._selection_changed(scope))
            self._selections[scope] = watch, self._tasks.create_task(watch.run())
        return self._selections[scope][0]

    def _selection_changed(self, scope: Scope) -> None:
        for key, selected in self._selected.items():
            if selected == scope:
                self.changed(key)

    def _all_watches(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    def _watches_of(self, kind: str, namespace: str) -> list[Watch]:
        watches = self._watches.get(kind, [])
        return [watch for watch in watches if watch.scope.namespace in {None, namespace}]


def _is_owned(item: Object) -> bool:
    """Return whether an AriProxy owns an object; its labels can be anybody's."""
    owners = item["metadata"].get("ownerReferences") or ()
    return any(
        owner["kind"] == KIND and owner["apiVersion"].startswith(f"{GROUP}/") for owner in owners
    )


def _wanted(resource: Object | None) -> tuple[object, ...] | None:
    """Return what differs once somebody wants something else of a resource, or its deletion."""
    if resource is None:
        return None
    fields = ("uid", "generation", "deletionTimestamp")
    return tuple(resource["metadata"].get(field) for field in fields)


def _is_any(_: Object) -> bool:
    return True
