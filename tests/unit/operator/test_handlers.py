"""Events of AriProxies reach the cache, and enqueue those whom they concern."""

import inspect
from typing import Any, cast

import kopf
import pytest

from ari_proxy.operator.handlers import Handlers, settings
from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.proxies import Proxies
from tests.support.resources import resource

KEY = ResourceKey("voice", "minimal")


class Handled:
    """The handlers, and the resources that they have enqueued."""

    def __init__(self) -> None:
        self.proxies = Proxies()
        self.keys: list[ResourceKey] = []
        self.handlers = Handlers(self.proxies, self.keys.append)

    async def event(self, kind: str | None, version: int) -> None:
        found = resource()
        found["metadata"]["resourceVersion"] = str(version)
        event = cast("kopf.RawEvent", {"type": kind, "object": found})
        await self.handlers.on_resource(event=event, more="ignored")


@pytest.mark.parametrize("kind", [None, "ADDED", "MODIFIED"])
async def test_event_of_a_resource_enqueues_it(kind: str | None) -> None:
    handled = Handled()
    await handled.event(kind, 1)

    assert handled.keys == [KEY]
    assert handled.proxies.get(KEY) is not None


async def test_event_of_a_version_that_is_known_enqueues_nothing() -> None:
    handled = Handled()
    await handled.event("ADDED", 1)
    await handled.event(None, 1)

    assert handled.keys == [KEY]


async def test_deletion_enqueues_the_resource() -> None:
    handled = Handled()
    await handled.event("ADDED", 1)
    await handled.event("DELETED", 2)

    assert handled.keys == [KEY, KEY]
    assert handled.proxies.get(KEY) is None


def registered(kind: str = "_watching") -> list[Any]:
    registry = getattr(Handled().handlers.registry(), kind)  # kopf has no public view of them
    return list(registry.get_all_handlers())


def test_handlers_run_on_the_event_loop() -> None:
    """Kopf runs a plain function in a thread, and neither queue nor cache may be shared."""
    assert registered()
    assert all(inspect.iscoroutinefunction(handler.fn) for handler in registered())


def test_nothing_is_written_into_the_users_objects() -> None:
    found = settings()

    assert not found.posting.enabled
    assert found.peering.standalone
    assert not registered(kind="_changing") + registered(kind="_spawning")
