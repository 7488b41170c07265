"""A node of a RabbitMQ cluster of three fails under load, by its role.

TEST_RABBITMQ_QUEUE_TYPE says of which type the queues are.
"""

import asyncio
import itertools
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import pytest

from ari_proxy.bus.base import Bus
from ari_proxy.settings.load import Settings, load
from tests.support.calls import Calls, asterisk_client
from tests.support.rabbitmq import QUEUE_TYPE
from tests.support.rabbitmq_cluster import Fault, RabbitMqCluster
from tests.support.running import LegacyClient, bus_client, running_proxy, until, until_serving
from tests.support.servers import PASSWORD, Asterisk

APPLICATION = "nodes"
#: Commands of one second: those before may be on their way when a node begins to fail.
UNDER_WAY = 20


@dataclass(frozen=True)
class Role:
    """Node 0 leads all queues, and all clients are on one node."""

    fails: int
    clients: int


ROLES = {
    "leader": Role(fails=0, clients=1),
    "connected": Role(fails=1, clients=1),
    "neither": Role(fails=2, clients=1),
    "leader and connected": Role(fails=0, clients=0),
}
FAULTS: Sequence[Fault] = ("killed", "stopped", "cut off")
IS_LONG = bool(os.environ.get("LONG"))
#: Classic queues are where they were declared, and nowhere else.
GOES_ON = ROLES if QUEUE_TYPE == "quorum" else ("connected", "neither")
AWAY = ROLES.keys() - set(GOES_ON)
#: The worst of them; `make chaos LONG=1` has all.
WORST: Sequence[tuple[str, Fault]] = (
    [("leader and connected", "cut off")] if QUEUE_TYPE == "quorum" else []
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RabbitMqCluster]:
    found = RabbitMqCluster()
    try:
        found.start()
        yield found
    finally:
        found.remove()


class Commands:
    """Commands that are sent all the time, and what became of each."""

    def __init__(self, calls: Calls, bus: Bus) -> None:
        self._calls = calls
        self._bus = bus
        self.sent: list[str] = []
        #: Told by the client's bus.
        self.unsent: set[str] = set()
        bus.set_drop_handler(self._note)

    @asynccontextmanager
    async def sending(self, channels: Sequence[str]) -> AsyncIterator[None]:
        """Send them, round and round, around a block."""
        sending = asyncio.create_task(self._send_all(channels))
        try:
            yield
        finally:
            sending.cancel()

    async def _send_all(self, channels: Sequence[str]) -> None:
        for number, channel in enumerate(itertools.cycle(channels)):
            self.sent.append(f"command {number}")
            url = f"/channels/{channel}/variable?variable=COMMANDED&value={number}"
            command = {"unique_id": self.sent[-1], "url": url, "method": "POST", "body": ""}
            topic = f"commands_{self._calls.dialog_of(channel)}"
            self._bus.publish(topic, json.dumps(command).encode(), once=True)
            await asyncio.sleep(0.05)

    def _note(self, _topic: str, payload: bytes, _reason: str) -> None:
        with suppress(ValueError):
            self.unsent.add(json.loads(payload)["unique_id"])

    def _answered(self, channel: str) -> set[str]:
        responses = self._calls.client.responses[self._calls.dialog_of(channel)]
        return {response["unique_id"] for response in responses}

    async def until_answered(self, channels: Sequence[str]) -> None:
        """Wait until a command that is sent from now on is answered on each call."""
        begun = len(self.sent)
        await until(lambda: all(self._answered(c) & {*self.sent[begun:]} for c in channels))

    async def until_settled(self, channels: Sequence[str]) -> None:
        """Wait until the last command on each call, which has them in order, is answered."""
        await until(lambda: not {*self.sent[-len(channels) :]} & {*self.lost})

    @property
    def lost(self) -> list[str]:
        """Those that have no answer, though they were sent."""
        known = self.unsent.union(*map(self._answered, self._calls.sent))
        return [name for name in self.sent if name not in known]

    @property
    def executed_twice(self) -> list[str]:
        done: Counter[str] = Counter()
        for events in self._calls.client.events.values():
            for event in {event["sequence"]: event for event in events}.values():
                body = json.loads(event["ari_body"])
                if event["type"] == "ChannelVarset" and body["variable"] == "COMMANDED":
                    done[f"command {body['value']}"] += 1
        return [name for name, count in done.items() if count > 1]


@dataclass
class Load:
    calls: Calls
    commands: Commands
    #: Whose events and commands go on.
    channels: list[str]
    #: A call that is there to end.
    ending: str


def settings_of(asterisk: Asterisk, cluster: RabbitMqCluster) -> Settings:
    return load(
        server_id="server-1",
        applications=(APPLICATION,),
        ari={
            "rest_url": asterisk.url,
            "websocket_url": asterisk.websocket_url,
            "password": PASSWORD,
        },
        bus={"kind": "RABBITMQ", "urls": cluster.urls},
        ingest={"listener_seconds": 60},
        admin={"enabled": False},
    )


