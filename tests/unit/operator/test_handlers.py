"""Watch events enqueue the resources that they may concern."""

import inspect
from collections.abc import Mapping
from typing import Any

from ari_proxy.operator import names
from ari_proxy.operator.handlers import Handlers, settings
from ari_proxy.operator.model import ServerSelector
from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.work_queue import WorkQueue
from tests.support.clock import Clock
from tests.support.resources import proxy

KEY = ResourceKey("voice", "discovery")
CHILD = {names.MANAGED_BY: names.MANAGER, names.INSTANCE: "minimal"}


def selectors(namespace: str = "voice") -> dict[ResourceKey, ServerSelector]:
    selector = proxy("discovery").spec.server_selector
    assert selector is not None
    return {ResourceKey(namespace, "discovery"): selector}


class Enqueued:
    """The handlers, and the resources that they have enqueued."""

    def __init__(self, selectors: Mapping[ResourceKey, ServerSelector]) -> None:
        self._clock = Clock()
        self._queue = WorkQueue(self._clock)
        self.handlers = Handlers(self._queue, selectors)

    async def keys(self, count: int) -> set[ResourceKey]:
        self._clock.now += 1
        return {await self._queue.get() for _ in range(count)}


async def test_event_of_a_resource_enqueues_it() -> None:
    enqueued = Enqueued({})
    await enqueued.handlers.on_resource(namespace="voice", name="minimal", more="ignored")

    assert await enqueued.keys(1) == {ResourceKey("voice", "minimal")}


async def test_event_of_a_child_enqueues_its_resource() -> None:
    enqueued = Enqueued({})
    await enqueued.handlers.on_child(namespace="voice", labels=CHILD)

    assert await enqueued.keys(1) == {ResourceKey("voice", "minimal")}


async def test_event_of_an_asterisk_pod_enqueues_the_resources_that_select_it() -> None:
    found = selectors()
    enqueued = Enqueued(found)
    (selector,) = found.values()
    # Selectors may change after the registration: the mapping is a live view.
    found[ResourceKey("other", "same-labels")] = selector
    await enqueued.handlers.on_pod(namespace="voice", labels=selector.match_labels)
    await enqueued.handlers.on_resource(namespace="last", name="last")

    assert await enqueued.keys(2) == {KEY, ResourceKey("last", "last")}


async def test_event_of_a_childs_pod_enqueues_its_resource() -> None:
    enqueued = Enqueued(selectors())
    await enqueued.handlers.on_pod(namespace="voice", labels=CHILD)

    assert await enqueued.keys(1) == {ResourceKey("voice", "minimal")}


async def test_event_of_any_other_pod_is_ignored() -> None:
    enqueued = Enqueued(selectors())
    await enqueued.handlers.on_pod(namespace="voice", labels={"app": "other"})
    await enqueued.handlers.on_resource(namespace="last", name="last")

    assert await enqueued.keys(1) == {ResourceKey("last", "last")}


def registered(kind: str = "_watching") -> list[Any]:
    registry = getattr(Enqueued({}).handlers.registry(), kind)  # kopf has no public view of them
    return list(registry.get_all_handlers())


def test_handlers_run_on_the_event_loop() -> None:
    """Kopf runs a plain function in a thread, and neither queue nor selectors may be shared."""
    assert registered()
    assert all(inspect.iscoroutinefunction(handler.fn) for handler in registered())


def test_nothing_is_written_into_the_users_objects() -> None:
    found = settings()

    assert not found.posting.enabled
    assert found.peering.standalone
    assert not registered(kind="_changing") + registered(kind="_spawning")
