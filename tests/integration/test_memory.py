"""What an idle process imports and needs, and what a worker needs for each call."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import process
from tests.support.programs import program
from tests.support.scripted_asterisk import scripted_asterisk
from tests.support.servers import BusServer
from tests.support.setting import settings_of

#: What ingest and command work with, with either bus.
LIBRARIES = (
    "aiohttp",
    "msgspec",
    "prometheus_client",
    "pydantic_settings",
    "uvloop",
    "websockets.asyncio.client",
)
BUS_LIBRARIES = {"NATS": "nats.aio.client", "RABBITMQ": "pamqp.commands"}
#: What a process imports once it is switched on, and what none of them imports.
UNUSED = {"fastapi", "kopf", "lightkube", "nkeys", "opentelemetry.sdk", "rich.console"}
#: MiB beyond the libraries: our own code, the admin API, logs, and what is open. FastAPI is 8.
MARGIN = 16
#: By which the second half of a worker's calls may need more for each than the first.
GROWTH = 1.5
BENCH = Path(__file__).parents[2] / "bench/worker_memory.py"
_OWN_STATUS = "print(open('/proc/self/status').read())"


def resident(status: str) -> float:
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def floor(*libraries: str) -> float:
    """Return the MiB of a Python that has imported these."""
    code = f"import asyncio, {', '.join(libraries)}; {_OWN_STATUS}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    return resident(done.stdout)


def imported(log: str) -> Iterator[str]:
    """Return the modules of a log of `python -X importtime`."""
    for line in log.splitlines():
        if line.startswith("import time:"):
            yield line.rpartition("|")[2].strip()


@pytest.mark.parametrize("component", ["ingest", "command"])
async def test_idle_process_has_imported_only_what_it_uses(
    bus_server: BusServer, component: str, tmp_path: Path
) -> None:
    async with scripted_asterisk() as asterisk:
        asterisk.standing["GET", "/asterisk/ping"] = 200, "{}"
        asterisk.standing["GET", "/applications/demo"] = 200, "{}"
        environment = process.environment_of(settings_of(asterisk, bus_server))
        async with process.running(
            tmp_path / "log", component, PYTHONPROFILEIMPORTTIME="1", **environment
        ) as running:
            await running.logged("admin.listening")
            async with asyncio.timeout(20):
                while (await running.admin("/readyz"))[0] != 200:
                    await asyncio.sleep(0.05)
            needed = resident(Path(f"/proc/{running.pid}/status").read_text())
            modules = set(imported(running.log))

    assert "ari_proxy.standalone" in modules
    other = {library for kind, library in BUS_LIBRARIES.items() if kind != bus_server.kind}
    assert modules & (UNUSED | other) == set()
    least = floor(*LIBRARIES, BUS_LIBRARIES[bus_server.kind])
    assert needed < least + MARGIN


def test_worker_needs_no_more_for_a_call_however_many_it_serves() -> None:
    program("nats-server")

    done = subprocess.run(
        [sys.executable, str(BENCH), "--calls", "200"],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )

    assert json.loads(done.stdout)["ratio"] < GROWTH, done.stdout
