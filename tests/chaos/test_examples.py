"""The examples serve calls while ingest and command are restarted and killed.

On both buses, with a real Asterisk; all of them are processes of their own.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos.conftest import stage_settings
from tests.support import process
from tests.support.example_calls import AGENTS, CALLS, COLLEAGUES, FAR, LOOK_SECONDS, ExampleCalls
from tests.support.phones import dialplan, phones
from tests.support.process import Process, environment_of
from tests.support.python_examples import EXAMPLES
from tests.support.running import until
from tests.support.servers import Asterisk, BusServer

#: Of all examples together, beside those of the campaign; with LONG=1.
CALLS_AT_ONCE = 50 if os.environ.get("LONG") else 30
#: What a campaign may tell of who answers: a key that is pressed while an ingest is killed is lost.
ANSWERED = {"confirmed", "heard"}
INGESTS = EXECUTORS = 2
README = (Path(__file__).parents[2] / "README.md").read_text()


def program(application: str, bus: BusServer) -> str:
    """Return the program of an application, on a bus."""
    if application == "demo":
        blocks = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
        (hello,) = [block for block in blocks if 'App("demo"' in block]
        return str(hello).replace("nats://127.0.0.1:4222", bus.url)
    file = {"queue": "call_queue", "transfer": "attended_transfer"}.get(application, application)
    return (EXAMPLES / f"{file}.py").read_text()


def environment_of_examples(bus: BusServer) -> dict[str, str]:
    """Return what all of them are told."""
    people = {"AGENTS": " ".join(AGENTS), "COLLEAGUES": " ".join(COLLEAGUES), "ENDPOINT": FAR}
    return os.environ | {"BUS_URL": bus.url} | people


@asynccontextmanager
async def worker(application: str, bus: BusServer, directory: Path) -> AsyncIterator[None]:
    """Run an example around a block, which begins once it is connected."""
    output = directory / f"{application}.txt"
    with output.open("wb") as file:
        running = subprocess.Popen(
            [sys.executable, "-c", program(application, bus)],
            env=environment_of_examples(bus),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        while "bus.connected" not in output.read_text():
            assert running.poll() is None, output.read_text()
            await asyncio.sleep(LOOK_SECONDS)
        yield
    except Exception:
        print(f"{application}:", *output.read_text().splitlines()[-200:], sep="\n")
        raise
    finally:
        running.kill()
        running.wait()


async def campaign(numbers: range, bus: BusServer, directory: Path) -> dict[str, str]:
    """Run a campaign, and return its result by number."""
    file = directory / f"numbers-{numbers.start}.txt"
    file.write_text("\n".join(map(str, numbers)))
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / "campaign.py"), str(file)),
        env=environment_of_examples(bus),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        output, errors = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0, errors.decode()
    results = dict(line.split(",", 1) for line in output.decode().splitlines())
    if not {*results.values()} <= ANSWERED:  # Shown if the test fails.
        print("campaign:", errors.decode(), sep="\n")
    return results


async def logged(process: Process, *names: str) -> None:
    """Wait for one of these log events of a process, which may be slow beside so many others."""
    while not any(process.events(name) for name in names):
        assert process.is_running, process.log
        await asyncio.sleep(LOOK_SECONDS)


class Fleet:
    """Two ingests with a lease, and two executors."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        lease = {"LEASE__KIND": "file", "LEASE__FILE": str(directory / "lease")}
        self._environment = {**environment, **{f"ARI_PROXY_{n}": v for n, v in lease.items()}}
        self._open = AsyncExitStack()
        self._count = 0
        #: The active one comes first.
        self._ingests: list[Process] = []
        self._executors: list[Process] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run all of them around a block."""
        async with self._open:
            self._ingests.append(await self._start("ingest"))
            await logged(self._ingests[0], "dialogs.reconciled")
            await self.complete()
            yield

    async def complete(self) -> None:
        """Start anew what has ended."""
        while len(self._ingests) < INGESTS:
            self._ingests.append(await self._start("ingest"))
            await logged(self._ingests[-1], "lease.awaited")
        while len(self._executors) < EXECUTORS:
            self._executors.append(await self._start("command"))
            await logged(self._executors[-1], "bus.connected")
            await until(self._has_asterisk)

    async def end_active_ingest(self) -> None:
        """End it in order; the standby takes over."""
        former = self._ingests.pop(0)
        former.signal()
        await logged(former, "drain.finished")
        assert await former.ended() == 0
        await logged(self._ingests[0], "hand_over.taken", "dialogs.reconciled")

    async def kill_active_ingest(self) -> None:
        """Kill it; the standby takes over."""
        self._ingests.pop(0).kill()
        await logged(self._ingests[0], "dialogs.reconciled")

    async def end_executor(self) -> None:
        """End one in order."""
        former = self._executors.pop(0)
        former.signal()
        await logged(former, "drain.finished")
        assert await former.ended() == 0

    async def kill_executor(self) -> None:
        """Kill one."""
        former = self._executors.pop(0)
        former.kill()
        await former.ended()

    async def _has_asterisk(self) -> bool:
        return (await self._executors[-1].admin("/readyz"))[0] == 200

    async def _start(self, component: str) -> Process:
        self._count += 1
        log = self._directory / f"{component}{self._count}"
        return await self._open.enter_async_context(
            process.running(log, component, **self._environment)
        )


@pytest.fixture
def own_asterisk(tmp_path: Path) -> Iterator[Asterisk]:
    server = Asterisk("22", extra=dialplan(tmp_path))
    server.start()
    yield server
    server.remove()


@asynccontextmanager
async def calls_at(asterisk: Asterisk) -> AsyncIterator[ExampleCalls]:
    """Have people who may call the examples around a block."""
    async with phones(asterisk) as all_phones, asyncio.TaskGroup() as tasks:
        await all_phones.until_registered(*CALLS, "campaign")
        yield ExampleCalls(all_phones, tasks)


@pytest.mark.timeout(600)
async def test_calls_end_as_they_should_whatever_ends_in_the_proxy(
    own_asterisk: Asterisk, bus_server: BusServer, tmp_path: Path
) -> None:
    settings = stage_settings(bus_server, own_asterisk, own_asterisk.websocket_url, "campaign")
    chosen = {
        "ARI_PROXY_SERVER_ID": "asterisk",
        "ARI_PROXY_APPLICATIONS": json.dumps([*CALLS, "campaign"]),
    }
    fleet = Fleet(tmp_path, environment_of(settings) | chosen)
    each = CALLS_AT_ONCE // len(CALLS)
    campaigns: list[asyncio.Task[dict[str, str]]] = []
    async with fleet.running(), calls_at(own_asterisk) as calls, AsyncExitStack() as workers:
        for application in CALLS:
            await workers.enter_async_context(worker(application, bus_server, tmp_path))
        for faults in (
            (fleet.end_active_ingest, fleet.end_executor),
            (fleet.kill_executor, fleet.kill_active_ingest),
        ):
            await fleet.complete()
            numbers = range(1000 * len(campaigns) + 1000, 1000 * len(campaigns) + 1000 + each)
            async with asyncio.TaskGroup() as tasks, calls.at_once(each):
                calling = tasks.create_task(campaign(numbers, bus_server, tmp_path))
                campaigns.append(calling)
                for fault in faults:
                    await calls.until_more(each // 2)
                    await fault()
        calls.print_histories([*tmp_path.iterdir(), own_asterisk.log])
        await calls.until_none_is_left()
        # Within the block: what the workers have written is shown if this fails.
        assert calls.problems == []
        assert calls.ended == Counter(dict.fromkeys(CALLS, 2 * each))
        results = [result for calling in campaigns for result in calling.result().values()]
        assert len(results) == 2 * each
        assert {*results} <= ANSWERED
