"""What ingest and command need while nothing, or little, happens: memory, CPU, descriptors.

    .venv/bin/python bench/footprint.py                      on a NATS server of its own
    .venv/bin/python bench/footprint.py --calls 500          and with so many calls open
    .venv/bin/python bench/footprint.py --servers 100        with so many servers in each process
    .venv/bin/python bench/footprint.py --bus amqp://guest:guest@127.0.0.1:5672/
    .venv/bin/python bench/footprint.py --python python3.13  another interpreter with our libraries

Asterisk is the simulator. Prints a line per process; for NATS also what its server counts: messages
in a minute, and the subscriptions of each connection.
"""

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from ari_proxy.bus.base import opened
from ari_proxy.client.application import Application
from ari_proxy.client.call import Call
from ari_proxy.connections import factories
from ari_proxy.demo.nats_server import find_nats_server
from ari_proxy.settings.load import Settings, load
from ari_proxy.settings.urls import bus_address
from ari_proxy.simulator import server as simulator
from ari_proxy.telemetry import logging

START_SECONDS = 60
MIB = 1024 * 1024
TICKS = os.sysconf("SC_CLK_TCK")
FIRST_PORT = 21000 + secrets.randbelow(9000)
NATS, MONITORING, ASTERISK = FIRST_PORT, FIRST_PORT + 1, FIRST_PORT + 2
ACCOUNT = "ari"
ADMIN = {"ingest": FIRST_PORT + 3, "command": FIRST_PORT + 4}


