"""One ingest takes over from another while its connection to Asterisk is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from ari_proxy.bus.base import Bus, Handler, Message, SubscriptionHandle, opened
from ari_proxy.bus.errors import BusTimeoutError, BusUnavailableError
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.connections import factories
from ari_proxy.ingest.parts import Surroundings, Times
from ari_proxy.ingest.service import IngestService
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.timestamps import seconds_of
from ari_proxy.settings.load import Settings, load
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces
from tests.support import documented_rights
from tests.support.calls import body_of
from tests.support.held_bus import FullBus, Hold
from tests.support.running import LegacyClient, until
from tests.support.scripted_asterisk import (
    ScriptedAsterisk,
    application_replaced,
    channel_event,
    scripted_asterisk,
)
from tests.support.servers import PASSWORD, BusServer

HAND_OVER = "handover_server-1"
SERVER = "server-1"
LOST = "the events websocket is not connected"
HANDED_OVER = "another ingest has taken over; stop this one"
#: What the first recovery waits for: pages of records, then the listening to requests for them.
PLACES = {
    "the first page": ("request", 0),
    "the second page": ("request", 1),
    "the last page": ("request", 3),
    "subscribing": ("subscribe", 0),
}


def settings_of(asterisk: ScriptedAsterisk, bus_server: BusServer | None) -> Settings:
    bus = {"kind": bus_server.kind, "urls": [bus_server.url]} if bus_server is not None else {}
    return load(
        server_id=SERVER,
        applications=("demo", "voicemail"),
        ari={
            "rest_url": asterisk.url,
            "websocket_url": asterisk.websocket_url,
            "user": "ari",
            "password": PASSWORD,
        },
        bus=bus,
        ingest={"listener_seconds": 60},
    )


class Running:
    """An ingest in the test's own loop."""

    def __init__(self, settings: Settings, bus: Bus, times: Times) -> None:
        self.settings = settings
        self.bus = bus
        self.times = times
        self.stop = asyncio.Event()
        self._ingest: IngestService | None = None
        self._task: asyncio.Task[None] | None = None

    def kill(self) -> None:
        """End it as if its process were gone: nobody hears of it any more."""
        assert self._task is not None
        self._task.cancel()

    def start(self, tasks: asyncio.TaskGroup) -> None:
        self._task = tasks.create_task(self._run())

    async def _run(self) -> None:
        socket = factories.event_socket(self.settings)
        tap = Tap(ServerId(SERVER), self.bus)
        async with opened(self.bus), factories.rest_client(self.settings) as rest:
            around = Surroundings(
                settings=self.settings,
                bus=self.bus,
                rest=rest,
                metrics=Metrics(),
                tap=tap,
                traces=Traces(),
            )
            self._ingest = ingest = IngestService(
                around,
                socket,
                times=self.times,
                page_bytes=1,  # A page for each record.
            )
            await ingest.run(self.stop)

    async def check(self, name: str) -> str:
        return await self._ingest.checks[name]() if self._ingest else "not begun"

    @property
    def dialogs(self) -> list[str]:
        dialogs = self._ingest.view.dialogs() if self._ingest else []
        return sorted(dialog["dialog_id"] for dialog in dialogs)

    async def until_lost(self) -> None:
        await until_says(self, LOST)

    async def until_connected(self) -> None:
        await until_says(self, "")

    async def until_handed_over(self) -> None:
        await until_says(self, HANDED_OVER)


async def until_says(ingest: Running, expected: str) -> None:
    async def says() -> bool:
        return await ingest.check("websocket") == expected

    await until(says)


