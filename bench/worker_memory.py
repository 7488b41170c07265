"""The memory of an application's process for each call that it serves at once.

    .venv/bin/python bench/worker_memory.py                  1,000 calls, and 1,000 more
    .venv/bin/python bench/worker_memory.py --calls 200      200, and 200 more

This process is ari-proxy to it, on a NATS server of its own: it announces calls, sends their events
and answers their commands. Each call is answered, is in a bridge, and waits for a digit. Prints a
line of JSON: bytes of resident memory for each call of the first half, for each of the second, and
their ratio.
"""

import argparse
import asyncio
import itertools
import json
import sys
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from ari_proxy import App, Call
from ari_proxy.client.events import ChannelDtmfReceived
from ari_proxy.demo.nats_server import nats_server
from ari_proxy.runtime import run as run_loop

APPLICATION = "bench"
#: Calls before those that are measured: what any number of them needs is there then.
FIRST_CALLS = 100
#: Calls that begin at a time.
AT_ONCE = 32
#: Of each call, beside its StasisStart.
EVENTS = 20
#: As Asterisk 22 shows one.
BRIDGE = json.dumps(
    {
        "id": "f4ac1c2b-6b3a-4b51-9d6f-0a1f5a3a5c77",
        "technology": "simple_bridge",
        "bridge_type": "mixing",
        "bridge_class": "stasis",
        "creator": "Stasis",
        "name": "",
        "channels": [],
        "creationtime": "2026-11-23T09:34:44.509+0000",
        "video_mode": "talker",
    }
)


# The worker


async def serve(url: str) -> None:
    """Serve calls until this process is killed."""
    app, served = App(APPLICATION, url), 0

    @app.call
    async def wait(call: Call) -> None:
        nonlocal served
        await call.answer()
        async with call.bridge() as room:
            await room.add(call)
            served += 1
            print("serves", served, flush=True)
            await call.wait_for(ChannelDtmfReceived)

    async with app:
        print("serves", 0, flush=True)
        await asyncio.Event().wait()


# ari-proxy, as the worker sees it


class Proxy:
    """Announces calls, sends their events and answers their commands."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def begin(self, number: int) -> None:
        """Begin a call, and send its events once the worker listens."""
        dialog, channel = f"server.{number:016}", f"1795426484.{number}"
        start = {"application": APPLICATION, "dialog_id": dialog, "server_id": "server"}
        await self._client.publish(
            APPLICATION, json.dumps(start | {"channel_id": channel}).encode()
        )
        await self._send_heard(dialog, self._event(dialog, channel, "StasisStart", 1))
        for sequence in range(2, EVENTS + 2):
            event = self._event(dialog, channel, "ChannelVarset", sequence)
            await self._client.publish(f"events_{dialog}", event)

    async def answer(self, message: Msg) -> None:
        """Answer a command."""
        command = json.loads(message.data)
        body = BRIDGE if "/bridges?" in command["url"] else ""
        response = {"unique_id": command["unique_id"], "status_code": 200, "response_body": body}
        dialog = message.subject.removeprefix("commands_")
        await self._client.publish(f"responses_{dialog}", json.dumps(response).encode())

    async def _send_heard(self, dialog: str, event: bytes) -> None:
        while True:  # "No responders" until it has subscribed.
            try:
                await self._client.request(f"events_{dialog}", event, timeout=0.05)
            except nats.errors.NoRespondersError:
                await asyncio.sleep(0.01)
            except TimeoutError:
                return

    @staticmethod
    def _event(dialog: str, channel: str, event_type: str, sequence: int) -> bytes:
        shown = {"id": channel, "name": "PJSIP/trunk-00000003", "state": "Up"}
        body = {"type": event_type, "channel": shown, "variable": "V", "value": f"{sequence}"}
        event = {"server_id": "server", "timestamp": "2026-11-23T09:34:44.510Z"}
        event |= {"type": event_type, "ari_body": json.dumps(body), "dialog_id": dialog}
        return json.dumps(event | {"sequence": sequence}).encode()


class Worker:
    """The process that serves."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def until_serving(self, count: int) -> None:
        """Wait until it has said that it serves so many calls."""
        output = self._process.stdout
        while output is not None and not output.at_eof():
            words = (await output.readline()).split()
            if words[:1] == [b"serves"] and int(words[1]) == count:
                return
        raise RuntimeError("the worker has ended")

    def resident(self) -> int:
        """Return the bytes of its resident memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


async def grown(worker: Worker, proxy: Proxy, calls: range) -> int:
    """Begin calls, by their numbers; return the worker's memory once it serves them."""
    places = asyncio.Semaphore(AT_ONCE)

    async def begin(number: int) -> None:
        async with places:
            await proxy.begin(number)

    async with asyncio.TaskGroup() as tasks:
        for number in calls:
            tasks.create_task(begin(number))
        await worker.until_serving(calls.stop)
    return worker.resident()


async def measured(url: str, calls: int) -> dict[str, float]:
    """Return the bytes of each call of the first half and of the second, and their ratio."""
    command = [sys.executable, __file__, "--worker", url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    client = await nats.connect(url)
    worker, proxy = Worker(process), Proxy(client)
    try:
        async with asyncio.timeout(300):
            await worker.until_serving(0)
            await client.subscribe("commands_server.*", cb=proxy.answer)
            sizes = [await grown(worker, proxy, range(FIRST_CALLS))]
            for half in range(2):
                begun = FIRST_CALLS + half * calls
                sizes.append(await grown(worker, proxy, range(begun, begun + calls)))
    finally:
        await client.close()
        process.kill()
        await process.wait()
    first, second = ((after - before) / calls for before, after in itertools.pairwise(sizes))
    return {"first": first, "second": second, "ratio": second / first}


def main() -> None:
    """Run the worker, or measure it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--worker", metavar="URL")
    given = parser.parse_args()
    if given.worker:
        run_loop(lambda _: serve(given.worker))
        return
    with nats_server() as server:
        print(json.dumps(asyncio.run(measured(server.url, given.calls))))


if __name__ == "__main__":
    main()
