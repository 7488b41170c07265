"""The queue of the examples serves calls: simulated, and of Asterisk 22."""

from collections import Counter
from typing import Any

from ari_proxy import Call
from ari_proxy.client.events import ChannelEnteredBridge, Event
from tests.support.calls import RestServer
from tests.support.embedded_app import embedded_app
from tests.support.python_examples import example
from tests.support.running import until

SILENT = "Local/ring@default/n"
#: Press 1 half a second after the answer, and later.
WILLING = ("Local/dtmf-w1@default/n", "Local/dtmf-ww1@default/n")


class ObservedQueue:
    """The queue, and what has happened in it."""

    def __init__(self, *agents: str) -> None:
        self.module: Any = example("call_queue")
        self.module.RING_SECONDS = 1
        self.module.line.free.extend(agents)
        for agent in self.module.AGENTS:
            self.module.line.free.remove(agent)
        self._connect = self.module.connect
        self.module.connect = self.connect
        #: Those that an agent is called for, and the most at once.
        self._called: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        #: The channels of callers and of agents that have entered a bridge.
        self.callers: list[str] = []
        self.agents: list[str] = []

    async def serve(self, call: Call) -> None:
        """Serve a call."""

        def follow(event: Event) -> None:
            if isinstance(event, ChannelEnteredBridge) and event.channel is not None:
                entered = event.channel.id
                (self.callers if entered == call.channel_id else self.agents).append(entered)

        with call.following(follow):
            await self.module.queue(call)

    async def connect(self, call: Call, agent: str) -> None:
        """Do what the queue's own does."""
        self._called[agent] += 1
        self.most_at_once[agent] = max(self.most_at_once[agent], self._called[agent])
        try:
            await self._connect(call, agent)
        finally:
            self._called[agent] -= 1

    async def until_talking(self, count: int) -> None:
        """Wait until so many callers have come to an agent."""
        await until(lambda: len(self.callers) >= count)

    async def until_free(self, *agents: str) -> None:
        """Wait until these agents are free, and nobody waits."""
        line = self.module.line
        await until(lambda: {*agents} <= {*line.free} and not line.waiting)


async def test_each_caller_gets_an_agent_who_has_no_other(server: RestServer) -> None:
    queue = ObservedQueue(SILENT, *WILLING)

    async with embedded_app(server, queue.serve) as callers:
        channels = [await callers.place() for _ in range(5)]
        for number, _ in enumerate(channels):
            await queue.until_talking(number + 1)
            await callers.hang_up(queue.callers[number])
        await queue.until_free(*WILLING)
        for channel in [*channels, *queue.agents]:
            await callers.until_gone(channel)

    assert sorted(queue.callers) == sorted(channels)
    assert queue.most_at_once == Counter([SILENT, *WILLING])


async def test_agent_who_hangs_up_ends_the_call(server: RestServer) -> None:
    queue = ObservedQueue(WILLING[0])

    async with embedded_app(server, queue.serve) as callers:
        channel = await callers.place()
        await queue.until_talking(1)
        await callers.hang_up(queue.agents[0])
        await callers.until_gone(channel)
        await queue.until_free(WILLING[0])


async def test_caller_who_leaves_the_queue_is_not_connected(server: RestServer) -> None:
    queue = ObservedQueue(WILLING[0])

    async with embedded_app(server, queue.serve) as callers:
        talking = await callers.place()
        await queue.until_talking(1)
        leaving, waiting = [await callers.place() for _ in range(2)]
        await until(lambda: len(queue.module.line.waiting) == 2)
        await callers.hang_up(leaving)
        await until(lambda: len(queue.module.line.waiting) == 1)
        await callers.hang_up(talking)
        await queue.until_talking(2)
        await callers.hang_up(waiting)
        await queue.until_free(WILLING[0])

    assert queue.callers == [talking, waiting]
