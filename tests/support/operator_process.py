"""The operator at an API server in memory, in the test's own process, but another thread."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.operator import service
from ari_proxy.settings.operator import OperatorSettings
from ari_proxy.settings.process import AdminSettings
from tests.support import resources
from tests.support.api_server import ApiServer, kubeconfig

NAMESPACE = "voice"


class Cluster:
    """An API server that is served, with operators that a test runs at it."""

    def __init__(self, port: int, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self._port = port
        self._directory = directory
        self._patch = patch

    @asynccontextmanager
    async def operator(self, release: str = "ari-proxy", **settings: Any) -> AsyncIterator[None]:
        """Run an operator of a release around a block, in a thread with a loop of its own.

        kopf, when it ends, cancels the tasks of its loop that it has not found at its start.
        """
        found = OperatorSettings(admin=AdminSettings(enabled=False), **settings)
        self._patch.setenv("KUBECONFIG", kubeconfig(self._directory, self._port, release))
        running = _Running(found)
        thread = asyncio.create_task(asyncio.to_thread(asyncio.run, running.run()))
        await asyncio.to_thread(running.started.wait)
        try:
            yield
        finally:
            running.stop()
            await thread


class _Running:
    """An operator in a thread."""

    def __init__(self, settings: OperatorSettings) -> None:
        self._settings = settings
        self._stop: Callable[[], object] = lambda: None
        self.started = threading.Event()

    async def run(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        serving = asyncio.create_task(service.serve(self._settings, stop))
        await asyncio.sleep(0)  # It reads the configuration before it waits for anything.
        self.started.set()
        await serving

    def stop(self) -> None:
        self._stop()


@asynccontextmanager
async def served(
    api: ApiServer, directory: Path, patch: pytest.MonkeyPatch
) -> AsyncIterator[Cluster]:
    """Serve an API server around a block."""
    async with api.serving() as port:
        yield Cluster(port, directory, patch)


def cluster_with_secret(*namespaces: str) -> ApiServer:
    """Return an API server with the Secret of Asterisk's login."""
    api = ApiServer()
    for namespace in namespaces or (NAMESPACE,):
        metadata = {"name": "asterisk-ari", "namespace": namespace}
        data = {"username": "YQ==", "password": "YQ=="}
        api.create("secrets", {"metadata": metadata, "data": data})
    return api


def resource(name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    """Return a resource as somebody creates it, with a server_id of its own."""
    found = resources.resource()
    (server,) = found["spec"]["servers"]
    found["spec"]["servers"] = [{**server, "serverId": name}]
    found["metadata"] = {"name": name, "namespace": namespace}
    return found


def condition(api: ApiServer, name: str, kind: str = "Ready") -> dict[str, Any]:
    (found,) = [item for item in api.of("ariproxies") if item["metadata"]["name"] == name]
    conditions = found.get("status", {}).get("conditions", ())
    return next((item for item in conditions if item["type"] == kind), {})


def is_ready(api: ApiServer, *names: str) -> bool:
    return all(condition(api, name).get("status") == "True" for name in names)
