"""Discovered Asterisk pods: scaled up and down, and restarted."""

import asyncio

import pytest
import yaml

from tests.e2e.conftest import calls, is_draining, sample
from tests.support.cluster import Namespace, until

pytestmark = pytest.mark.timeout(420)


async def test_servers_follow_the_pods_of_a_stateful_set(set_of_asterisks: Namespace) -> None:
    voice = set_of_asterisks
    resource = sample("discovery", drainTimeoutSeconds=120)
    await asyncio.to_thread(voice.apply, yaml.safe_dump(resource))
    await asyncio.to_thread(voice.until_settled, "discovery", 1)
    await asyncio.to_thread(voice.kubectl, "scale", "statefulset/asterisk", "--replicas=2")
    await asyncio.to_thread(voice.until_settled, "discovery", 2)

    async with calls(voice, "demo", asterisk="asterisk-1") as made:
        (channel,) = await made.place()
        dialog = made.dialog_of(channel)
        assert dialog.startswith("asterisk-1.")
        await asyncio.to_thread(voice.kubectl, "scale", "statefulset/asterisk", "--replicas=1")
        await asyncio.to_thread(
            until, lambda: is_draining(voice, "discovery"), "the server is draining"
        )

        # The call goes on meanwhile, and commands are executed.
        response = await made.client.command(dialog, "POST", f"/channels/{channel}/answer")
        assert response["status_code"] == 204
        assert voice.pods("discovery", "ingest", "asterisk-1")
        await made.hang_up(channel)
        await made.client.until(lambda: "StasisEnd" in made.client.types(dialog))

    gone = "the server of the pod that is gone is gone too"
    await asyncio.to_thread(
        until, lambda: "asterisk-1" not in str(voice.names("deployments")), gone, seconds=90
    )
    await asyncio.to_thread(voice.until_settled, "discovery", 1)


async def test_server_of_a_pod_that_restarts_stays(set_of_asterisks: Namespace) -> None:
    voice = set_of_asterisks
    await asyncio.to_thread(voice.apply, yaml.safe_dump(sample("discovery")))
    await asyncio.to_thread(voice.until_settled, "discovery", 1)
    before = voice.get("deployment", "discovery-ingest-asterisk-0")["metadata"]["uid"]
    await asyncio.to_thread(voice.kubectl, "delete", "pod", "asterisk-0")
    wait = ("rollout", "status", "statefulset/asterisk", "--timeout=120s")
    await asyncio.to_thread(voice.kubectl, *wait)
    await asyncio.to_thread(voice.until_settled, "discovery", 1)

    async with calls(voice, "demo") as made:
        (channel,) = await made.place()
        await made.mark_once_more([channel])

    after = voice.get("deployment", "discovery-ingest-asterisk-0")
    assert after["metadata"]["uid"] == before
    await asyncio.to_thread(voice.kubectl, "delete", "ariproxy", "discovery")
