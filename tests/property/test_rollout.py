"""Roll-outs of many servers: never too many at once, none after a failure, and all in the end."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.operator.decide.rollout import (
    Elsewhere,
    Phase,
    Rollout,
    ServerRollout,
    limit_of,
    rollout,
)
from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.rollouts import Rollouts

LIMITS = st.one_of(st.integers(1, 10), st.integers(1, 100).map(lambda share: f"{share}%"))


@dataclass
class Resource:
    """The servers of a resource; those that are bad never become ready with the new template."""

    phases: dict[str, Phase]
    limit: int
    bad: set[str] = field(default_factory=set)

    def step(self, elsewhere: Elsewhere) -> Rollout:
        servers = [
            ServerRollout(name=name, phase=phase, is_of_installation=True)
            for name, phase in self.phases.items()
        ]
        found = rollout(servers, self.limit, elsewhere)
        self.phases |= dict.fromkeys(found.started, Phase.ROLLING)
        return found

    def end(self, name: str) -> None:
        """End the roll-out of a server, well or not."""
        self.phases[name] = Phase.FAILED if name in self.bad else Phase.CURRENT

    def of(self, phase: Phase) -> list[str]:
        return [name for name, found in self.phases.items() if found is phase]


def waiting(count: int, limit: int | str, bad: set[int] | None = None) -> Resource:
    names = [f"s{number}" for number in range(count)]
    broken = {names[number] for number in bad or set() if number < count}
    return Resource(dict.fromkeys(names, Phase.WAITING), limit_of(limit, count), broken)


@given(st.integers(1, 32), LIMITS, st.data())
def test_as_many_as_allowed_roll_at_once_and_all_in_the_end(
    count: int, limit: int | str, data: st.DataObject
) -> None:
    resource = waiting(count, limit)
    while resource.of(Phase.WAITING) or resource.of(Phase.ROLLING):
        resource.step(Elsewhere())
        rolling = resource.of(Phase.ROLLING)
        # No more than allowed, and no fewer while any waits.
        assert len(rolling) == min(resource.limit, len(rolling + resource.of(Phase.WAITING)))
        for name in data.draw(st.sets(st.sampled_from(rolling), min_size=1)):
            resource.end(name)

    assert len(resource.of(Phase.CURRENT)) == count


@given(st.integers(1, 32), LIMITS, st.sets(st.integers(0, 31), min_size=1), st.data())
def test_nothing_begins_after_a_failure(
    count: int, limit: int | str, bad: set[int], data: st.DataObject
) -> None:
    resource = waiting(count, limit, bad)
    for _ in range(2 * count):
        failed, before = resource.of(Phase.FAILED), resource.of(Phase.WAITING)
        resource.step(Elsewhere())
        if failed:
            assert resource.of(Phase.WAITING) == before
        if rolling := resource.of(Phase.ROLLING):
            resource.end(data.draw(st.sampled_from(rolling)))

    assert resource.of(Phase.ROLLING) == []
    assert len(resource.of(Phase.FAILED)) <= resource.limit
    # It goes on once those have become ready.
    resource.phases |= dict.fromkeys(resource.of(Phase.FAILED), Phase.CURRENT)
    resource.bad.clear()
    while resource.of(Phase.WAITING):
        for name in resource.step(Elsewhere()).started:
            resource.end(name)


class Operator:
    """Resources of one server or some, as an operator looks at them."""

    def __init__(self, resources: dict[ResourceKey, Resource], limit: int) -> None:
        self.resources = resources
        self.limit = limit
        self.queue = list(resources)
        self.rollouts = Rollouts(limit, self.queue.append)
        #: Those that can not be reconciled after their first time.
        self.lost: set[ResourceKey] = set()
        self.seen: set[ResourceKey] = set()

    def look(self, key: ResourceKey) -> None:
        if key in self.seen & self.lost:
            self.rollouts.pass_over(key, self.resources[key].of(Phase.ROLLING))
            return
        self.seen.add(key)
        found = self.resources[key].step(self.rollouts.elsewhere(key))
        self.rollouts.note(key, found)
        assert sum(map(len, self.of(Phase.ROLLING).values())) <= self.limit

    def of(self, phase: Phase) -> dict[ResourceKey, list[str]]:
        return {key: item.of(phase) for key, item in self.resources.items() if item.of(phase)}

    def run(self, data: st.DataObject) -> None:
        """Look at what is enqueued, and end roll-outs, in any order, until nothing happens."""
        while self.queue or self.of(Phase.ROLLING):
            rolling = sorted(self.of(Phase.ROLLING))
            if self.queue and (not rolling or data.draw(st.booleans())):
                self.look(self.queue.pop(0))
                continue
            key = data.draw(st.sampled_from(rolling))
            self.resources[key].end(self.resources[key].of(Phase.ROLLING)[0])
            self.queue.append(key)  # Its Deployment has changed.


def keys(count: int) -> list[ResourceKey]:
    return [ResourceKey("voice", f"r{number}") for number in range(count)]


@given(
    st.lists(st.tuples(st.integers(1, 4), LIMITS), min_size=1, max_size=12),
    st.integers(1, 6),
    st.data(),
)
def test_of_many_resources_few_roll_at_once_and_all_in_the_end(
    sizes: list[tuple[int, int | str]], limit: int, data: st.DataObject
) -> None:
    resources = [waiting(*size) for size in sizes]
    operator = Operator(dict(zip(keys(len(sizes)), resources, strict=True)), limit)
    operator.run(data)

    assert operator.of(Phase.WAITING) == {}


@given(st.sets(st.integers(0, 11)), st.integers(1, 4), st.data())
def test_resources_that_can_not_be_reconciled_hold_back_no_others(
    lost: set[int], limit: int, data: st.DataObject
) -> None:
    resources = dict(zip(keys(12), [waiting(1, 1) for _ in range(12)], strict=True))
    operator = Operator(resources, limit)
    operator.lost = {key for number, key in enumerate(resources) if number in lost}
    operator.run(data)

    assert operator.of(Phase.WAITING).keys() <= operator.lost


@given(st.integers(1, 12), st.integers(1, 4), st.data())
def test_image_of_the_installation_stops_when_it_fails_everywhere(
    count: int, limit: int, data: st.DataObject
) -> None:
    resources = [waiting(1, 1, {0}) for _ in range(count)]
    operator = Operator(dict(zip(keys(count), resources, strict=True)), limit)
    operator.run(data)

    assert len(operator.of(Phase.FAILED)) == min(count, limit)


@given(st.integers(1, 12), st.integers(1, 4), st.data())
def test_resource_that_is_gone_leaves_its_place(
    count: int, limit: int, data: st.DataObject
) -> None:
    resources = dict(zip(keys(count), [waiting(1, 1) for _ in range(count)], strict=True))
    operator = Operator(resources, limit)
    for key in list(resources):
        operator.look(key)
    operator.queue.clear()
    for key in list(operator.of(Phase.ROLLING)):
        operator.rollouts.forget(key)
        del resources[key]
    operator.run(data)

    assert operator.of(Phase.WAITING) == {}