class Stage:
    """Ingests of one server on one bus, and a client."""

    def __init__(self, asterisk: ScriptedAsterisk, bus_server: BusServer | None) -> None:
        self.asterisk = asterisk
        self.broker = MemoryBroker()
        self._bus_server = bus_server
        #: Of ingests that begin from now on: no long wait for calls that seem to be new.
        self.times = Times(unserved_seconds=0.1)

    async def start(self, bus: Bus) -> None:
        """Have the client on its own connection."""
        self.bus = bus
        self.client = LegacyClient(bus, "demo")
        self.voicemail = LegacyClient(bus, "voicemail")
        await bus.wait_connected()
        await self.client.start()
        await self.client.listen(SERVER)

    def connect(self, account: str = "application") -> Bus:
        if self._bus_server is None:
            return FullBus(self.broker)
        settings = settings_of(self.asterisk, self._bus_server)
        return factories.bus(documented_rights.logged_in(settings, account), "ingest")

    def running(self, asterisk: ScriptedAsterisk | None = None) -> Running:
        settings = settings_of(asterisk or self.asterisk, self._bus_server)
        return Running(settings, self.connect("ingest"), self.times)

    @asynccontextmanager
    async def ingest(
        self, hold: Hold | None = None, asterisk: ScriptedAsterisk | None = None
    ) -> AsyncIterator[Running]:
        running = self.running(asterisk)
        if hold is not None:
            hold.on(running.bus)
        async with asyncio.TaskGroup() as tasks:
            running.start(tasks)
            try:
                await running.until_connected()
                yield running
            finally:
                running.stop.set()

    async def begin(self, *channels: str) -> list[str]:
        """Channels enter the application; returns their dialogs."""
        client = self.client
        for channel in channels:
            self.asterisk.add_channel(channel)
            await self.asterisk.push(channel_event("StasisStart", channel))
        await client.until(lambda: len(client.starts) >= len(channels))
        dialogs = {start["channel_id"]: str(start["dialog_id"]) for start in client.starts}
        await client.until(lambda: all(map(client.types_of, dialogs.values())))
        return [dialogs[channel] for channel in channels]

    async def begin_unheard(self, ingest: Running) -> None:
        """A channel enters an application that is not there yet: its dialog waits for it."""
        count = len(ingest.dialogs)
        self.asterisk.add_channel("w", "voicemail")
        await self.asterisk.push(channel_event("StasisStart", "w", "voicemail"))
        await until(lambda: len(ingest.dialogs) > count)

    async def until_heard(self) -> list[str]:
        """That application comes; returns the types of what its dialog has got first."""
        client = self.voicemail
        await client.start()
        return client.types(await client.first_dialog())[:1]

    async def tell(self, *channels: str) -> None:
        for channel in channels:
            await self.asterisk.push(channel_event("ChannelVarset", channel))

    def counts(self, dialogs: list[str], event_type: str) -> list[int]:
        return [self.client.types_of(dialog).count(event_type) for dialog in dialogs]

    async def until_counts(self, dialogs: list[str], event_type: str, count: int) -> None:
        await self.client.until(lambda: min(self.counts(dialogs, event_type)) >= count)

    async def lose(self, ingest: Running) -> None:
        await self.asterisk.drop()
        await ingest.until_lost()


@pytest.fixture
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """On a bus in memory, unless the test says which ones."""
    name = getattr(request, "param", "")
    bus_server = request.getfixturevalue(name) if name else None
    async with scripted_asterisk() as asterisk:
        for application in ("demo", "voicemail"):
            asterisk.standing["GET", f"/applications/{application}"] = 200, "{}"
        stage = Stage(asterisk, bus_server)
        async with opened(stage.connect()) as bus:
            await stage.start(bus)
            yield stage


on_all_buses = pytest.mark.parametrize(
    "stage",
    ["", "nats_server", "rabbitmq_link"],
    ids=["memory", "nats", "rabbitmq"],
    indirect=True,
)


@on_all_buses
@pytest.mark.parametrize("is_back_first", [True, False], ids=["back first", "told first"])
@pytest.mark.parametrize("place", PLACES)
async def test_dialogs_are_taken_and_handed_on_whenever_the_connection_is_lost(
    stage: Stage, place: str, is_back_first: bool
) -> None:
    method, after = PLACES[place]
    hold = Hold("request" if method == "request" else "subscribe", HAND_OVER, after)
    async with AsyncExitStack() as running:
        first = await running.enter_async_context(stage.ingest())
        dialogs = await stage.begin("a", "b")
        await stage.begin_unheard(first)
        every = first.dialogs

        second = await running.enter_async_context(stage.ingest(hold))
        await hold.reached.wait()
        await stage.tell("a")
        await stage.lose(second)
        if is_back_first:
            await second.until_connected()
        hold.released.set()
        await second.until_connected()
        await stage.until_counts(dialogs, "ProxyGap", 1)
        await stage.tell("a", "b")
        await stage.until_counts(dialogs[1:], "ChannelVarset", 1)

        third = await running.enter_async_context(stage.ingest())
        await first.until_handed_over()
        await second.until_handed_over()
        assert await stage.until_heard() == ["StasisStart"]
        await stage.tell("a", "b")
        await stage.until_counts(dialogs[1:], "ChannelVarset", 2)
        await asyncio.sleep(0.3)  # What nobody has announced yet would be by now.
        assert third.dialogs == every

    assert stage.counts(dialogs, "ChannelVarset") == [3, 2]
    assert stage.counts(dialogs, "ProxyGap") == [1, 1]
    for dialog in dialogs:
        sequences = [event["sequence"] for event in stage.client.events[dialog]]
        assert sequences == list(range(1, len(sequences) + 1))
    assert sorted(start["dialog_id"] for start in stage.client.starts) == sorted(dialogs)
    assert [start["channel_id"] for start in stage.voicemail.starts] == ["w"]


