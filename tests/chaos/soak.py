"""The soak: calls all the time, faults at random, and the account at the end.

    python -m tests.chaos.soak --minutes 30 --bus nats --seed 7

Two ingests with a lease, two executors, a real Asterisk and a real bus; 200 calls a minute, each
with numbered events and commands. Exits with 1 and a report if anything was lost outside of the
announced gaps, doubled, reordered or executed twice, if a call was announced twice or did not end,
if a command has no answer though its client was not told, no executor died with it and none has
told that nobody may have it, or if something grew.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Bus, Message, SubscriptionHandle, opened
from ari_proxy.connections import factories
from ari_proxy.settings.load import load
from tests.support import leftovers, process
from tests.support.calls import Account, Calls, asterisk_client
from tests.support.link import Link
from tests.support.process import Process
from tests.support.rabbitmq import RabbitMqServer
from tests.support.running import LegacyClient, until_serving
from tests.support.servers import PASSWORD, Asterisk, BusServer, NatsServer

CALLS_PER_MINUTE = 200
#: Seconds from a command until an executor has begun it for certain: the bus may be away meanwhile.
BEGUN_SECONDS = 10
#: Seconds for answers that are late, since the bus was away, before their queue is deleted.
QUEUE_GRACE_SECONDS = 20
APPLICATION = "soak"
#: Bytes by which a process may grow while it serves calls.
GROWTH = 40 * 2**20
#: The channel variable that commands set: each value at most once.
COMMANDED = "COMMANDED"


@dataclass
class Call:
    channel: str
    #: What was sent, and is not known to have been done.
    doubtful: set[int] = field(default_factory=set)


@dataclass
class Command:
    """One that had no answer after some seconds."""

    name: str
    dialog: str
    #: In the loop's time.
    sent_at: float


@dataclass(frozen=True)
class Kill:
    """The end of an executor by SIGKILL, in the loop's time."""

    begun: float
    #: Until then NATS may give it commands: only the end of its connection tells.
    noticed: float

    def may_have_lost(self, command: Command) -> bool:
        return self.begun - BEGUN_SECONDS <= command.sent_at <= self.noticed


class Application(LegacyClient):
    """Serves a dialog once the bus has the acknowledgement of its AppStart.

    When a connection is lost before, RabbitMQ gives the AppStart to an instance again. It leaves a
    dialog a while after its end, when the queues are gone: subscriptions to queues that don't exist
    would hold up the others after each lost connection.
    """

    def __init__(self, bus: Bus, application: str) -> None:
        super().__init__(bus, application)
        self._app_starts = partial(bus.subscribe, application, manual_ack=True)

    async def start(self) -> None:
        await self._app_starts(self._take, group="ariq")

    def _take(self, message: Message) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(self._serve(message)))

    async def listen(self, dialog_id: str) -> list[SubscriptionHandle]:
        subscriptions = await super().listen(dialog_id)
        leaving = self._leave(dialog_id, subscriptions)
        self._tasks.add(asyncio.get_running_loop().create_task(leaving))
        return subscriptions

    async def _leave(self, dialog_id: str, subscriptions: list[SubscriptionHandle]) -> None:
        while not self._has_ended(dialog_id):
            await asyncio.sleep(5)
        await asyncio.sleep(QUEUE_GRACE_SECONDS + 5)
        for subscription in subscriptions:
            await subscription.unsubscribe()

    def _has_ended(self, dialog_id: str) -> bool:
        return dialog_id in self.ends or "ProxyDialogEnded" in self.types(dialog_id)

    async def _serve(self, message: Message) -> None:
        if await message.ack():
            self._on_start(message)


@dataclass
class Report:
    faults: Counter[str] = field(default_factory=Counter)
    placed: int = 0
    refused: int = 0
    served: int = 0
    commands: Counter[str] = field(default_factory=Counter)
    account: Account = field(default_factory=Account)
    announced_twice: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        account = self.account
        lines = [
            f"faults: {dict(sorted(self.faults.items()))}",
            f"calls: {self.placed} placed, {self.served} served, {self.refused} refused",
            f"commands: {dict(sorted(self.commands.items()))}",
            f"events: {account.sent} sent, {account.received} received",
            f"events: {account.lost_in_gaps} in announced gaps, {account.repeated} repeated",
            f"events: {len(account.lost)} lost, {len(account.doubled)} doubled",
            f"events: {len(account.disordered) + len(account.stale)} out of order",
            f"announced twice: {self.announced_twice}",
        ]
        return "\n".join([*lines, *(f"PROBLEM: {problem}" for problem in self.problems)])