@asynccontextmanager
async def load_on(
    asterisk: Asterisk, cluster: RabbitMqCluster, clients: int
) -> AsyncIterator[Load]:
    """Serve five calls whose queues node 0 leads, with all clients on a node."""
    settings = settings_of(asterisk, cluster)
    cluster.admit(0)
    async with (
        bus_client(settings) as bus,
        asterisk_client(asterisk) as rest,
        running_proxy(settings),
    ):
        await until_serving(bus)
        client = LegacyClient(bus, APPLICATION)
        await client.start()
        calls = Calls(rest, APPLICATION, client)
        await calls.until_registered()
        channels = await calls.place(5)
        if clients:
            cluster.admit(clients)
            await until(lambda: bus.reconnects)
            await until_serving(bus)
        await calls.mark_once_more(channels)
        cluster.admit(0, 1, 2)
        commands = Commands(calls, bus)
        async with (
            calls.marking(channels[1:], pause_seconds=0.02),
            commands.sending(channels[1:]),
        ):
            await calls.until_more(50)
            yield Load(calls, commands, channels[1:], channels[0])
        await calls.mark_once_more(channels[1:])
        await commands.until_settled(channels[1:])


async def serves_another(load: Load) -> None:
    (channel,) = await load.calls.place(1)
    dialog = load.calls.dialog_of(channel)
    await load.calls.mark_once_more([channel])
    answer = await load.calls.client.command(dialog, "POST", f"/channels/{channel}/ring")
    assert answer["status_code"] == 204


@pytest.mark.every_rabbitmq
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("role", "fault"), list(itertools.product(GOES_ON, FAULTS)) if IS_LONG else WORST
)
async def test_calls_go_on_without_a_node_and_nothing_is_lost(
    own_asterisk: Asterisk, cluster: RabbitMqCluster, role: str, fault: Fault
) -> None:
    node = ROLES[role]
    async with load_on(own_asterisk, cluster, node.clients) as load:
        calls, commands = load.calls, load.commands
        dialog = calls.dialog_of(load.ending)
        begun = len(commands.sent)
        async with cluster.lacking(node.fails, fault):
            under_way = commands.sent[max(begun - UNDER_WAY, 0) :]
            await calls.until_more(50)
            await calls.hang_up(load.ending)
            await calls.client.until(lambda: dialog in calls.client.ends)
            await serves_another(load)
        await calls.until_more(50)
        await serves_another(load)

    account = calls.account()
    # What the failed node had handed to its clients and they had not acknowledged comes again, once
    # the others know that it has failed: perhaps behind later events.
    may_be_late = {"disordered", "stale"} if node.fails == node.clients else set()
    assert set(account.faults) <= may_be_late
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    assert commands.lost == []
    # What one node has acknowledged, another one may not know yet: RabbitMQ hands it over again.
    assert set(commands.executed_twice) <= set(under_way)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("role", "fault"), list(itertools.product(sorted(AWAY), FAULTS)) if IS_LONG else []
)
async def test_classic_queues_are_away_with_their_node_and_what_that_costs_is_shown(
    own_asterisk: Asterisk, cluster: RabbitMqCluster, role: str, fault: Fault
) -> None:
    node = ROLES[role]
    async with load_on(own_asterisk, cluster, node.clients) as load:
        calls, commands = load.calls, load.commands
        begun = len(commands.sent)
        ending = calls.dialog_of(load.ending)
        async with cluster.lacking(node.fails, fault):
            await until(lambda: len(commands.unsent) > 20)
            sent_before = {channel: calls.sent[channel][-1] for channel in load.channels}
            await calls.hang_up(load.ending)
            await until(lambda: len(commands.unsent) > 40)
        # The queues of a call return one by one.
        await calls.mark_once_more(load.channels)
        await commands.until_answered(load.channels)
        # As it goes, and as it returns.
        under_way = commands.sent[max(begun - UNDER_WAY, 0) :]
        await serves_another(load)
        await calls.client.until(lambda: ending in calls.client.ends)
        if role == "leader":  # Else ingest has no connection either, and may keep what comes.
            for channel in load.channels:
                await until(partial(calls.unheard, channel))

    account = calls.account()
    # What RabbitMQ hands over again comes behind what it had handed over later.
    assert set(account.faults) <= {"lost", "disordered", "stale"}
    for channel in load.channels:
        lost = [n for n in calls.sent[channel] if n not in calls.marks(channel)]
        # What the queues held is told by nobody.
        assert hole(calls, channel) >= len(lost)
        assert calls.unheard(channel) >= sum(n > sent_before[channel] for n in lost)
    assert set(commands.lost) <= set(under_way)
    assert set(commands.executed_twice) <= set(under_way)


def hole(calls: Calls, channel: str) -> int:
    """Return how many numbers are missing in the sequence of a call's events."""
    events = calls.client.events[calls.dialog_of(channel)]
    sequences: set[int] = {event["sequence"] for event in events}
    return max(sequences) - min(sequences) + 1 - len(sequences)