@on_all_buses
@pytest.mark.parametrize("is_back_first", [True, False], ids=["back first", "told first"])
async def test_events_of_a_lost_connection_wait_for_the_dialogs_that_are_taken(
    stage: Stage, is_back_first: bool
) -> None:
    hold = Hold("request", HAND_OVER)
    async with stage.ingest():
        (dialog,) = await stage.begin("a")
        async with stage.ingest(hold) as second:
            await hold.reached.wait()
            await stage.tell("a")
            await stage.lose(second)
            if is_back_first:
                await second.until_connected()
            hold.released.set()
            await stage.until_counts([dialog], "ProxyGap", 1)

    # The gap is behind it: nothing is missing before.
    assert stage.client.types(dialog) == ["StasisStart", "ChannelVarset", "ProxyGap"]
    assert "ChannelVarset" not in stage.client.types_of(SERVER)


async def test_events_of_a_connection_that_is_lost_at_once_wait_for_the_dialogs(
    stage: Stage,
) -> None:
    async with stage.ingest() as first:
        (dialog,) = await stage.begin("a")
        stage.asterisk.brief = [channel_event("ChannelVarset", "a")] * 3
        async with stage.ingest():
            await first.until_handed_over()
            await stage.until_counts([dialog], "ProxyGap", 1)

    assert stage.client.types(dialog) == ["StasisStart", *["ChannelVarset"] * 3, "ProxyGap"]
    assert "ChannelVarset" not in stage.client.types_of(SERVER)


@on_all_buses
async def test_event_that_comes_behind_the_replacement_is_not_lost(stage: Stage) -> None:
    stage.times = replace(stage.times, first_canary_seconds=10)
    async with stage.ingest() as first:
        (dialog,) = await stage.begin("a")
        stage.asterisk.being_sent = [channel_event("ChannelVarset", "a")] * 3
        async with stage.ingest():
            await first.until_handed_over()
            await stage.asterisk.push(channel_event("ChannelHangupRequest", "a"))
            await stage.until_counts([dialog], "ChannelHangupRequest", 1)

    varsets = ["ChannelVarset"] * 3
    assert stage.client.types(dialog) == ["StasisStart", *varsets, "ChannelHangupRequest"]


async def test_ingest_whose_canaries_are_refused_takes_over_all_the_same(stage: Stage) -> None:
    async with stage.ingest() as first:
        (dialog,) = await stage.begin("a")
        stage.asterisk.proof_status = 403
        async with stage.ingest():
            await first.until_handed_over()
            await stage.tell("a")
            await stage.until_counts([dialog], "ChannelVarset", 1)

    assert stage.client.types(dialog) == ["StasisStart", "ChannelVarset"]


async def test_events_wait_no_longer_for_dialogs_than_for_anything_else(
    stage: Stage,
) -> None:
    stage.times = replace(stage.times, hold_seconds=0.3)
    hold = Hold("request", HAND_OVER)
    async with stage.ingest():
        (dialog,) = await stage.begin("a")
        async with stage.ingest(hold) as second:
            await hold.reached.wait()
            await stage.tell("a")
            await stage.lose(second)
            await stage.until_counts([SERVER], "ChannelVarset", 1)
            hold.released.set()
            await stage.until_counts([dialog], "ProxyGap", 1)
            await stage.tell("a")
            await stage.until_counts([dialog], "ChannelVarset", 1)


async def test_ingest_that_stops_takes_the_dialogs_first_that_it_has_asked_for(
    stage: Stage,
) -> None:
    hold = Hold("request", HAND_OVER, after=1)
    async with stage.ingest() as first:
        (dialog,) = await stage.begin("a")
        await stage.begin_unheard(first)
        async with stage.ingest(hold) as second:
            await hold.reached.wait()
            await stage.tell("a")
            second.stop.set()
            await second.until_lost()
            hold.released.set()
            assert await stage.until_heard() == ["StasisStart"]
            await stage.until_counts([dialog], "ChannelVarset", 1)


