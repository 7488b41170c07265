"""Servers that share pods in a cluster: calls of each, while others come, go and move."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import calls, is_draining, sample
from tests.support.calls import Calls
from tests.support.cluster import Namespace
from tests.support.cluster import until as until_so
from tests.support.running import until

pytestmark = pytest.mark.timeout(420)

#: Between the events of a worker: it is the order that counts, not their number.
PAUSE = 0.05


def of_two(name: str, **changes: Any) -> dict[str, Any]:
    """Return the sample of shared pods, each of whose servers has an application of its own."""
    resource = sample("shared", **changes)
    resource["metadata"]["name"] = name
    for server, letter in zip(resource["spec"]["servers"], "ab", strict=True):
        server |= {"serverId": f"{name}-{letter}", "applications": [f"{name}-{letter}"]}
    return resource


async def change(voice: Namespace, name: str, **spec: Any) -> None:
    patch = ("patch", "ariproxy", name, "--type=merge", "--patch", json.dumps({"spec": spec}))
    await asyncio.to_thread(voice.kubectl, *patch)


@asynccontextmanager
async def served(voice: Namespace, resource: dict[str, Any]) -> AsyncIterator[tuple[Calls, Calls]]:
    """Apply a resource, and yield calls on each of its two servers."""
    name = resource["metadata"]["name"]
    await asyncio.to_thread(voice.apply, yaml.safe_dump(resource))
    await asyncio.to_thread(voice.until_settled, name, 2)
    try:
        async with (
            calls(voice, f"{name}-a") as first,
            calls(voice, f"{name}-b", asterisk="asterisk-1") as second,
        ):
            yield first, second
    finally:
        await asyncio.to_thread(voice.kubectl, "delete", "ariproxy", name)


def deployments(voice: Namespace, name: str) -> list[str]:
    return sorted(voice.names("deployment", f"app.kubernetes.io/instance={name}"))


async def test_calls_of_a_server_go_on_while_its_neighbour_is_removed(voice: Namespace) -> None:
    resource = of_two("sharing")
    async with served(voice, resource) as (first, second):
        assert deployments(voice, "sharing") == ["sharing-command-0", "sharing-ingest-0"]
        channels = await first.place(5)
        (other,) = await second.place()
        dialog = second.dialog_of(other)
        for made, channel in ((first, channels[0]), (second, other)):
            answer = await made.client.command(
                made.dialog_of(channel), "POST", f"/channels/{channel}/answer"
            )
            assert answer["status_code"] == 204

        async with first.marking(channels, pause_seconds=PAUSE):
            await change(voice, "sharing", servers=resource["spec"]["servers"][:1])
            await asyncio.to_thread(
                until_so, lambda: is_draining(voice, "sharing"), "the server drains"
            )
            # Its call goes on, too, until it ends.
            await second.mark_once_more([other])
            await second.hang_up(other)
            await until(lambda: "StasisEnd" in second.client.types(dialog))
            await asyncio.to_thread(voice.until_settled, "sharing", 1)
        await first.mark_once_more(channels)

    assert first.account().faults == {}
    assert len(first.client.starts) == 5


async def test_calls_go_on_as_servers_get_shared_pods_and_own_ones(voice: Namespace) -> None:
    name = "there-and-back"
    resource = of_two(name, pods="PerServer")
    shared = [f"{name}-command-0", f"{name}-ingest-0"]
    async with served(voice, resource) as (first, second):
        placed = [(made, await made.place(3)) for made in (first, second)]
        (a, of_a), (b, of_b) = placed
        async with a.marking(of_a, pause_seconds=PAUSE), b.marking(of_b, pause_seconds=PAUSE):
            own = deployments(voice, name)
            await change(voice, name, pods="Shared")
            await asyncio.to_thread(
                until_so, lambda: deployments(voice, name) == shared, "the pods are shared"
            )
            await asyncio.to_thread(voice.until_settled, name, 2)
            await change(voice, name, pods="PerServer")
            await asyncio.to_thread(
                until_so, lambda: deployments(voice, name) == own, "each has its own again"
            )
            await asyncio.to_thread(voice.until_settled, name, 2)
        for made, channels in placed:
            await made.mark_once_more(channels)

    for made, channels in placed:
        assert made.account().faults == {}
        assert len(made.client.starts) == len(channels)


async def test_calls_go_on_as_a_move_is_taken_back_before_its_end(voice: Namespace) -> None:
    """The pods that a server comes back to may have handed it over already."""
    name = "taken-back"
    resource = of_two(name, pods="PerServer")
    shared = f"{name}-ingest-0"
    async with served(voice, resource) as (first, second):
        channels, others = await first.place(3), await second.place(3)
        marked = first.marking(channels, pause_seconds=PAUSE)
        async with marked, second.marking(others, pause_seconds=PAUSE):
            own = deployments(voice, name)
            await change(voice, name, pods="Shared")
            await asyncio.to_thread(
                until_so, lambda: shared in deployments(voice, name), "the move has begun"
            )
            await change(voice, name, pods="PerServer")
            await asyncio.to_thread(
                until_so, lambda: deployments(voice, name) == own, "each has its own only"
            )
            await asyncio.to_thread(voice.until_settled, name, 2)
        await first.mark_once_more(channels)
        await second.mark_once_more(others)

    for made in (first, second):
        assert made.account().faults == {}
        assert len(made.client.starts) == 3
