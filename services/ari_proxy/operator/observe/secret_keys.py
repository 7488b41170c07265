"""The keys of Secrets; their values are never kept, and Secrets never listed."""

from collections.abc import Collection, Mapping
from typing import Final

from ari_proxy.clock import Clock
from ari_proxy.operator.errors import KubernetesError
from ari_proxy.operator.kubernetes import Kubernetes
from ari_proxy.operator.objects import ResourceKey

_FORBIDDEN: Final = 403
#: How long it is remembered that a Secret has all keys that are needed. The reconciliations of one
#: change follow each other within this time.
REMEMBERED_SECONDS: Final = 10.0


class SecretKeys:
    """Reads which keys Secrets have."""

    def __init__(self, kubernetes: Kubernetes, clock: Clock) -> None:
        self._kubernetes = kubernetes
        self._clock = clock
        #: Complete Secrets, with the time until which that is presumed; oldest first.
        self._complete: dict[ResourceKey, tuple[float, frozenset[str]]] = {}

    async def of(self, secret: ResourceKey, needed: Collection[str]) -> Mapping[str, str] | None:
        """Return the keys of a Secret, or None if it does not exist.

        Raises:
            KubernetesError: it could not be read.
        """
        self._forget_old()
        _, known = self._complete.get(secret, (0.0, frozenset()))
        if known.issuperset(needed):
            return dict.fromkeys(known, "")
        found = await self._read(secret, needed)
        if found is not None and found.issuperset(needed):
            self._complete.pop(secret, None)
            self._complete[secret] = self._clock() + REMEMBERED_SECONDS, found
        return None if found is None else dict.fromkeys(found, "")

    async def _read(self, secret: ResourceKey, needed: Collection[str]) -> frozenset[str] | None:
        try:
            found = await self._kubernetes.get("Secret", *secret)
        except KubernetesError as error:
            if error.status != _FORBIDDEN:
                raise
            # Without the right to read it, assume that it exists; if not, the kubelet reports it.
            return frozenset(needed)
        return None if found is None else frozenset(found.get("data") or {})

    def _forget_old(self) -> None:
        now = self._clock()
        while self._complete:
            oldest = next(iter(self._complete))
            if self._complete[oldest][0] > now:
                return
            del self._complete[oldest]
