"""An Asterisk that connects to the pods, with the configuration that the operator writes."""

import asyncio
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from ari_proxy.operator.names import COMPONENTS, Component
from tests.e2e.conftest import calls, sample, voice_namespace
from tests.support import cluster
from tests.support.calls import Calls
from tests.support.cluster import Namespace

pytestmark = pytest.mark.timeout(420)

NAME = "outbound"
CONFIG = f"{NAME}-asterisk-asterisk-a"
#: After each event: Asterisk 22.10.1 may crash when a websocket ends while it sends hundreds of
#: events a second (docs/reliability.md).
CALM_SECONDS = 0.05


@pytest.fixture(scope="module")
def connecting(release: Namespace) -> Iterator[Namespace]:
    """A namespace whose Asterisk has the operator's ConfigMap over its own configuration."""
    assert release
    with voice_namespace(replicas=1) as namespace:
        namespace.apply(yaml.safe_dump(reachable()))
        cluster.until(lambda: CONFIG in namespace.names("configmaps"), "there is a ConfigMap")
        patch(namespace, "secret/asterisk-ari", {"stringData": password_file()})
        # The strategy merges volumes by name.
        volumes = [volume | {"configMap": None} for volume in documented_volumes()]
        patch(
            namespace,
            "statefulset/asterisk",
            {"spec": {"template": {"spec": {"volumes": volumes}}}},
        )
        namespace.kubectl("rollout", "status", "statefulset/asterisk", "--timeout=120s")
        yield namespace


def reachable() -> dict[str, Any]:
    """Return the sample with a URL of ARI, by which the test itself makes calls."""
    resource = sample("outbound")
    ari = resource["spec"]["servers"][0]["ari"]
    ari |= {"url": "http://asterisk-0.asterisk:8088/ari"}
    ari["outbound"]["asteriskVersion"] = "22.10.1"
    return resource


def password_file() -> dict[str, str]:
    return {"ari-proxy-password.conf": "password = change-me"}


def documented_volumes() -> list[dict[str, Any]]:
    """Return the volumes of docs/asterisk.md."""
    page = (Path(__file__).parents[2] / "docs/asterisk.md").read_text()
    (block,) = re.findall(r"```yaml\n(volumes:.*?)```", page, re.DOTALL)
    volumes: list[dict[str, Any]] = yaml.safe_load(block)["volumes"]
    return volumes


def patch(namespace: Namespace, target: str, content: dict[str, Any]) -> None:
    namespace.kubectl("patch", target, "--patch", json.dumps(content))


def connected(namespace: Namespace) -> list[str]:
    """Return the names of Asterisk's websockets that are connected."""
    show = ("exec", "asterisk-0", "--", "asterisk", "-rx", "ari show websocket sessions")
    lines = [line.split() for line in namespace.kubectl(*show).splitlines()]
    return [words[0] for words in lines if {"persistent", "Up"} <= {*words}]


async def answer(made: Calls, channel: str) -> int:
    """Answer a call by a command of its application; return the status."""
    path = f"/channels/{channel}/answer"
    response = await made.client.command(made.dialog_of(channel), "POST", path)
    status: int = response["status_code"]
    return status


async def test_rolled_pods_lose_no_event_of_an_asterisk_that_connects(
    connecting: Namespace,
) -> None:
    await asyncio.to_thread(connecting.until_settled, NAME, 1)

    async with calls(connecting, "demo") as made:
        channels = await made.place(10)
        assert await answer(made, channels[0]) == HTTPStatus.NO_CONTENT
        async with made.marking(channels, pause_seconds=CALM_SECONDS):
            spec = {
                kind: {"image": f"docker.io/library/{image_of(connecting, kind)}"}
                for kind in COMPONENTS
            }
            args = ("ariproxy", NAME, "--type=merge", "--patch", json.dumps({"spec": spec}))
            await asyncio.to_thread(connecting.kubectl, "patch", *args)
            await asyncio.to_thread(connecting.until_settled, NAME)
        await made.mark_once_more(channels)
        assert await answer(made, channels[1]) == HTTPStatus.NO_CONTENT

    account = made.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    assert len(made.client.starts) == 10
    # Two executors have four each; one more is to spare.
    everything = "the websocket for events, and those of the executors"
    await asyncio.to_thread(
        cluster.until, lambda: len(connected(connecting)) == 1 + 2 * 4, everything
    )


async def test_standby_takes_over_the_websocket_of_a_killed_pod(connecting: Namespace) -> None:
    """Every event is there, or told by a ProxyGap; calls, also new ones, are served."""
    await asyncio.to_thread(connecting.until_settled, NAME, 1)

    async with calls(connecting, "demo") as made:
        channels = await made.place(10)
        killed = holder(connecting)
        async with made.marking(channels, pause_seconds=CALM_SECONDS):
            kill = ("delete", "pod", killed, "--grace-period=0", "--force")
            await asyncio.to_thread(connecting.kubectl, *kill)
            await asyncio.to_thread(
                cluster.until, lambda: holder(connecting) != killed, "another pod has the Lease"
            )
        await made.mark_once_more(channels)
        assert await answer(made, channels[0]) == HTTPStatus.NO_CONTENT
        (later,) = await made.place(1)
        assert await answer(made, later) == HTTPStatus.NO_CONTENT
        await asyncio.to_thread(connecting.until_settled, NAME)

    assert made.account().faults == {}
    assert len(made.client.starts) == 11


def holder(namespace: Namespace) -> str:
    """Return the name of the pod that has the Lease of the server's ingest."""
    lease = namespace.get("lease", f"{NAME}-ingest-asterisk-a")
    identity: str = lease["spec"]["holderIdentity"]
    return identity.partition("_")[0]


def image_of(namespace: Namespace, component: Component) -> str:
    """Return the image of a component's pods."""
    image: str = namespace.pods(NAME, component)[0]["spec"]["containers"][0]["image"]
    return image
