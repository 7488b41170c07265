"""A watch of the API server that keeps a store current: it lists, then follows the changes.

The API server selects by labels: neither memory nor traffic depends on the objects of others.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import Final, NamedTuple

import structlog

from ari_proxy.backoff import Backoff

from .errors import KubernetesError
from .kubernetes import Kubernetes
from .objects import Object, ResourceKey
from .store import Store, differing, is_no_renewal, owner_of

_log = structlog.get_logger()

BACKOFF: Final = Backoff(1.0, 30.0)
#: Kinds without which a resource can be served: the cluster lacks them, or their right is missing.
OPTIONAL: Final = frozenset({"PodMonitor", "Role", "RoleBinding", "Lease"})
#: Interval of attempts to watch a kind that there is not.
RETRY_SECONDS: Final = 600.0
_ABSENT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN})


class Scope(NamedTuple):
    """Which objects a watch concerns."""

    kind: str
    #: None: all namespaces.
    namespace: str | None
    labels: tuple[tuple[str, str], ...]


class Watch:
    """Keeps the objects of a scope."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        scope: Scope,
        changed: Callable[[ResourceKey], None],
        is_kept: Callable[[Object], bool] = lambda _: True,
        is_news: Callable[[Object | None, Object], bool] = is_no_renewal,
    ) -> None:
        """Initialise the watch.

        Args:
            kubernetes: the cluster.
            scope: what is watched.
            changed: called with the owner of each object that has changed.
            is_kept: whether an object is kept; labels can be anybody's.
            is_news: whether a change from one version to another is told.
        """
        self._kubernetes = kubernetes
        self.scope = scope
        self._changed = changed
        self._is_kept = is_kept
        self._is_news = is_news
        self._version = ""
        self._failures = 0
        self._listed = asyncio.Event()
        self._problem = "not listed yet"
        self.store = Store()

    @property
    def problem(self) -> str:
        """Why the objects are not known yet; '' if they are."""
        return "" if self._listed.is_set() else self._problem

    async def run(self) -> None:
        """Keep the store current until cancelled."""
        while True:
            try:
                await self._follow()
            except KubernetesError as error:
                await asyncio.sleep(self._pause_seconds(error))

    async def listed(self) -> None:
        """Wait until the objects are known."""
        await self._listed.wait()

    async def _follow(self) -> None:
        """Follow the changes until there is none for a while, or the connection is lost."""
        if not self._version:
            await self._list()
        kind, namespace, labels = self.scope
        changes = self._kubernetes.watch(kind, namespace, self._version, dict(labels))
        async with aclosing(changes):
            async for change, item in changes:
                self._failures = 0
                self._version = item["metadata"].get("resourceVersion", self._version)
                if self._take(change, item):
                    self._changed(owner_of(item))

    async def _list(self) -> None:
        listed = Store()
        kind, namespace, labels = self.scope

        def take(item: Object) -> None:
            if self._is_kept(item):
                listed.put(item)

        version = await self._kubernetes.list(kind, namespace, take, dict(labels))
        self._failures = 0
        if version.isdecimal():
            listed.told(int(version))
        self._known(listed)
        self._version = version

    def _take(self, change: str, item: Object) -> bool:
        if change == "DELETED" or not self._is_kept(item):
            return self.store.remove(item)
        before = self.store.get(
            ResourceKey(item["metadata"]["namespace"], item["metadata"]["name"])
        )
        return self.store.put(item) and self._is_news(before, item)

    def _known(self, listed: Store) -> None:
        """Take over what has been listed.

        An own write made during the listing may be forgotten until its event arrives.
        """
        before, self.store = self.store, listed
        self._listed.set()
        for owner in differing(before, listed):
            self._changed(owner)

    def _pause_seconds(self, error: KubernetesError) -> float:
        """Return the seconds until the next attempt, and tell the failure."""
        if error.status == HTTPStatus.GONE and self._version:
            self._version = ""  # The changes since then are lost: all is listed again.
            return 0.0
        self._problem = str(error)
        if error.status in _ABSENT and self.scope.kind in OPTIONAL:
            if not self._version:
                self._known(Store())
            self._version = ""  # What could be listed but not watched is listed again.
            _log.info("watch.unavailable", kind=self.scope.kind, error=str(error))
            return RETRY_SECONDS
        self._failures += 1
        again_seconds = BACKOFF.seconds(self._failures)
        _log.warning(
            "watch.failed",
            kind=self.scope.kind,
            error=str(error),
            again_seconds=round(again_seconds, 1),
        )
        return again_seconds
