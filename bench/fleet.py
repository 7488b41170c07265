"""What the operator needs for many AriProxies: seconds, requests, CPU, memory.

    .venv/bin/python bench/fleet.py                  500 resources of one server each
    .venv/bin/python bench/fleet.py --resources 50
    .venv/bin/python bench/fleet.py --foreign 3000   and so many pods and large ConfigMaps of others

The API server is the one of the tests, in memory: it answers in about a millisecond, and pods of
Deployments are ready at once. A real one takes longer for a write; the number of requests is the
same. Prints a line per phase: all created and READY, idle, the operator restarted, a new image.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.api_server import RUNNING, ApiServer, kubeconfig
from tests.support.operator_process import cluster_with_secret, resource
from tests.support.ports import free_port

PATIENCE_SECONDS = 600
IDLE_SECONDS = 60
MIB = 1024
TICKS = os.sysconf("SC_CLK_TCK")
NAMESPACES = tuple(f"team-{number}" for number in range(10))
LARGE = "x" * 700_000


@dataclass
class Operator:
    """The operator's process."""

    process: "subprocess.Popen[bytes]"
    port: int

    def peak_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (found,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
        return int(found) / MIB

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    async def looked_at(self) -> int:
        """Return how many resources it has looked at since its start."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.port}/metrics") as answer,
            ):
                return (await answer.text()).count("ariproxy_operator_resource_ready{")
        except aiohttp.ClientError:
            return 0


@asynccontextmanager
async def operator(config: str, image: str) -> AsyncIterator[Operator]:
    port = free_port()
    variables = {
        "KUBECONFIG": config,
        "PYTHONPATH": "services",
        "ARI_PROXY_ADMIN__PORT": str(port),
        "ARI_PROXY_LOG__LEVEL": "warning",
        "ARI_PROXY_INGEST_IMAGE": image,
        "ARI_PROXY_COMMAND_IMAGE": image,
    }
    process = await asyncio.to_thread(
        subprocess.Popen,
        [sys.executable, "-m", "ari_proxy", "operator"],
        env={**os.environ, **variables},
    )
    try:
        yield Operator(process, port)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110  the API server's objects tell no event
            await asyncio.sleep(0.1)


def is_all_ready(api: ApiServer) -> bool:
    return all(
        any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in item.get("status", {}).get("conditions", ())
        )
        for item in api.of("ariproxies")
    )


def has_image(api: ApiServer, image: str) -> bool:
    pods = [item["spec"]["template"]["spec"] for item in api.of("deployments")]
    return all(pod["containers"][0]["image"] == image for pod in pods)


@dataclass
class Phase:
    """Numbers of what happens within a block."""

    api: ApiServer
    running: Operator
    name: str

    def __enter__(self) -> Self:
        self._begun_at = time.monotonic()
        self._requests = self.api.total
        self._sent = self.api.sent_bytes
        return self

    def __exit__(self, *_: object) -> None:
        print(
            f"{self.name:<22}{time.monotonic() - self._begun_at:>7.1f} s"
            f"{self.api.total - self._requests:>8} requests"
            f"{self.running.cpu_seconds():>7.1f} s CPU since its start"
            f"{self.running.peak_mib():>7.0f} MiB peak"
            f"{(self.api.sent_bytes - self._sent) / 1e6:>8.1f} MB received",
            flush=True,
        )


async def until_looked_at(running: Operator, count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await running.looked_at() < count:  # noqa: ASYNC110  a metric tells no event
            await asyncio.sleep(0.2)


async def main(count: int, foreign: int) -> None:
    api = cluster_with_secret(*NAMESPACES)
    for number in range(foreign):
        metadata = {"name": f"other-{number}", "namespace": "others"}
        api.create("pods", {"metadata": metadata, "spec": {}, "status": RUNNING})
        if number < foreign / 25:
            api.create("configmaps", {"metadata": metadata, "data": {"large": LARGE}})
    async with api.serving() as port:
        config = kubeconfig(Path(tempfile.mkdtemp()), port)
        async with operator(config, "image:1") as running:
            await until(lambda: api.requests["update", "leases"] > 0)
            with Phase(api, running, f"{count} created, READY"):
                for number in range(count):
                    namespace = NAMESPACES[number % len(NAMESPACES)]
                    api.create("ariproxies", resource(f"proxy-{number}", namespace))
                await until(lambda: is_all_ready(api))
            with Phase(api, running, f"idle, {IDLE_SECONDS} s"):
                await asyncio.sleep(IDLE_SECONDS)
        async with operator(config, "image:1") as running:
            with Phase(api, running, "restarted, looked at"):
                await until_looked_at(running, count)
        async with operator(config, "image:2") as running:
            with Phase(api, running, "new image everywhere"):
                await until(lambda: has_image(api, "image:2") and is_all_ready(api))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resources", type=int, default=500)
    parser.add_argument("--foreign", type=int, default=0)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.resources, arguments.foreign))
