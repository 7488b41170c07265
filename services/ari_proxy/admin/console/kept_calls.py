"""The calls of one server that are over, and the steps that were kept of one, for the console.

They come from all processes, over the bus. Whoever floods the page, which asks for no password,
must not flood those: one asks at a time, and the list holds for a moment.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, TypeVar

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError
from ari_proxy.clock import Clock
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.facts import CallFacts
from ari_proxy.tap.recorded_calls import RecordedCalls
from ari_proxy.tap.watcher import NobodyServesError
from ari_proxy.watch.render.calls import row_of
from ari_proxy.watch.render.steps import Steps

Answer = TypeVar("Answer")

#: Seconds for an answer of all processes, and for which a list holds.
ANSWER_SECONDS: Final = 15.0
HOLDS_SECONDS: Final = 5.0


class KeptCallsError(Exception):
    """The calls that were kept can't be had now."""


class Ended(NamedTuple):
    """Some calls of many that are over."""

    calls: list[dict[str, Any]]  #: the newest first
    found: int
    total: int


class KeptCalls:
    """What the recorders of one server have kept."""

    def __init__(
        self,
        server: ServerId,
        *,
        clock: Clock = time.monotonic,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Initialise without having asked.

        Args:
            server: whose calls.
            clock: monotonic seconds.
            answer_seconds: for all answers.
        """
        self._server = server
        self._clock = clock
        self._answer_seconds = answer_seconds
        self._asking = asyncio.Lock()
        self._ended: list[CallFacts] = []
        self._holds_until = -1.0

    async def ended(self, bus: Bus, find: str, limit: int) -> Ended:
        """Return the newest calls that are over and contain a text.

        Raises:
            KeptCallsError: they can't be had now.
        """
        calls = await self._within(self._known(bus))
        found = [facts for facts in calls if _has(facts, find)]
        rows = [row_of(facts, time.time()) for facts in found[:limit]]
        return Ended(rows, len(found), len(calls))

    async def _known(self, bus: Bus) -> list[CallFacts]:
        async with self._asking:
            if self._clock() >= self._holds_until:
                calls = await RecordedCalls(bus, self._server).calls()
                ended = [facts for facts in calls if facts.ended_at]
                self._ended = sorted(ended, key=lambda facts: facts.ended_at, reverse=True)
                self._holds_until = self._clock() + HOLDS_SECONDS
            return self._ended

    async def ladder(self, bus: Bus, dialog_id: str) -> dict[str, Any]:
        """Return the steps that were kept of a dialog and, if it is over, why it has ended.

        Raises:
            KeptCallsError: they can't be had now.
        """
        return await self._within(self._drawn(bus, dialog_id))

    async def _drawn(self, bus: Bus, dialog_id: str) -> dict[str, Any]:
        async with self._asking:
            records = await RecordedCalls(bus, self._server).records(dialog_id)
        made = Steps()
        rows = [made.next(record)._asdict() for record in records]
        return {"steps": rows, "why": made.why.sentence if made.why is not None else ""}

    async def _within(self, asking: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await asking
        except (BusError, NobodyServesError) as error:
            raise KeptCallsError(str(error)) from error
        except TimeoutError as error:
            raise KeptCallsError(f"no answer within {self._answer_seconds:g} s") from error


def _has(facts: CallFacts, find: str) -> bool:
    own = [facts.dialog_id, facts.application]
    for channel in facts.channels.values():
        own += [channel.channel_id, channel.name, channel.protocol_id]
        own += [channel.caller, channel.called, channel.connected]
    return any(find in text for text in own)
