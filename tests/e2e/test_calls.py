"""Calls in a cluster survive restarts, upgrades and failures of everything that serves them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import yaml

from tests.e2e.conftest import RELEASE, calls, is_draining, manifest, named, sample
from tests.support import cluster
from tests.support.calls import Calls
from tests.support.cluster import Namespace
from tests.support.running import until

pytestmark = pytest.mark.timeout(420)


@asynccontextmanager
async def served(
    voice: Namespace, name: str, kind: str = "minimal", **changes: object
) -> AsyncIterator[Calls]:
    """Apply a sample under a name of its own, and yield calls on it."""
    resource = named(sample(kind, **changes), name, name)
    await asyncio.to_thread(voice.apply, yaml.safe_dump(resource))
    await asyncio.to_thread(voice.until_settled, name)
    try:
        async with calls(voice, name) as made:
            yield made
    finally:
        await asyncio.to_thread(voice.kubectl, "delete", "ariproxy", name)


async def test_call_is_served_as_the_sample_stands(voice: Namespace) -> None:
    await asyncio.to_thread(voice.apply, manifest("samples", "minimal.yaml"))
    await asyncio.to_thread(voice.until_settled, "minimal", 1)

    async with calls(voice, "demo") as made:
        (channel,) = await made.place()
        dialog = made.dialog_of(channel)
        response = await made.client.command(dialog, "POST", f"/channels/{channel}/answer")
        assert response["status_code"] == 204
        await made.mark_once_more([channel])
        await made.hang_up(channel)
        await until(lambda: "StasisEnd" in made.client.types(dialog))

    row = voice.kubectl("get", "ari", "minimal", "--no-headers").split()
    assert row[:6] == ["minimal", "True", "AllServersReady", "Settled", "1", "1"]
    # kopf has left nothing in the user's object.
    metadata = voice.get("ariproxy", "minimal")["metadata"]
    assert "finalizers" not in metadata
    assert not [name for name in metadata.get("annotations", {}) if "kopf" in name]
    await asyncio.to_thread(voice.kubectl, "delete", "ariproxy", "minimal")


async def test_server_that_is_added_is_served_too(voice: Namespace) -> None:
    async with served(voice, "added") as made:
        (channel,) = await made.place()
        second = {
            "name": "asterisk-b",
            "serverId": "added-b",
            "ari": {
                "url": "http://asterisk-1.asterisk:8088/ari",
                "credentialsSecretRef": {"name": "asterisk-ari"},
            },
            "applications": ["added-b"],
        }
        servers = [*voice.get("ariproxy", "added")["spec"]["servers"], second]
        patch = yaml.safe_dump({"spec": {"servers": servers}})
        args = ("patch", "ariproxy", "added", "--type=merge", "--patch", patch)
        await asyncio.to_thread(voice.kubectl, *args)
        await asyncio.to_thread(voice.until_settled, "added", 2)

        async with calls(voice, "added-b", asterisk="asterisk-1") as others:
            (other,) = await others.place()
            assert others.dialog_of(other).startswith("added-b.")
        await made.mark_once_more([channel])

    assert made.account().faults == {}


@pytest.mark.parametrize("kind", ["minimal", "standby"])
async def test_image_is_rolled_under_load_and_nothing_is_lost(voice: Namespace, kind: str) -> None:
    name = f"roll-{kind}"
    async with served(voice, name, kind) as made:
        channels = await made.place(10)
        async with made.marking(channels):
            image = voice.pods(name, "ingest")[0]["spec"]["containers"][0]["image"]
            patch = f'{{"spec": {{"ingest": {{"image": "docker.io/library/{image}"}}}}}}'
            args = ("patch", "ariproxy", name, "--type=merge", "--patch", patch)
            await asyncio.to_thread(voice.kubectl, *args)
            await asyncio.to_thread(voice.until_settled, name)
        await made.mark_once_more(channels)

    account = made.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    assert len(made.client.starts) == 10


async def test_standby_takes_over_from_a_killed_pod(voice: Namespace) -> None:
    async with served(voice, "killed", "standby") as made:
        channels = await made.place(10)
        lease = voice.get("lease", "killed-ingest-asterisk-a")
        holder = lease["spec"]["holderIdentity"].partition("_")[0]
        async with made.marking(channels):
            kill = ("delete", "pod", holder, "--grace-period=0", "--force")
            await asyncio.to_thread(voice.kubectl, *kill)
            await asyncio.to_thread(
                cluster.until,
                lambda: (
                    not voice.get("lease", "killed-ingest-asterisk-a")["spec"][
                        "holderIdentity"
                    ].startswith(holder)
                ),
                "another pod holds the Lease",
            )
        await made.mark_once_more(channels)
        await asyncio.to_thread(voice.until_settled, "killed")

    assert made.account().faults == {}
    assert len(made.client.starts) == 10


async def test_calls_go_on_while_the_lease_and_the_account_of_ingest_are_deleted(
    voice: Namespace,
) -> None:
    lease, account = "robbed-ingest-asterisk-a", "robbed-ingest"

    def holder() -> str:
        found = voice.names("lease")
        spec = voice.get("lease", lease)["spec"] if lease in found else {}
        return str(spec.get("holderIdentity", ""))

    async with served(voice, "robbed", "standby") as made:
        channels = await made.place(5)
        active = holder()
        async with made.marking(channels):
            await asyncio.to_thread(voice.kubectl, "delete", "lease", lease)
            await asyncio.to_thread(cluster.until, holder, "a pod holds the Lease again")
            assert holder() == active
            assert voice.condition("robbed")["status"] == "True"

            await asyncio.to_thread(voice.kubectl, "delete", "serviceaccount", account)
            await asyncio.to_thread(
                cluster.until,
                lambda: holder() not in {"", active},
                "a pod with a token of the new account holds the Lease",
            )
            await asyncio.to_thread(voice.until_settled, "robbed")
        await made.mark_once_more(channels)

    assert made.account().faults == {}
    assert made.account().lost_in_gaps == 0


@asynccontextmanager
async def second_server(voice: Namespace, name: str, kind: str) -> AsyncIterator[tuple[Calls, str]]:
    """Yield calls on the second server of a resource, and the resource without that server."""
    resource = named(sample(kind), name, name)
    first = resource["spec"]["servers"][0]
    application = f"{name}-b"
    second = {**first, "name": "asterisk-b", "serverId": f"{name}-b", "applications": [application]}
    second["ari"] = {**first["ari"], "url": "http://asterisk-1.asterisk:8088/ari"}
    resource["spec"]["servers"] = [first, second]
    await asyncio.to_thread(voice.apply, yaml.safe_dump(resource))
    await asyncio.to_thread(voice.until_settled, name, 2)
    resource["spec"]["servers"] = [first]
    try:
        async with calls(voice, application, asterisk="asterisk-1") as made:
            yield made, yaml.safe_dump(resource)
        gone = "asterisk-b is gone"
        await asyncio.to_thread(
            cluster.until, lambda: "asterisk-b" not in str(voice.names("deployments")), gone
        )
    finally:
        await asyncio.to_thread(voice.kubectl, "delete", "ariproxy", name)


async def test_removed_server_with_a_standby_serves_its_calls_to_their_end(
    voice: Namespace,
) -> None:
    async with second_server(voice, "parting", "standby") as (made, without):
        (channel,) = await made.place()
        async with made.marking([channel]):
            await asyncio.to_thread(voice.apply, without)
            # Several times as long as its Lease lasts without a renewal.
            await asyncio.sleep(12)
        await made.mark_once_more([channel])
        assert voice.pods("parting", "ingest", "asterisk-b")

    account = made.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)


async def test_removed_server_goes_on_with_its_calls_in_another_pod(voice: Namespace) -> None:
    name = "moving"
    async with second_server(voice, name, "minimal") as (made, without):
        (channel,) = await made.place()
        await asyncio.to_thread(voice.apply, without)
        leaving = "asterisk-b is leaving"
        await asyncio.to_thread(cluster.until, lambda: is_draining(voice, name), leaving)
        waited = ("rollout", "status", f"deployment/{name}-ingest-asterisk-b", "--timeout=120s")
        # The ingest that ends what is left in the end.
        await asyncio.to_thread(cluster.until, lambda: is_final(voice, name, "asterisk-b"), "final")
        await asyncio.to_thread(voice.kubectl, *waited)
        (pod,) = voice.pods(name, "ingest", "asterisk-b")
        killed = ("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
        await asyncio.to_thread(voice.kubectl, *killed)
        await asyncio.to_thread(voice.kubectl, *waited)
        await made.mark_once_more([channel])

    assert made.account().faults == {}


def is_final(voice: Namespace, name: str, server: str) -> bool:
    """Return whether the settings say that a server's ingest is its last one."""
    config = voice.get("configmap", f"{name}-ingest-{server}")["data"]["config.json"]
    return bool(json.loads(config)["ingest"].get("final"))


