"""A queue: callers hear music, and now and then their place, until an agent takes them.

Agents are called one after another, each for one caller at a time. Who answers takes the caller by
pressing 1; who does not is left alone for a while. The queue is in the memory of its process: run
one.
"""

import asyncio
import os
from collections import deque
from contextlib import suppress

from ari_proxy import App, Call
from ari_proxy.client.errors import CallEnded, DialFailed

AGENTS = os.environ.get("AGENTS", "PJSIP/200 PJSIP/201").split()
RING_SECONDS = 20
#: Between two announcements of a caller's place.
PLACE_SECONDS = 30
#: For which an agent who has not taken a caller is left alone.
REST_SECONDS = 60

app = App("queue", os.environ.get("BUS_URL", "nats://127.0.0.1:4222"))


class Line:
    """The callers who wait, and the agents who are free."""

    def __init__(self) -> None:
        #: In the order of their arrival; whether an agent is being called for them.
        self.waiting: dict[Call, bool] = {}
        #: In the order in which they became free.
        self.free = deque(AGENTS)
        self._changed = asyncio.Event()

    def is_turn(self, call: Call) -> bool:
        """Return whether there is a free agent for a caller."""
        ahead = list(self.waiting).index(call)
        return list(self.waiting.values())[:ahead].count(False) < len(self.free)

    async def wait_turn(self, call: Call) -> None:
        """Wait until it is a caller's turn."""
        while not self.is_turn(call):
            await self._changed.wait()

    def leave(self, call: Call) -> None:
        """Note that a caller waits no more."""
        self.waiting.pop(call, None)
        self._change()

    def take_agent(self, call: Call) -> str:
        """Return an agent, whom nobody else gets until `give_back`."""
        self.waiting[call] = True
        return self.free.popleft()

    def give_back(self, call: Call, agent: str) -> None:
        """Let others have an agent: later, if the caller still waits for one."""
        has_refused = call in self.waiting and not call.is_over
        if has_refused:
            self.waiting[call] = False
        delay = REST_SECONDS if has_refused else 0
        asyncio.get_running_loop().call_later(delay, self._add_agent, agent)

    def _add_agent(self, agent: str) -> None:
        self.free.append(agent)
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


line = Line()


@app.call
async def queue(call: Call) -> None:
    """Serve one call."""
    await call.answer()
    line.waiting[call] = False
    try:
        while call in line.waiting:
            await wait(call)
            agent = line.take_agent(call)
            try:
                await connect(call, agent)
            finally:
                line.give_back(call, agent)
    finally:
        line.leave(call)
    await call.hang_up()


async def wait(call: Call) -> None:
    """Wait with music until an agent is free; tell the caller's place now and then."""
    while not line.is_turn(call):
        place = list(line.waiting).index(call) + 1
        await call.play(["sound:queue-thereare", f"number:{place}", "sound:queue-callswaiting"])
        async with call.music():
            with suppress(TimeoutError):
                async with asyncio.timeout(PLACE_SECONDS):
                    await line.wait_turn(call)


async def connect(call: Call, agent: str) -> None:
    """Call an agent; if the agent takes the caller, have the two speak to the end."""
    async with call.bridge() as room:
        try:
            async with call.music():
                leg = await call.dial(agent, timeout=RING_SECONDS)
                await room.add(leg)  # At the end of the room it is hung up.
                question = ["sound:vm-press", "digits:1"]
                if await leg.prompt(question, digits=1, choices="1", tries=2) is None:
                    return
        except DialFailed:
            return
        except CallEnded:
            if call.is_over:
                raise
            return  # The agent has hung up.
        await room.add(call)
        if not leg.is_over:
            line.leave(call)
            await room.wait_for_leaver()


if __name__ == "__main__":
    app.run()
