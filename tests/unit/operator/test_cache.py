"""Whom a write of the operator's own concerns."""

from typing import Any

import pytest

from ari_proxy.operator.cache import Cache
from ari_proxy.operator.objects import Object, ResourceKey
from tests.support.resources import resource
from tests.support.scripted_api import ScriptedApi

KEY = ResourceKey("voice", "minimal")


def version(number: int, **changes: Any) -> Object:
    found = resource()
    found["metadata"] |= {"resourceVersion": str(number), **changes}
    return found


@pytest.fixture
def told() -> list[ResourceKey]:
    return []


@pytest.fixture
def cache(told: list[ResourceKey]) -> Cache:
    found = Cache(ScriptedApi().kubernetes, (), told.append)
    found.proxies.put(version(1))
    return found


def test_own_status_is_no_news(cache: Cache, told: list[ResourceKey]) -> None:
    cache.status_written(version(2) | {"status": {"serverCount": 1}})

    assert told == []


@pytest.mark.parametrize(
    "change",
    [{"generation": 2}, {"deletionTimestamp": "2026-11-24T12:00:00Z"}, {"uid": "another"}],
    ids=["spec", "deletion", "made anew"],
)
def test_change_that_came_with_the_answer_to_a_status_is_news(
    cache: Cache, told: list[ResourceKey], change: dict[str, Any]
) -> None:
    cache.status_written(version(3, **change))

    assert told == [KEY]
    assert cache.proxies.put(version(3, **change)) == set()