class Fleet:
    """The processes under test; what was killed is started again."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._directory = directory
        self._environment = environment
        self._stack = AsyncExitStack()
        self._number = 0
        self.running: dict[str, Process] = {}

    async def start(self, name: str) -> None:
        self._number += 1
        component = name.partition("-")[0]
        log = self._directory / f"{name}-{self._number}.log"
        self.running[name] = await self._stack.enter_async_context(
            process.running(log, component, **self._environment)
        )

    async def aclose(self) -> None:
        await self._stack.aclose()

    def active(self) -> str:
        """Return the name of the active ingest."""
        names = [name for name in self.running if name.startswith("ingest")]
        return max(names, key=lambda name: _last(self.running[name], "ingest.active"))

    def unproven(self) -> int:
        """Return how many commands executors have told that nobody may have."""
        logs = [log.read_text().splitlines() for log in self._directory.glob("command-*.log")]
        told = [line for log in logs for line in log if '"bus.messages_unproven"' in line]
        return sum(json.loads(line)["count"] for line in told)

    async def metric(self, name: str, metric: str) -> float:
        _, text = await self.running[name].admin("/metrics")
        match = re.search(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        return float(match[1]) if match else 0.0


def _last(running: Process, event: str) -> str:
    return max((line["ts"] for line in running.events(event)), default="")


class Soak:
    def __init__(
        self, fleet: Fleet, asterisk: Asterisk, rest: RestClient, calls: Calls, seed: int
    ) -> None:
        self._fleet = fleet
        self._asterisk = asterisk
        self._rest = rest
        self._calls = calls
        # Apart, so that a seed gives the same faults in the same order.
        self._random = random.Random(seed)  # noqa: S311
        self._chance = random.Random(seed)  # noqa: S311
        self._commands = 0
        self._late: list[Command] = []
        self._kills: list[Kill] = []
        #: The names of commands that the client's bus has told to be lost.
        self.told_lost: set[str] = set()
        self.is_over = False
        self.report = Report()
        self.calls: list[Call] = []
        self.bus_fault: Callable[[], Awaitable[None]]
        self.websocket_link: Link

    # Calls

    async def place_calls(self, minutes: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + minutes * 60
        async with asyncio.TaskGroup() as tasks:
            while loop.time() < end:
                tasks.create_task(self._call())
                await asyncio.sleep(60 / CALLS_PER_MINUTE)

    async def _call(self) -> None:
        """Place one call, let things happen on it, and hang up."""
        try:
            channel = await self._calls.originate()
        except (TransportError, AssertionError):
            self.report.refused += 1
            return
        self.report.placed += 1
        call = Call(channel)
        self.calls.append(call)
        self._calls.sent[channel] = []
        for _ in range(self._chance.randrange(4, 20)):
            await asyncio.sleep(0.5)
            await self._mark(call)
            if self._chance.random() < 0.3:
                await self._command(channel)
        await self._end(call)

    async def _mark(self, call: Call) -> None:
        try:
            await self._calls.mark(call.channel)
        except (TransportError, AssertionError):
            call.doubtful.add(self._calls.sent[call.channel].pop())

    async def _command(self, channel: str) -> None:
        dialog = self._calls.dialog_of(channel)
        if not dialog:
            return
        self._commands += 1
        name = f"{self._commands}"
        url = f"/channels/{channel}/variable?variable={COMMANDED}&value={name}"
        command = {"unique_id": name, "url": url, "method": "POST", "body": ""}
        client = self._calls.client
        sent_at = asyncio.get_running_loop().time()
        client._bus.publish(f"commands_{dialog}", json.dumps(command).encode(), once=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                while not (found := _answers(client, dialog, name)):
                    await asyncio.sleep(0.02)
                self.report.commands[f"{found[0]['status_code']}"] += 1
                return
        self._late.append(Command(name, dialog, sent_at))

    def note_lost(self, _topic: str, payload: bytes, _reason: str) -> None:
        """Note a command that the client's bus tells to be lost."""
        with contextlib.suppress(ValueError):
            self.told_lost.add(json.loads(payload)["unique_id"])

    async def _end(self, call: Call) -> None:
        while True:
            try:
                answer = await self._rest.request("DELETE", f"/channels/{call.channel}")
            except TransportError:
                await asyncio.sleep(0.2)  # Asterisk is being restarted.
                continue
            if answer.status in {204, 404}:
                return

    # Faults

    async def inject(self) -> None:
        """Do one thing after another to the proxy and what it needs, until no call is placed."""
        faults = (
            self.cut_websocket,
            self.freeze_websocket,
            self.kill_ingest,
            self.stop_ingest,
            self.freeze_ingest,
            self.kill_command,
            self.restart_bus,
            self.restart_asterisk,
        )
        weights = (4, 2, 4, 4, 2, 4, 4, 1)
        while not self.is_over:
            await asyncio.sleep(self._random.uniform(2, 6))
            (fault,) = self._random.choices(faults, weights)
            self.report.faults[fault.__name__] += 1
            await fault()

    async def cut_websocket(self) -> None:
        await asyncio.to_thread(self.websocket_link.stop)
        await asyncio.sleep(self._random.uniform(0, 2))
        await asyncio.to_thread(self.websocket_link.start)

    async def freeze_websocket(self) -> None:
        before = self.websocket_link.connections
        self.websocket_link.freeze()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(15):
                while self.websocket_link.connections == before:
                    await asyncio.sleep(0.1)
        self.websocket_link.thaw()

    async def kill_ingest(self) -> None:
        name = self._fleet.active()
        self._fleet.running[name].kill()
        await self._fleet.running[name].ended()
        await self._fleet.start(name)

    async def stop_ingest(self) -> None:
        name = self._fleet.active()
        self._fleet.running[name].signal()
        await self._fleet.running[name].ended()
        await self._fleet.start(name)

    async def freeze_ingest(self) -> None:
        """It keeps the lock file's lease, so nobody takes over, and goes on where it was."""
        running = self._fleet.running[self._fleet.active()]
        running.freeze()
        await asyncio.sleep(self._random.uniform(0.5, 3))
        running.thaw()

    async def kill_command(self) -> None:
        name = self._random.choice(["command-1", "command-2"])
        begun = asyncio.get_running_loop().time()
        self._fleet.running[name].kill()
        await self._fleet.running[name].ended()
        await self._fleet.start(name)
        # NATS has heard of the end when it has answered a connection that is made after it.
        await self._fleet.running[name].logged("bus.connected")
        self._kills.append(Kill(begun, noticed=asyncio.get_running_loop().time()))

    async def restart_bus(self) -> None:
        await self.bus_fault()

    async def restart_asterisk(self) -> None:
        await asyncio.to_thread(self._asterisk.stop)
        # Within one second the new one would give the same ids to its channels.
        await asyncio.sleep(1.1)
        await asyncio.to_thread(self._asterisk.start)

    # The account

    async def settle(self) -> None:
        """Wait until all is over, or for a minute."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                while self._unfinished() or await self._open_dialogs():
                    await asyncio.sleep(0.5)

    async def _open_dialogs(self) -> float:
        with contextlib.suppress(OSError):
            return await self._fleet.metric(self._fleet.active(), "ariproxy_ingest_dialogs")
        return -1.0

    def _unfinished(self) -> list[str]:
        client = self._calls.client
        return [
            call.channel
            for call in self.calls
            if (dialog := self._calls.dialog_of(call.channel))
            and not {"StasisEnd", "ChannelDestroyed", "ProxyDialogEnded"}
            & set(client.types(dialog))
            and not self._calls.is_missing(dialog)
        ]

    async def judge(self) -> None:
        report, problems = self.report, self.report.problems
        served = [c.channel for c in self.calls if self._calls.dialog_of(c.channel)]
        report.served = len(served)
        report.account = self._calls.account(served)
        doubtful = {f"{c.channel}: {n}" for c in self.calls for n in c.doubtful}
        for name, events in report.account.faults.items():
            bad = [event for event in events if event not in doubtful]
            problems += [f"{name}: {', '.join(bad[:5])} ({len(bad)})"] if bad else []
        problems += [f"did not end: {channel}" for channel in self._unfinished()]
        problems += self._announced_twice() + self._executed_twice() + self._unanswered()
        if await self._open_dialogs():
            problems.append(f"{await self._open_dialogs():g} dialogs are open")

    def _announced_twice(self) -> list[str]:
        announced = Counter(start["dialog_id"] for start in self._calls.client.starts)
        twice = [f"announced {count} times: {d}" for d, count in announced.items() if count > 1]
        self.report.announced_twice = len(twice)
        return twice

    def _unanswered(self) -> list[str]:
        """Count what became of the commands that had no answer at once."""
        problems, unproven = [], self._fleet.unproven()
        for command in self._late:
            if answers := _answers(self._calls.client, command.dialog, command.name):
                fate = f"{answers[0]['status_code']}, late"
            elif command.name in self.told_lost:
                fate = "told lost"
            elif any(kill.may_have_lost(command) for kill in self._kills):
                fate = "executor killed"
            elif unproven:
                fate, unproven = "told unproven", unproven - 1
            else:
                fate = "unanswered"
                problems.append(f"no answer: {command}")
            self.report.commands[fate] += 1
        return problems

    def _executed_twice(self) -> list[str]:
        done: Counter[str] = Counter()
        for call in self.calls:
            for event in self._calls._fresh(call.channel):
                if event["type"] == "ChannelVarset":
                    body = json.loads(event["ari_body"])
                    done.update([body["value"]] if body["variable"] == COMMANDED else [])
        return [f"executed {count} times: {name}" for name, count in done.items() if count > 1]


def _answers(client: LegacyClient, dialog: str, name: str) -> list[dict[str, Any]]:
    return [r for r in client.responses.get(dialog, ()) if r["unique_id"] == name]


class BrokerLink(Link):
    """The way to a RabbitMQ, with what is left there."""

    def __init__(self, server: RabbitMqServer) -> None:
        super().__init__(server.port)
        self._broker = server

    def left(self) -> list[str]:
        """Return the queues that only ingest declares; the others are the application's as well."""
        listed = self._broker.control("list_queues", "name", "messages").splitlines()
        queues = dict(line.split() for line in listed if line.count("\t") == 1)
        commands = [name for name in queues if name.startswith("commands_") and "." in name]
        records = queues.get("dialogs_server-1", "0")
        return [*commands, *([f"{records} records"] if records != "0" else [])]


