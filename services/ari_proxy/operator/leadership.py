"""Which namespaces this operator looks after: two operators would undo each other's work for ever.

A Lease decides. An operator for all namespaces claims one in a fixed namespace, an operator for
some namespaces one in each of them; the former leaves those to the latter. Who waits follows the
cluster as the other does, so it can take over at once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus

import structlog

from ari_proxy.clock import Clock

from .election import LABELS, NAME, Election, release_of
from .errors import KubernetesError
from .kubernetes import Kubernetes
from .objects import Object, ResourceKey
from .report import events
from .watch import Scope, Watch

_log = structlog.get_logger()


class Leadership:
    """Claims and renews this operator's Leases, and follows those of others."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        namespaces: Sequence[str],
        place: str,
        identity: str,
        duration_seconds: int,
        clock: Clock = time.monotonic,
    ) -> None:
        """Initialise it.

        Args:
            kubernetes: the cluster.
            namespaces: those to look after; empty means all.
            place: namespace of the Lease for all namespaces.
            identity: of this process: `namespace/pod_random`.
            duration_seconds: after which another operator takes over from one that has crashed.
            clock: returns monotonic seconds.
        """
        self._kubernetes = kubernetes
        self._clock = clock
        self._is_everywhere = not namespaces
        self._places = tuple(namespaces) or (place,)
        self._identity = identity
        self._duration = duration_seconds
        #: By namespace: all Leases that are known, and ours.
        self._elections = {where: self._election(where) for where in self._places}
        labels = tuple(sorted(LABELS.items()))
        scopes = [Scope("Lease", where, labels) for where in tuple(namespaces) or (None,)]
        self._watches = [
            Watch(kubernetes, scope, self._seen, _is_election, is_news=lambda *_: True)
            for scope in scopes
        ]
        self._news = asyncio.Event()
        self._known: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()
        #: Whether somebody was told not to write where `_known` says that this operator does.
        self._has_lapsed = False
        #: Namespaces of others whose Lease is over, as was read: a watch may have stalled.
        self._over: set[str] = set()
        #: By place: the holder that has been told.
        self._told: dict[str, str] = {}
        self._refusal = "no Lease has been claimed yet"

    def leads(self, namespace: str) -> bool:
        """Return whether this operator may write in a namespace now."""
        now = self._clock()
        place = self._places[0] if self._is_everywhere else namespace
        if place not in self._places:
            return False
        is_left = namespace != place and self._is_left_to_others(namespace, now)
        if self._elections[place].is_leader(now) and not is_left:
            return True
        led, left = self._known
        self._has_lapsed |= place in led and namespace not in left
        return False

    @property
    def problem(self) -> str:
        """What another release of the operator, or Kubernetes, keeps this one from; or ''."""
        now = self._clock()
        for place in self._places:
            election = self._elections[place]
            if election.is_foreign(now) and self._is_other_release(election.holder):
                return _refusal(place, election.holder)
            if not election.is_leader(now) and not election.is_foreign(now):
                return self._refusal
        return ""

    async def run(self, changed: Callable[[], None]) -> None:
        """Keep the Leases until cancelled.

        Args:
            changed: called when this operator gets or loses a namespace.
        """
        async with asyncio.TaskGroup() as tasks:
            for watch in self._watches:
                tasks.create_task(watch.run())
            for watch in self._watches:
                await watch.listed()
            while True:
                self._news.clear()
                self._observe()
                await self._claim_due()
                await self._read_expired()
                self._compare(changed)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._wait_seconds()):
                        await self._news.wait()

    async def release(self) -> None:
        """Delete the Leases, so that another operator goes on at once.

        They are read anew: a claim may have been written whose answer has not come any more. One
        that another operator claims after that stays.
        """
        for place in self._places:
            election = self._elections[place]
            with suppress(KubernetesError):
                election.observe(await self._kubernetes.get("Lease", place, NAME), self._clock())
                if election.lease is not None and election.holder == self._identity:
                    await self._kubernetes.delete_version(election.lease)

    def _election(self, namespace: str) -> Election:
        return Election(namespace, self._identity, self._duration)

    def _seen(self, _: ResourceKey) -> None:
        self._news.set()

    def _observe(self) -> None:
        """Take the Leases over from the watches."""
        now = self._clock()
        leases = [item for watch in self._watches for item in watch.store]
        found = {item["metadata"]["namespace"]: item for item in leases}
        for namespace in found.keys() - self._elections.keys():
            self._elections[namespace] = self._election(namespace)
        for namespace, election in list(self._elections.items()):
            election.observe(found.get(namespace), now)
            if namespace not in found and namespace not in self._places:
                del self._elections[namespace]

    async def _claim_due(self) -> None:
        for place in self._places:
            election = self._elections[place]
            if election.wait_seconds(self._clock()) > 0:
                await self._tell(election, place)
                continue
            begun_at = self._clock()
            try:
                lease = await self._written(election)
            except KubernetesError as error:
                await self._refused(place, error)
            else:
                election.written(lease, begun_at)
                self._note(place, lease)

    async def _read_expired(self) -> None:
        """Read the Leases of others that seem over; until that has succeeded they count."""
        self._over.intersection_update(self._expired())
        # No longer, since the own Lease has to be renewed.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._duration / 3), asyncio.TaskGroup() as tasks:
                for namespace in self._expired() - self._over:
                    tasks.create_task(self._read(namespace))

    async def _read(self, namespace: str) -> None:
        try:
            lease = await self._kubernetes.get("Lease", namespace, NAME)
        except KubernetesError as error:
            _log.warning("operator.lease_not_read", namespace=namespace, error=str(error))
            return
        self._note(namespace, lease)
        now, election = self._clock(), self._elections[namespace]
        election.observe(lease, now)
        if not election.is_foreign(now):
            self._over.add(namespace)

    def _expired(self) -> set[str]:
        """Return the namespaces of others whose Lease has not changed for its duration."""
        now = self._clock()
        return {
            namespace
            for namespace, election in self._elections.items()
            if namespace not in self._places
            and election.holder not in {"", self._identity}
            and not election.is_foreign(now)
        }

    async def _written(self, election: Election) -> Object:
        claim = election.claim(datetime.now(UTC))
        if election.lease is None:
            return await self._kubernetes.create(claim)
        return await self._kubernetes.replace(claim)

    async def _refused(self, place: str, error: KubernetesError) -> None:
        self._refusal = str(error)
        if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
            _log.warning("operator.lease_not_written", namespace=place, error=str(error))
            return
        # Somebody else was first, or deleted it: see who has it, should the watch be late. One
        # that tells of the end before a claim has been answered never tells it again.
        with suppress(KubernetesError):
            self._note(place, await self._kubernetes.get("Lease", place, NAME))

    def _note(self, namespace: str, lease: Object | None) -> None:
        """Keep a namespace's Lease as Kubernetes has answered; None if it has none."""
        for watch in self._watches:
            if lease is None:
                watch.store.discard(ResourceKey(namespace, NAME))
            elif watch.scope.namespace in {None, namespace}:
                watch.store.answered(lease)

    def _compare(self, changed: Callable[[], None]) -> None:
        """Tell what has changed since the last comparison."""
        now = self._clock()
        led = frozenset(place for place in self._places if self._elections[place].is_leader(now))
        others = self._elections.keys() - set(self._places)
        left = frozenset(name for name in others if self._is_left_to_others(name, now))
        if (led, left) == self._known and not self._has_lapsed:
            return
        self._has_lapsed = False
        former_led, former_left = self._known
        self._known = led, left
        for place in sorted(led ^ former_led):
            _log.info("operator.leads" if place in led else "operator.waits", namespace=place)
        for name in sorted(left - former_left):
            holder = self._elections[name].holder
            _log.warning("operator.namespace_left", namespace=name, holder=holder)
        changed()

    def _is_left_to_others(self, namespace: str, now: float) -> bool:
        election = self._elections.get(namespace)
        if election is None or election.holder in {"", self._identity}:
            return False
        return election.is_foreign(now) or namespace not in self._over

    def _is_other_release(self, holder: str) -> bool:
        return release_of(holder) != release_of(self._identity)

    async def _tell(self, election: Election, place: str) -> None:
        """Tell once that another operator leads: in the log, and as an Event of its Lease."""
        holder = election.holder
        is_told = self._told.get(place) == holder
        if election.is_leader(self._clock()) or is_told or election.lease is None:
            return
        self._told[place] = holder
        _log.warning("operator.another_leads", namespace=place, holder=holder)
        if not self._is_other_release(holder):
            return
        note = f"{self._identity} waits: {_refusal(place, holder)}"
        with suppress(KubernetesError):
            told = events.of_lease(election.lease, note, datetime.now(UTC))
            await self._kubernetes.apply(told)

    def _wait_seconds(self) -> float:
        now = self._clock()
        waits = [self._elections[place].wait_seconds(now) for place in self._places]
        waits += [
            election.wait_seconds(now)
            for election in self._elections.values()
            if election.is_foreign(now)
        ]
        waits += [self._duration / 3] if self._expired() - self._over else []
        # A claim that was refused is repeated after a third of the duration.
        return max(min(waits), self._duration / 3 if min(waits) == 0 else 0.0)


def _is_election(lease: Object) -> bool:
    return bool(lease["metadata"]["name"] == NAME)


def _refusal(place: str, holder: str) -> str:
    return (
        f"another release of the operator, {holder}, holds the Lease {place}/{NAME}: uninstall one"
        " of the two, or give each namespaces of its own"
    )