@on_all_buses
async def test_dialogs_of_one_that_is_taking_over_itself_are_taken_when_it_has_them(
    stage: Stage,
) -> None:
    hold, told_busy = Hold("request", HAND_OVER, after=1), Hold("request", HAND_OVER)
    async with stage.ingest() as first:
        (dialog,) = await stage.begin("a")
        await stage.begin_unheard(first)
        every = first.dialogs
        async with stage.ingest(hold) as second:
            await hold.reached.wait()
            await stage.tell("a")
            async with stage.ingest(told_busy) as third:
                await told_busy.reached.wait()
                await stage.tell("a")
                hold.released.set()
                told_busy.released.set()
                await second.until_handed_over()
                assert await stage.until_heard() == ["StasisStart"]
                await stage.tell("a")
                await stage.until_counts([dialog], "ChannelVarset", 3)
                assert third.dialogs == every

    assert stage.client.types(dialog) == ["StasisStart", *["ChannelVarset"] * 3]
    assert [event["sequence"] for event in stage.client.events[dialog]] == [1, 2, 3, 4]


@on_all_buses
async def test_dialogs_that_a_dead_ingest_was_taking_are_kept_for_the_next_one(
    stage: Stage,
) -> None:
    stage.times = replace(stage.times, successor_seconds=0.5)
    hold = Hold("request", HAND_OVER)
    async with stage.ingest() as first:
        (dialog,) = await stage.begin("a")
        await stage.begin_unheard(first)
        every = first.dialogs
        async with stage.ingest(hold) as second:
            await hold.reached.wait()
            await stage.tell("a")  # Nobody will know of it.
            second.kill()
        async with stage.ingest() as third:
            await first.until_handed_over()
            await stage.until_counts([dialog], "ProxyGap", 1)
            await stage.tell("a")
            await stage.until_counts([dialog], "ChannelVarset", 1)
            assert await stage.until_heard() == ["StasisStart"]
            assert third.dialogs == every

    assert stage.client.types(dialog) == ["StasisStart", "ProxyGap", "ChannelVarset"]
    assert [event["sequence"] for event in stage.client.events[dialog]] == [1, 2, 3]
    gap = body_of(stage.client.events[dialog][1])
    began = seconds_of(stage.client.events[dialog][0]["timestamp"])
    assert gap["reason"] == "websocket_lost"
    assert began is not None
    assert began <= datetime.fromisoformat(gap["from"]).timestamp() + 0.001
    assert gap["from"] < gap["to"]


async def test_what_an_ingest_was_taking_that_went_on_without_it_is_offered_to_nobody(
    stage: Stage,
) -> None:
    hold = Hold("request", HAND_OVER, after=1, error=BusTimeoutError(HAND_OVER, 4))
    async with stage.ingest() as first:
        dialog, *_ = await stage.begin("a", "b", "c")
        stage.asterisk.channels[0] |= {"channelvars": {"ARI_PROXY_DIALOG": dialog}}
        async with stage.ingest(hold) as second:
            await hold.reached.wait()
            hold.released.set()
            await first.until_handed_over()
            await stage.until_counts([dialog], "ProxyGap", 1)
            async with stage.ingest() as third:
                await second.until_handed_over()
                await stage.tell("a")
                await stage.until_counts([dialog], "ChannelVarset", 1)
                assert dialog in third.dialogs

    sequences = [event["sequence"] for event in stage.client.events[dialog]]
    assert sequences == sorted(sequences)


async def test_ingest_that_was_asked_before_it_knew_its_dialogs_tells_that_events_are_missing(
    stage: Stage,
) -> None:
    async with stage.ingest() as first:
        (dialog,) = await stage.begin("a")
        mark = {"channelvars": {"ARI_PROXY_DIALOG": dialog}}
        stage.asterisk.channels[0] |= mark
        first.stop.set()
    stage.client.events[dialog].clear()
    # Nobody has handed over to it, and it does not know what there is.
    stage.asterisk.unlisted = 10**6
    async with stage.ingest() as second:
        await until_listening(stage)
        async with stage.ingest():
            await second.until_handed_over()
            stage.asterisk.unlisted = 0
            await stage.until_counts([dialog], "ProxyGap", 1)
            await stage.client.until(lambda: stage.client.recoveries[1:])

    gap = body_of(stage.client.events[dialog][0])
    assert (gap["type"], gap["reason"], gap["from"]) == ("ProxyGap", "ingest_restarted", None)