@asynccontextmanager
async def _bus(kind: str) -> AsyncIterator[tuple[BusServer, Callable[[float], Awaitable[None]]]]:
    """A bus and its faults."""
    if kind == "nats":
        nats = NatsServer()
        nats.start()

        async def restart(seconds: float) -> None:
            await asyncio.to_thread(nats.stop)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(nats.start)

        yield nats, restart
        nats.stop()
        return
    server = RabbitMqServer()
    await asyncio.to_thread(server.start)
    link = BrokerLink(server)
    link.start()

    async def cut(seconds: float) -> None:
        await asyncio.to_thread(link.stop)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(link.start)

    try:
        yield link, cut
    finally:
        link.remove()
        await asyncio.to_thread(server.remove)


def _resident(pid: int) -> int:
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) * 1024 if match else 0


@dataclass
class Ground:
    """Where it takes place."""

    directory: Path
    asterisk: Asterisk
    link: Link
    server: BusServer
    restart: Callable[[float], Awaitable[None]]
    rest: RestClient
    bus: Bus


async def run(minutes: float, kind: str, seed: int) -> Report:
    asterisk = Asterisk("22")
    asterisk.start()
    link = Link(asterisk.port)
    link.start()
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        try:
            async with _bus(kind) as (server, restart), asterisk_client(asterisk) as rest:
                settings = load(bus={"kind": server.kind, "urls": [server.url]})
                async with opened(factories.bus(settings, "soak")) as bus:
                    path = Path(directory)
                    ground = Ground(path, asterisk, link, server, restart, rest, bus)
                    return await _soak(minutes, seed, ground)
        finally:
            link.remove()
            asterisk.remove()