def fetched(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.loads(answer.read())


async def until(port: int, path: str, wanted: Callable[[Any], bool] = bool) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            if wanted(await asyncio.to_thread(fetched, port, path)):
                return
        await asyncio.sleep(0.2)
    raise TimeoutError(path)


@contextmanager
def running(*command: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        command, env=os.environ | environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def environment_of(settings: Settings) -> dict[str, str]:
    ari, bus = settings.ari, settings.bus
    return {
        "ARI_PROXY_SERVER_ID": settings.server_id,
        "ARI_PROXY_APPLICATIONS": json.dumps(settings.applications),
        "ARI_PROXY_ARI__REST_URL": ari.rest_url,
        "ARI_PROXY_ARI__WEBSOCKET_URL": ari.websocket_url,
        "ARI_PROXY_ARI__PASSWORD": ACCOUNT,
        "ARI_PROXY_BUS__KIND": bus.kind,
        "ARI_PROXY_BUS__URLS": json.dumps(bus.urls),
        "ARI_PROXY_BUS__USER": bus.user,
        "ARI_PROXY_BUS__PASSWORD": bus.password.get_secret_value(),
    }


def environment_of_several(settings: Settings, ports: Sequence[int]) -> dict[str, str]:
    """Return the settings of a process with a server at each port."""
    servers = [
        {
            "server_id": f"{settings.server_id}-{port}",
            "ari": {
                "rest_url": f"http://127.0.0.1:{port}/ari",
                "websocket_url": f"ws://127.0.0.1:{port}/ari/events",
            },
        }
        for port in ports
    ]
    shared = environment_of(settings) | {"ARI_PROXY_SERVERS": json.dumps(servers)}
    del shared["ARI_PROXY_SERVER_ID"]
    return shared


async def simulated(tasks: asyncio.TaskGroup, stop: asyncio.Event, port: int = 0) -> int:
    """Run a simulated Asterisk; return its port."""
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = simulator.serve(
        stop, port=port, user=ACCOUNT, password=ACCOUNT, listening=listening.set_result
    )
    tasks.create_task(serving)
    return await listening


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    names = {"resident": "VmRSS", "of it shared files": "RssFile"}
    return ", ".join(f"{n} {int(status[key].split()[0]) / 1024:.1f}" for n, key in names.items())


def print_line(name: str, pid: int, cpu: float) -> None:
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    cpu_text = f"{cpu * 1000:.1f} ms of CPU a second"
    print(f"{name:8} {memory(pid)} MiB; {cpu_text}; {descriptors} descriptors")


def print_nats(messages: float) -> None:
    print(f"nats     {fetched(MONITORING, '/varz')['mem'] / MIB:.1f} MiB; ", end="")
    print(f"{messages:.0f} messages a minute")
    for one in fetched(MONITORING, "/connz")["connections"]:
        print(f"nats     {one.get('name', '')}: {one['subscriptions']} subscriptions")


async def report(
    processes: dict[str, "subprocess.Popen[bytes]"], seconds: float, *, is_nats: bool
) -> None:
    def messages() -> int:
        return int(fetched(MONITORING, "/varz")["in_msgs"]) if is_nats else 0

    before = {name: cpu_seconds(process.pid) for name, process in processes.items()}
    counted = messages()
    await asyncio.sleep(seconds)
    for name, process in processes.items():
        cpu = (cpu_seconds(process.pid) - before[name]) / seconds
        print_line(name, process.pid, cpu)
    if is_nats:
        print_nats((messages() - counted) * 60 / seconds)


async def hold(call: Call) -> None:
    async for _ in call.events():
        pass


@asynccontextmanager
async def open_calls(settings: Settings, calls: int) -> AsyncIterator[None]:
    """Have so many calls open and served during a block."""
    async with (
        opened(factories.bus(settings, "application")) as bus,
        aiohttp.ClientSession(
            headers={"Authorization": aiohttp.encode_basic_auth(ACCOUNT, ACCOUNT)}
        ) as session,
        asyncio.TaskGroup() as tasks,
    ):
        await bus.wait_connected()
        serving = tasks.create_task(Application(bus, "demo", hold).run())
        for _ in range(calls):
            query = "endpoint=Local/100@default&app=demo"
            await session.post(f"http://127.0.0.1:{ASTERISK}/ari/channels?{query}")
        await until(ADMIN["ingest"], "/dialogs/count", lambda answer: answer["open"] == calls)
        yield
        serving.cancel()


async def main(arguments: argparse.Namespace) -> None:
    is_nats = not arguments.bus
    # The calls that are open at the end are given up, which is logged.
    logging.configure(level="critical", form="auto", component="bench")
    settings = load(
        server_id=f"bench{secrets.token_hex(3)}",
        applications=("demo",),
        ari={
            "rest_url": f"http://127.0.0.1:{ASTERISK}/ari",
            "websocket_url": f"ws://127.0.0.1:{ASTERISK}/ari/events",
            "password": ACCOUNT,
        },
        bus={
            "kind": "NATS" if is_nats else "RABBITMQ",
            **bus_address(arguments.bus or f"nats://127.0.0.1:{NATS}").settings(),
        },
    )
    async with AsyncExitStack() as stack:
        if is_nats:
            listen = ["-p", str(NATS), "-m", str(MONITORING)]
            stack.enter_context(running(find_nats_server(), "-a", "127.0.0.1", *listen))
            await until(MONITORING, "/varz")
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        stop = asyncio.Event()
        stack.callback(stop.set)
        ports = [await simulated(tasks, stop, ASTERISK)]
        ports += [await simulated(tasks, stop) for _ in range(1, arguments.servers)]
        is_one = arguments.servers == 1
        own = environment_of(settings) if is_one else environment_of_several(settings, ports)
        processes = {}
        for name, port in ADMIN.items():
            environment = own | {"ARI_PROXY_ADMIN__PORT": str(port)}
            command = [arguments.python, "-m", "ari_proxy", name]
            processes[name] = stack.enter_context(running(*command, **environment))
        for port in ADMIN.values():
            await until(port, "/readyz", lambda ready: all(ready["servers"].values()))
        await report(processes, arguments.seconds, is_nats=is_nats)
        if arguments.calls:
            async with open_calls(settings, arguments.calls):
                print(f"with {arguments.calls} calls:")
                await report(processes, arguments.seconds, is_nats=is_nats)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bus", default="")
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    asyncio.run(main(parser.parse_args()))