async def test_deleted_resource_serves_its_calls_to_their_end(voice: Namespace) -> None:
    resource = named(sample("minimal", drainOnDeletion=True), "deleted", "deleted")
    await asyncio.to_thread(voice.apply, yaml.safe_dump(resource))
    await asyncio.to_thread(voice.until_settled, "deleted")
    async with calls(voice, "deleted") as made:
        (channel,) = await made.place()
        async with made.marking([channel]):
            await asyncio.to_thread(voice.kubectl, "delete", "ari", "deleted", "--wait=false")
            final = "its ingest is the last one"
            await asyncio.to_thread(
                cluster.until, lambda: is_final(voice, "deleted", "asterisk-a"), final
            )
            waited = ("rollout", "status", "deployment/deleted-ingest-asterisk-a")
            await asyncio.to_thread(voice.kubectl, *waited, "--timeout=120s")
        await made.mark_once_more([channel])
        assert voice.condition("deleted")["reason"] == "Deleting"
        await made.hang_up(channel)
        gone = "the resource is gone"
        await asyncio.to_thread(cluster.until, lambda: "deleted" not in voice.names("ari"), gone)

    account = made.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)


async def test_calls_that_outlast_the_drain_are_told_to_have_ended(voice: Namespace) -> None:
    changes = {"drainOnDeletion": True, "drainTimeoutSeconds": 30}
    resource = named(sample("minimal", **changes), "outlasted", "outlasted")
    await asyncio.to_thread(voice.apply, yaml.safe_dump(resource))
    await asyncio.to_thread(voice.until_settled, "outlasted")
    async with calls(voice, "outlasted") as made:
        (channel,) = await made.place()
        dialog = made.dialog_of(channel)
        await asyncio.to_thread(voice.kubectl, "delete", "ari", "outlasted", "--wait=false")
        ended = "the dialog has ended"
        await asyncio.to_thread(
            cluster.until, lambda: "ProxyDialogEnded" in made.client.types(dialog), ended
        )

    (end,) = [item for item in made.client.events[dialog] if item["type"] == "ProxyDialogEnded"]
    body = json.loads(end["ari_body"])
    assert (body["reason"], body["channels"]) == ("server_removed", [channel])
    assert "outlasted" not in voice.names("ari")


