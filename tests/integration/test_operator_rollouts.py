"""A new image goes through servers and resources in steps, and stops where it fails."""

from collections.abc import Iterable, Sequence
from typing import Any

from tests.support.api_server import ApiServer, Key
from tests.support.operator_process import (
    NAMESPACE,
    Cluster,
    condition,
    is_ready,
    resource,
)
from tests.support.running import until

NEW = "ingest:new"


def of_servers(name: str, *servers: str) -> dict[str, Any]:
    found = resource(name)
    (first,) = found["spec"]["servers"]
    found["spec"]["servers"] = [
        {**first, "name": server, "serverId": f"{name}-{server}"} for server in servers
    ]
    return found


def change(api: ApiServer, name: str, **spec: Any) -> None:
    found = api.objects[Key("ariproxies", NAMESPACE, name)]
    api.create("ariproxies", {**found, "spec": {**found["spec"], **spec}})


def with_image(api: ApiServer, image: str) -> list[str]:
    return [
        key.name
        for key, item in api.objects.items()
        if key.plural == "deployments"
        and item["spec"]["template"]["spec"]["containers"][0]["image"] == image
    ]


def held(api: ApiServer) -> set[str]:
    """Return the resources that have a pod that is held."""
    return {key.name.removesuffix("-ingest-asterisk-a") for key in api.held()}


def done(api: ApiServer) -> int:
    return len(with_image(api, NEW)) - len(api.held())


def are_queued(api: ApiServer, names: Iterable[str]) -> bool:
    reasons = {condition(api, name, "Progressing").get("reason") for name in names}
    return reasons == {"RolloutQueued"}


async def install(api: ApiServer, cluster: Cluster, names: Sequence[str]) -> None:
    """Have resources served with a former image; pods with the new one are held."""
    async with cluster.operator(ingest_image="ingest:old"):
        for name in names:
            api.create("ariproxies", resource(name))
        await until(lambda: is_ready(api, *names))
    api.held_images.add(NEW)


async def test_servers_of_a_resource_follow_each_other(api: ApiServer, cluster: Cluster) -> None:
    api.held_images.add(NEW)
    api.create("ariproxies", of_servers("voice", "a", "b", "c"))
    async with cluster.operator():
        await until(lambda: is_ready(api, "voice"))
        change(api, "voice", ingest={"image": NEW})
        for server in ("a", "b", "c"):
            await until(api.held)
            (only,) = api.held()
            assert only.name == f"voice-ingest-{server}"
            api.release(only)

        await until(lambda: condition(api, "voice", "Progressing").get("reason") == "Settled")


async def test_failure_stops_the_others_and_a_change_goes_on(
    api: ApiServer, cluster: Cluster
) -> None:
    api.held_images.add(NEW)
    api.create("ariproxies", of_servers("voice", "a", "b", "c"))
    async with cluster.operator():
        await until(lambda: is_ready(api, "voice"))
        change(api, "voice", ingest={"image": NEW})
        await until(api.held)
        api.fail(api.held()[0])
        await until(
            lambda: condition(api, "voice", "Progressing").get("reason") == "RolloutStopped"
        )
        assert with_image(api, NEW) == ["voice-ingest-a"]
        assert is_ready(api, "voice")

        change(api, "voice", ingest={"image": "ingest:good"})
        await until(lambda: len(with_image(api, "ingest:good")) == 3)


async def test_resources_follow_each_other(api: ApiServer, cluster: Cluster) -> None:
    names = [f"voice-{number}" for number in range(8)]
    await install(api, cluster, names)
    async with cluster.operator(ingest_image=NEW, max_servers_at_once=3):
        for _ in names:
            await until(lambda: len(api.held()) == min(3, len(names) - done(api)))
            assert is_ready(api, *names)
            api.release(api.held()[0])

        await until(lambda: done(api) == len(names))


async def test_image_that_fails_everywhere_stops(api: ApiServer, cluster: Cluster) -> None:
    names = [f"voice-{number}" for number in range(6)]
    await install(api, cluster, names)
    async with cluster.operator(ingest_image=NEW, max_servers_at_once=2):
        await until(lambda: len(api.held()) == 2)
        for key in api.held():
            api.fail(key)
        queued = sorted(set(names) - held(api))
        await until(lambda: are_queued(api, queued))
        # Another change than the image's is not held back by it.
        change(api, queued[-1], ingest={"image": "ingest:own"})
        await until(lambda: len(with_image(api, "ingest:own")) == 1)
        assert len(with_image(api, NEW)) == 2


async def test_change_that_is_refused_takes_nobodys_place(api: ApiServer, cluster: Cluster) -> None:
    async with cluster.operator(max_servers_at_once=1):
        for name in ("refused", "other"):
            api.create("ariproxies", resource(name))
        await until(lambda: is_ready(api, "refused", "other"))
        api.refused["patch", "deployments"] = 422
        change(api, "refused", ingest={"image": "ingest:refused"})
        await until(lambda: condition(api, "refused").get("reason") == "ApplyFailed")
        change(api, "other", ingest={"image": "ingest:other"})

        await until(lambda: condition(api, "other").get("reason") == "ApplyFailed")


async def test_operator_that_starts_knows_what_is_rolling(api: ApiServer, cluster: Cluster) -> None:
    names = [f"voice-{number}" for number in range(5)]
    await install(api, cluster, names)
    async with cluster.operator(ingest_image=NEW, max_servers_at_once=2):
        await until(lambda: len(api.held()) == 2)
    async with cluster.operator(ingest_image=NEW, max_servers_at_once=2):
        rest = set(names) - held(api)
        await until(lambda: are_queued(api, rest))
        assert len(api.held()) == 2
