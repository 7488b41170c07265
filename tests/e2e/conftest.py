"""The chart in a real cluster, with Asterisk and a bus in pods; applications run outside of it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.rest import RestClient
from ari_proxy.settings.load import load
from tests.support import cluster
from tests.support.calls import Calls
from tests.support.cluster import CHART, K8S, Namespace
from tests.support.running import LegacyClient, bus_client


class LastPassword:
    """Credentials with the last of some passwords, which a test may change."""

    def __init__(self, passwords: Sequence[str]) -> None:
        self._passwords = passwords

    def current(self) -> Credentials:
        return Credentials("ari", self._passwords[-1])

    def refused(self, credentials: Credentials) -> bool:
        assert credentials.user == "ari"
        return False


#: Not `ari-proxy`, as the quick start calls its own.
RELEASE = "e2e"


def manifest(*path: str) -> str:
    """Return a file of k8s/."""
    return K8S.joinpath(*path).read_text()


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """Return a sample resource with some of its spec's fields replaced."""
    resource: dict[str, Any] = yaml.safe_load(Path(K8S, "samples", f"{name}.yaml").read_text())
    resource["spec"] |= changes
    return resource


def named(resource: dict[str, Any], name: str, application: str) -> dict[str, Any]:
    """Return a resource under another name, whose servers serve one application."""
    resource["metadata"]["name"] = name
    for server in resource["spec"].get("servers", ()):
        server |= {"serverId": f"{name}-{server['name']}", "applications": [application]}
    return resource


@pytest.fixture(scope="session")
def release() -> Iterator[Namespace]:
    """The chart, installed as a user would."""
    cluster.require("kubectl", "helm")
    namespace = Namespace("operator").create()
    install(namespace)
    yield namespace
    uninstall(namespace)
    namespace.remove()


def install(namespace: Namespace, *options: str) -> None:
    # The kind may be there from another time: it is kept, and belongs to the release of then.
    where = ("--namespace", namespace.name, "--wait", "--timeout", "120s", "--take-ownership")
    cluster.run("helm", "install", RELEASE, str(CHART), *where, *options)


def uninstall(namespace: Namespace) -> None:
    cluster.run("helm", "uninstall", RELEASE, "--namespace", namespace.name, "--wait")


@pytest.fixture(scope="session")
def voice(release: Namespace) -> Iterator[Namespace]:
    """A namespace with an Asterisk of two pods and a NATS, all of them ready."""
    assert release
    with voice_namespace(replicas=2) as namespace:
        yield namespace


@pytest.fixture(scope="session")
def set_of_asterisks(release: Namespace) -> Iterator[Namespace]:
    """A namespace whose Asterisk, one pod, the test may scale."""
    assert release
    with voice_namespace(replicas=1) as namespace:
        yield namespace


@contextmanager
def voice_namespace(*, replicas: int) -> Iterator[Namespace]:
    namespace = Namespace("voice").create()
    namespace.apply(manifest("nats", "nats.yaml"))
    namespace.apply(manifest("asterisk", "asterisk.yaml"))
    namespace.kubectl("scale", "statefulset/asterisk", f"--replicas={replicas}")
    namespace.kubectl("rollout", "status", "statefulset/asterisk", "--timeout=120s")
    namespace.kubectl("rollout", "status", "deployment/nats", "--timeout=120s")
    try:
        yield namespace
    finally:
        namespace.kubectl("delete", "ariproxies", "--all", "--wait=false")
        namespace.remove()


def is_draining(namespace: Namespace, proxy: str) -> bool:
    """Return whether a server of a resource is draining."""
    servers = namespace.get("ariproxy", proxy)["status"]["servers"]
    return any(item.get("drainingSince") for item in servers)


@asynccontextmanager
async def calls(
    namespace: Namespace,
    application: str,
    *,
    asterisk: str = "asterisk-0",
    passwords: Sequence[str] = ("change-me",),
    bus: dict[str, Any] | None = None,
) -> AsyncIterator[Calls]:
    """Calls on one of the cluster's Asterisks, and an application on its bus.

    The last one of the passwords is Asterisk's, at any time.
    """
    target, port = ("service/rabbitmq", 5672) if bus else ("service/nats", 4222)
    with (
        namespace.forwarded(f"pod/{asterisk}", 8088) as ari,
        namespace.forwarded(target, port) as bus_port,
    ):
        kind = {"kind": "NATS", "urls": [f"nats://127.0.0.1:{bus_port}"]}
        if bus:
            kind = {"kind": "RABBITMQ", "urls": [f"amqp://127.0.0.1:{bus_port}"], **bus}
        rest = RestClient(
            f"http://127.0.0.1:{ari}/ari",
            LastPassword(passwords),
            concurrency=16,
            timeout_seconds=10,
        )
        async with bus_client(load(bus=kind)) as client_bus, rest:
            client = LegacyClient(client_bus, application)
            await client.start()
            made = Calls(rest, application, client)
            await made.until_registered()
            try:
                yield made
            finally:
                for channel in made.sent:
                    await made.hang_up(channel)
