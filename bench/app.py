"""What an application spends on an event and on a command: App beside a bare nats-py loop.

    .venv/bin/python bench/app.py                     both, on a NATS server of its own
    .venv/bin/python bench/app.py --rounds 5          more often; the least of them counts

This process is ari-proxy to them: it announces 32 calls, sends their events, and answers their
commands. `events` are only read; with `commands` each event leads to a command that is awaited, so
that 32 are in flight. Times are of the worker's CPU.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from ari_proxy import App, Call
from ari_proxy.demo.nats_server import nats_server
from ari_proxy.runtime import run as run_loop

CALLS = 32
#: Of each call.
EVENTS = {"events": 1000, "commands": 200}
READY, CPU = b"ready", b"CPU"
NOBODY = {"name": "", "number": ""}
CHANNEL = {
    "id": "1795426484.1",
    "name": "PJSIP/trunk-00000003",
    "state": "Up",
    "protocol_id": "5f0cf3b1-6d1c-4a0a-b2ce-1c4d7a3b9f10",
    "caller": {"name": "Alice", "number": "100"},
    "connected": NOBODY,
    "accountcode": "",
    "dialplan": {
        "context": "default",
        "exten": "200",
        "priority": 1,
        "app_name": "Stasis",
        "app_data": "bench",
    },
    "creationtime": "2026-11-23T09:34:44.509+0000",
    "language": "en",
}


def ari_event(event_type: str, **fields: Any) -> str:
    head = {"type": event_type, "timestamp": "2026-11-23T09:34:44.510+0000", **fields}
    return json.dumps(head | {"channel": CHANNEL, "asterisk_id": "0", "application": "bench"})


DIGIT = ari_event("ChannelDtmfReceived", digit="5", duration_ms=100)
END = ari_event("StasisEnd")


# The two workers


class Finished:
    """Counts the calls that are done, and prints what all of them have cost."""

    def __init__(self) -> None:
        self._left = CALLS
        self._began = 0.0
        self.all = asyncio.Event()

    def begin(self) -> None:
        self._began = self._began or time.process_time()

    def note(self) -> None:
        self._left -= 1
        if not self._left:
            print("CPU", time.process_time() - self._began, flush=True)
            self.all.set()


async def serve_with_app(url: str, what: str) -> None:
    finished, app = Finished(), App("bench", url)

    @app.call
    async def serve(call: Call) -> None:
        finished.begin()
        try:
            async for event in call.events():
                if what == "commands" and event.type == "ChannelDtmfReceived":
                    await call.ari.channels.set_variable(call.channel_id, "DIGIT", value="5")
        finally:
            finished.note()

    async with app:
        print("ready", flush=True)
        await finished.all.wait()


async def serve_with_nats(url: str, what: str) -> None:
    finished, client = Finished(), await nats.connect(url)
    async with asyncio.TaskGroup() as tasks:

        async def serve(dialog: str) -> None:
            events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(10_000)
            answers: dict[str, asyncio.Future[dict[str, Any]]] = {}

            async def take_event(message: Msg) -> None:
                events.put_nowait(json.loads(json.loads(message.data)["ari_body"]))

            async def take_answer(message: Msg) -> None:
                answer = json.loads(message.data)
                answers.pop(answer["unique_id"]).set_result(answer)

            subscriptions = [
                await client.subscribe(f"events_{dialog}", cb=take_event),
                await client.subscribe(f"responses_{dialog}", cb=take_answer),
            ]
            number = 0
            while (event := await events.get())["type"] != "StasisEnd":
                if what == "commands":
                    number += 1
                    answers[str(number)] = asyncio.get_running_loop().create_future()
                    answer = answers[str(number)]
                    url = f"/channels/{event['channel']['id']}/variable?variable=DIGIT&value=5"
                    command = {"unique_id": str(number), "url": url, "method": "POST", "body": ""}
                    await client.publish(f"commands_{dialog}", json.dumps(command).encode())
                    async with asyncio.timeout(15):
                        await answer
            for subscription in subscriptions:
                await subscription.unsubscribe()
            finished.note()

        async def start(message: Msg) -> None:
            finished.begin()
            tasks.create_task(serve(json.loads(message.data)["dialog_id"]))

        await client.subscribe("bench", queue="applications", cb=start)
        await client.flush()
        print("ready", flush=True)
        await finished.all.wait()
    await client.close()


WORKERS: dict[str, Callable[[str, str], Awaitable[None]]] = {
    "App": serve_with_app,
    "nats-py": serve_with_nats,
}


# ari-proxy, as they see it


class Proxy:
    """Announces the calls, sends their events and answers their commands."""

    def __init__(self, client: Client, what: str) -> None:
        self._client = client
        self._what = what
        self._left: dict[str, int] = {}

    async def begin(self, dialog: str) -> None:
        self._left[dialog] = EVENTS[self._what]
        start = {"application": "bench", "dialog_id": dialog, "server_id": "server"}
        start |= {"channel_id": CHANNEL["id"]}
        await self._client.publish("bench", json.dumps(start).encode())
        while True:  # "No responders" until it has subscribed.
            try:
                await self._client.request(f"events_{dialog}", self._event(dialog), timeout=0.05)
            except nats.errors.NoRespondersError:
                await asyncio.sleep(0.01)
            except TimeoutError:
                break
        if self._what == "events":
            while self._left[dialog]:
                self._left[dialog] -= 1
                await self._client.publish(f"events_{dialog}", self._event(dialog))

    def _event(self, dialog: str) -> bytes:
        body = DIGIT if self._left[dialog] else END
        event = {"server_id": "server", "timestamp": "2026-11-23T09:34:44.510Z"}
        event |= {"type": json.loads(body)["type"], "ari_body": body, "dialog_id": dialog}
        return json.dumps(
            event | {"sequence": EVENTS[self._what] - self._left[dialog] + 1}
        ).encode()

    async def answer(self, message: Msg) -> None:
        dialog = message.subject.removeprefix("commands_")
        unique_id = json.loads(message.data)["unique_id"]
        response = {"unique_id": unique_id, "status_code": 204, "response_body": ""}
        await self._client.publish(f"responses_{dialog}", json.dumps(response).encode())
        self._left[dialog] -= 1
        await self._client.publish(f"events_{dialog}", self._event(dialog))


async def said(output: asyncio.StreamReader, word: bytes) -> bytes:
    """Return what a worker has printed behind a word, between its logs."""
    while not output.at_eof():
        line = await output.readline()
        if line.startswith(word):
            return line.removeprefix(word)
    raise RuntimeError("the worker has ended")


async def measured(url: str, worker: str, what: str) -> float:
    """Return the worker's CPU, in microseconds for each event."""
    command = [sys.executable, __file__, "--worker", worker, "--what", what, "--url", url]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    output = process.stdout or asyncio.StreamReader()
    client = await nats.connect(url)
    try:
        async with asyncio.timeout(120):
            await said(output, READY)
            proxy = Proxy(client, what)
            await client.subscribe("commands_server.*", cb=proxy.answer)
            async with asyncio.TaskGroup() as tasks:
                for number in range(CALLS):
                    tasks.create_task(proxy.begin(f"server.{number:016}"))
            seconds = float(await said(output, CPU))
            await process.wait()
    finally:
        await client.close()
        if process.returncode is None:
            process.kill()
    return seconds / (CALLS * EVENTS[what]) * 1e6


async def compare(rounds: int) -> None:
    with nats_server() as server:
        least: dict[tuple[str, str], float] = {}
        for _ in range(rounds):
            for what in EVENTS:
                for worker in WORKERS:
                    found = await measured(server.url, worker, what)
                    least[worker, what] = min(found, least.get((worker, what), found))
    event = {worker: least[worker, "events"] for worker in WORKERS}
    command = {worker: least[worker, "commands"] - event[worker] for worker in WORKERS}
    for name, costs in (("an event", event), ("a command", command)):
        ratio = costs["App"] / costs["nats-py"]
        print(f"{name}: App {costs['App']:.0f} µs, nats-py {costs['nats-py']:.0f} µs, {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", choices=WORKERS)
    parser.add_argument("--what", choices=EVENTS)
    parser.add_argument("--url")
    given = parser.parse_args()
    if given.worker:
        run_loop(lambda _: WORKERS[given.worker](given.url, given.what))
    else:
        asyncio.run(compare(given.rounds))


if __name__ == "__main__":
    main()
