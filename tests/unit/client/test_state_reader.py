"""Reading a state where events may not tell it."""

import asyncio
from typing import Any

import pytest

from ari_proxy.client.errors import CallEnded, ClientError, NotAllowed, OutcomeUnknown
from ari_proxy.client.follower import Follower
from ari_proxy.client.missed_events import MissedEvents
from ari_proxy.client.state_reader import READ_ATTEMPTS, StateReader
from tests.support.client_events import bridge, event
from tests.support.scripted_call import Request, ScriptedCall

GAP = event("ProxyGap", reason="websocket_lost")
LOST = OutcomeUnknown("GET x", "no response")
REFUSED = NotAllowed("GET x", 403, "the policy forbids it")


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


class Reading:
    """A state that a test lets be read."""

    def __init__(
        self, scripted: ScriptedCall, *, gives_up: bool = False, outcomes: list[ClientError]
    ) -> None:
        self.times = 0
        self._outcomes = outcomes
        self.missed = MissedEvents()
        self.reader = StateReader(
            Follower(scripted.call, self.missed.take),
            self.missed,
            self._read,
            retry_seconds=0,
            gives_up=gives_up,
        )

    async def _read(self) -> None:
        self.times += 1
        if self._outcomes:
            raise self._outcomes.pop(0)


async def test_event_is_enough(scripted: ScriptedCall) -> None:
    reading = Reading(scripted, outcomes=[])
    scripted.press("1")

    await reading.reader.follow_on(10)

    assert reading.times == 0


async def test_state_is_read_when_nothing_happens(scripted: ScriptedCall) -> None:
    reading = Reading(scripted, outcomes=[])

    await reading.reader.follow_on(0.001)

    assert reading.times == 1


@pytest.mark.parametrize(
    "error", [LOST, NotAllowed("GET x", 403, "policy")], ids=["lost", "refused"]
)
async def test_reading_that_fails_is_repeated(scripted: ScriptedCall, error: ClientError) -> None:
    reading = Reading(scripted, outcomes=[error] * (READ_ATTEMPTS + 1))
    scripted.send(GAP)

    while reading.missed.are_unread:
        await reading.reader.follow_on(10)

    assert reading.times == READ_ATTEMPTS + 2


async def test_one_that_gives_up_tells_why(scripted: ScriptedCall) -> None:
    reading = Reading(scripted, gives_up=True, outcomes=[LOST] * READ_ATTEMPTS)

    for _ in range(READ_ATTEMPTS - 1):
        assert not await reading.reader.read()
    with pytest.raises(OutcomeUnknown):
        await reading.reader.read()


async def test_call_that_ends_ends_the_waiting(scripted: ScriptedCall) -> None:
    reading = Reading(scripted, outcomes=[LOST])
    scripted.hang_up()
    await reading.reader.follow_on(10)

    with pytest.raises(CallEnded):
        await reading.reader.follow_on(10)


async def test_bridge_is_read_once_more_after_a_gap_while_it_is_read(
    scripted: ScriptedCall,
) -> None:
    members = [["c"], []]

    def tell(request: Request) -> tuple[int, Any]:
        inside = members.pop(0)
        if members:
            scripted.send(GAP)  # Asterisk had answered before it.
        return 200, bridge(request.path.rpartition("/")[2], *inside)

    scripted.answer_with("GET /bridges/", tell)
    async with scripted.call.bridge() as room, asyncio.timeout(5):
        await room.add(scripted.call)
        scripted.send(GAP)

        assert await room.wait_for_leaver() is scripted.call