async def _soak(minutes: float, seed: int, ground: Ground) -> Report:
    asterisk, link, server, directory = (
        ground.asterisk,
        ground.link,
        ground.server,
        ground.directory,
    )
    fleet = Fleet(
        directory,
        {
            "ARI_PROXY_SERVER_ID": "server-1",
            "ARI_PROXY_APPLICATIONS": f'["{APPLICATION}"]',
            "ARI_PROXY_ARI__REST_URL": asterisk.url,
            "ARI_PROXY_ARI__WEBSOCKET_URL": f"ws://127.0.0.1:{link.port}/ari/events",
            "ARI_PROXY_ARI__PASSWORD": PASSWORD,
            "ARI_PROXY_BUS__KIND": server.kind,
            "ARI_PROXY_BUS__URLS": f'["{server.url}"]',
            "ARI_PROXY_LEASE__KIND": "file",
            "ARI_PROXY_LEASE__FILE": str(directory / "lock"),
            "ARI_PROXY_INGEST__GRACE_SECONDS": "3",
            # Full soon, so that growth is not its own.
            "ARI_PROXY_RECORDER__BYTES": f"{4 * 2**20}",
            "ARI_PROXY_INGEST__QUEUE_GRACE_SECONDS": f"{QUEUE_GRACE_SECONDS}",
        },
    )
    try:
        for name in ("ingest-1", "ingest-2", "command-1", "command-2"):
            await fleet.start(name)
        client = Application(ground.bus, APPLICATION)
        await client.start()
        await client.listen("server-1")
        calls = Calls(ground.rest, APPLICATION, client)
        await calls.until_registered()
        await until_serving(ground.bus)
        soak = Soak(fleet, asterisk, ground.rest, calls, seed)
        ground.bus.set_drop_handler(soak.note_lost)
        soak.websocket_link = link
        soak.bus_fault = lambda: ground.restart(soak._random.uniform(0, 3))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(soak.inject())
            await soak.place_calls(minutes)
            soak.is_over = True  # A fault under way is brought to its end.
        await soak.settle()
        await soak.judge()
        if isinstance(server, BrokerLink):
            soak.report.problems += await _queues_left(server)
        await _judge_growth(fleet, soak.report)
        if soak.report.problems:
            _keep_logs(directory, calls)
        return soak.report
    finally:
        await fleet.aclose()