async def until_listening(stage: Stage) -> None:
    """Wait until an ingest would hand over; what is sent for that is no request."""
    await until(lambda: stage.bus.publish_to_listener(HAND_OVER, b"{}"))


async def test_who_was_replaced_on_a_former_connection_hands_over_to_nobody_else(
    stage: Stage,
) -> None:
    async with stage.ingest() as first, scripted_asterisk() as elsewhere:
        (dialog,) = await stage.begin("a")
        await replace_all(stage)
        await until_replaced(first, "another client has taken demo, voicemail")
        await stage.lose(first)
        await first.until_connected()
        await stage.until_counts([dialog], "ProxyGap", 1)
        async with stage.ingest(asterisk=elsewhere):
            await stage.client.until(lambda: len(stage.client.recoveries) == 3)
            await stage.tell("a")
            await stage.until_counts([dialog], "ChannelVarset", 1)


async def test_who_was_replaced_on_a_connection_that_is_over_serves_on_the_next_one(
    stage: Stage,
) -> None:
    """What tells it passes late: the bus takes nothing."""
    async with stage.ingest() as first:
        (dialog,) = await stage.begin("a")
        assert isinstance(first.bus, FullBus)
        first.bus.is_full = True
        stage.asterisk.unlisted = 10**6
        await stage.lose(first)
        await first.until_connected()
        await replace_all(stage)
        await stage.lose(first)
        await first.until_connected()
        stage.asterisk.unlisted = 0
        first.bus.is_full = False
        await stage.until_counts([SERVER], "ApplicationReplaced", 2)
        await stage.until_counts([dialog], "ProxyGap", 1)
        assert await first.check("applications") == ""


async def replace_all(stage: Stage) -> None:
    for application in ("demo", "voicemail"):
        await stage.asterisk.push(application_replaced(application))


async def until_replaced(ingest: Running, reason: str) -> None:
    async def says() -> bool:
        return await ingest.check("applications") == reason

    await until(says)


async def test_term_that_is_cancelled_as_it_begins_listens_to_nothing_any_more(
    stage: Stage,
) -> None:
    hold = Hold("subscribe", f"owners_{SERVER}")
    running = stage.running()
    hold.on(running.bus)
    async with asyncio.TaskGroup() as tasks:
        running.start(tasks)
        await hold.reached.wait()
        assert is_heard(stage, "bindings")
        running.kill()

    assert not is_heard(stage, "bindings")


@pytest.mark.parametrize("failing", ["bindings", "owners", "handover"])
async def test_subscription_that_does_not_end_in_order_keeps_no_other_one(
    stage: Stage, failing: str
) -> None:
    running = stage.running()
    running.bus = FailingBus(stage.broker, f"{failing}_{SERVER}")
    with pytest.raises(ExceptionGroup) as failed:
        await run_until_listening(stage, running)

    assert failed.group_contains(BusUnavailableError)
    assert not any(is_heard(stage, topic) for topic in ("bindings", "owners", "handover"))


async def run_until_listening(stage: Stage, running: Running) -> None:
    async with asyncio.TaskGroup() as tasks:
        running.start(tasks)
        await until_listening(stage)
        assert is_heard(stage, "bindings")
        running.stop.set()


class FailingBus(MemoryBus):
    """A bus on which the subscription to one topic does not end in order."""

    def __init__(self, broker: MemoryBroker, topic: str) -> None:
        super().__init__(broker)
        self._failing = topic

    async def subscribe(self, topic: str, handler: Handler, **options: Any) -> SubscriptionHandle:
        subscription = await super().subscribe(topic, handler, **options)
        return NeverEnding(subscription) if topic == self._failing else subscription


class NeverEnding:
    """A subscription that fails when it is to end."""

    def __init__(self, subscription: SubscriptionHandle) -> None:
        self._subscription = subscription

    async def unsubscribe(self) -> None:
        await self._subscription.unsubscribe()
        raise BusUnavailableError("the connection was lost")


def is_heard(stage: Stage, topic: str) -> bool:
    return stage.broker.deliver(Message(f"{topic}_{SERVER}", b""))