async def test_operator_may_die_without_a_call_noticing(
    voice: Namespace, release: Namespace
) -> None:
    async with served(voice, "orphan") as made:
        channels = await made.place(5)
        async with made.marking(channels):
            selector = ("-l", "app.kubernetes.io/component=operator")
            await asyncio.to_thread(
                release.kubectl, "delete", "pods", *selector, "--grace-period=0", "--force"
            )
            waited = ("rollout", "status", f"deployment/{RELEASE}-ari-proxy", "--timeout=120s")
            await asyncio.to_thread(release.kubectl, *waited)
        await made.mark_once_more(channels)
        pods = [pod["metadata"]["name"] for pod in voice.pods("orphan", "ingest")]
        await asyncio.to_thread(voice.until_settled, "orphan")
        assert [pod["metadata"]["name"] for pod in voice.pods("orphan", "ingest")] == pods

    account = made.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)


async def test_call_is_served_over_rabbitmq(voice: Namespace) -> None:
    await asyncio.to_thread(voice.apply, manifest("rabbitmq", "rabbitmq.yaml"))
    wait = ("rollout", "status", "deployment/rabbitmq", "--timeout=120s")
    await asyncio.to_thread(voice.kubectl, *wait)
    resource = named(sample("rabbitmq"), "on-rabbitmq", "on-rabbitmq")
    await asyncio.to_thread(voice.apply, yaml.safe_dump(resource))
    await asyncio.to_thread(voice.until_settled, "on-rabbitmq", 1)

    account = {"user": "ari-proxy", "password": "change-me"}
    async with calls(voice, "on-rabbitmq", bus=account) as made:
        (channel,) = await made.place()
        dialog = made.dialog_of(channel)
        response = await made.client.command(dialog, "POST", f"/channels/{channel}/answer")
        assert response["status_code"] == 204
        await made.mark_once_more([channel])
    await asyncio.to_thread(voice.kubectl, "delete", "ariproxy", "on-rabbitmq")