async def _queues_left(server: BrokerLink) -> list[str]:
    """Return what is wrong with the queues; those of a dead ingest go a while after the others."""
    left = await asyncio.to_thread(server.left)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while left:
                await asyncio.sleep(2)
                left = await asyncio.to_thread(server.left)
    return [f"{len(left)} queues are left: {left[:3]}"] if left else []


async def _judge_growth(fleet: Fleet, report: Report) -> None:
    """After the calls all processes have to be about as large as one that has served none."""
    await fleet.start("command-idle")
    await fleet.running["command-idle"].logged("bus.connected")
    idle = _resident(fleet.running["command-idle"].pid)
    idle_tasks = await fleet.metric("command-idle", "ariproxy_tasks")
    for name, running in fleet.running.items():
        if not running.is_running:
            report.problems.append(f"{name} has ended by itself: {running.log[-2000:]}")
            continue
        grown = _resident(running.pid) - idle
        tasks = await fleet.metric(name, "ariproxy_tasks")
        print(f"{name}: {grown / 2**20:+.1f} MiB against an idle executor, {tasks:g} tasks")
        if grown > GROWTH:
            report.problems.append(f"{name} has grown by {grown / 2**20:.0f} MiB")
        if tasks > idle_tasks + 40:
            report.problems.append(f"{name} has {tasks:g} tasks")


def _keep_logs(directory: Path, calls: Calls) -> None:
    kept = Path(tempfile.mkdtemp(prefix="soak-logs-"))
    for log in directory.glob("*.log"):
        (kept / log.name).write_bytes(log.read_bytes())
    told = {channel: calls._fresh(channel) for channel in calls.sent}
    (kept / "events.json").write_text(json.dumps({"sent": calls.sent, "events": told}))
    print(f"logs: {kept}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--bus", choices=["nats", "rabbitmq"], default="nats")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    leftovers.end_with_this_process()
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # As in the services.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    print(f"soak: {arguments.minutes:g} min on {arguments.bus}, seed {arguments.seed}", flush=True)
    report = asyncio.run(run(arguments.minutes, arguments.bus, arguments.seed))
    print(report)
    sys.exit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
