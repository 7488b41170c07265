"""Calls on a real Asterisk with numbered events, and an account of their delivery."""

import asyncio
import itertools
import json
import math
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec

from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.rest import RestClient
from tests.support.running import LegacyClient, until, until_done
from tests.support.servers import PASSWORD

#: The channel variable whose ChannelVarset is a numbered event.
MARK = "MARK"


@dataclass
class Account:
    """Delivery of the numbered events of some calls."""

    sent: int = 0
    received: int = 0
    #: Missing, though no gap was announced where they were.
    lost: list[str] = field(default_factory=list)
    #: Missing where a gap was announced.
    lost_in_gaps: int = 0
    #: The same message again, as its sequence tells: around a lost connection of the bus.
    repeated: int = 0
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    #: A sequence that did not rise.
    stale: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        found = {
            "lost": self.lost,
            "doubled": self.doubled,
            "disordered": self.disordered,
            "stale": self.stale,
        }
        return {name: events for name, events in found.items() if events}


class Calls:
    """Calls that enter an application, each with its numbered events."""

    def __init__(self, rest: RestClient, application: str, client: LegacyClient) -> None:
        self._rest = rest
        self.application = application
        self.client = client
        self.sent: dict[str, list[int]] = {}
        self._numbers = itertools.count(1)

    async def until_registered(self) -> None:
        """Wait until the application has a websocket: calls that come earlier vanish."""

        async def is_registered() -> bool:
            answer = await self._rest.request("GET", f"/applications/{self.application}")
            return answer.status == 200

        await until(is_registered)

    async def place(self, count: int = 1, extension: str = "answer", **more: str) -> list[str]:
        """Place calls from outside; return their channels once their dialogs have begun."""
        channels = [await self.originate(extension, **more) for _ in range(count)]
        await until_done(lambda: sum(map(bool, map(self.dialog_of, channels))), len(channels))
        self.sent.update({channel: [] for channel in channels})
        return channels

    async def originate(self, extension: str = "answer", **more: str) -> str:
        """Place a call and return its channel."""
        query = {"endpoint": f"Local/{extension}@default/n", "app": self.application, **more}
        answer = await self._rest.request("POST", f"/channels?{urlencode(query)}")
        assert answer.status == 200, answer
        name: str = json.loads(answer.body)["id"]
        return name

    def dialogs_of(self, channel: str) -> list[str]:
        """Return the dialogs that were announced for a channel."""
        return [s["dialog_id"] for s in self.client.starts if s["channel_id"] == channel]

    def dialog_of(self, channel: str) -> str:
        """Return the dialog of a channel, once it has had its first event; or ''."""
        return next((d for d in self.dialogs_of(channel) if self.client.events.get(d)), "")

    async def mark(self, channel: str) -> None:
        """Make Asterisk send a numbered event."""
        number = next(self._numbers)
        self.sent[channel].append(number)
        path = f"/channels/{channel}/variable?variable={MARK}&value={number}"
        answer = await self._rest.request("POST", path)
        assert answer.status == 204, answer

    async def mark_all(self, channels: Collection[str]) -> None:
        for channel in channels:
            await self.mark(channel)

    @asynccontextmanager
    async def marking(
        self,
        channels: Sequence[str],
        *,
        pause_seconds: float = 0.002,
        workers: int = 1,
        ahead: float = math.inf,
    ) -> AsyncIterator[None]:
        """Send numbered events, round and round, all the while that a block runs.

        Args:
            channels: of the calls that get them.
            pause_seconds: after each event of a worker.
            workers: that send at once.
            ahead: how many may be on their way; where none is lost, that is how fast they come.
        """
        is_over = asyncio.Event()

        async def mark_on(channels: Sequence[str]) -> None:
            for channel in itertools.cycle(channels):
                while not is_over.is_set() and self._on_their_way() > ahead:
                    await asyncio.sleep(0.01)
                if is_over.is_set():
                    return
                await self.mark(channel)
                await asyncio.sleep(pause_seconds)

        async with asyncio.TaskGroup() as tasks:
            for worker in range(workers):
                tasks.create_task(mark_on(channels[worker::workers]))
            try:
                yield
            finally:
                is_over.set()

    async def until_more(self, count: int) -> None:
        """Wait until the application has had so many more events."""
        before = self._heard()
        await until(lambda: self._heard() >= before + count)

    def _on_their_way(self) -> int:
        return sum(map(len, self.sent.values())) - self._heard()

    def _heard(self) -> int:
        return sum(map(len, self.client.events.values()))

    async def hang_up(self, channel: str) -> None:
        await self._rest.request("DELETE", f"/channels/{channel}")

    async def hang_up_all(self) -> None:
        answer = await self._rest.request("GET", "/channels")
        for channel in json.loads(answer.body):
            await self.hang_up(channel["id"])

    def marks(self, channel: str) -> list[int]:
        return [mark for mark in self._marks_and_gaps(channel) if mark]

    def _marks_and_gaps(self, channel: str) -> list[int]:
        """Return the numbers that have come for a channel, and 0 for each gap."""
        found = []
        for event in self._fresh(channel):
            if event["type"] in {"ProxyGap", "ProxyDialogEnded"}:
                found.append(0)
            elif event["type"] == "ChannelVarset":
                body = json.loads(event["ari_body"])
                if body["variable"] == MARK and body["channel"]["id"] == channel:
                    found.append(int(body["value"]))
        dialog = self.dialog_of(channel)
        return [*found, 0] if dialog and self.is_missing(dialog) else found

    def unheard(self, channel: str) -> int:
        """Return how many events a call's application was told to have missed as unheard."""
        events = self.client.events[self.dialog_of(channel)]
        gaps = [body_of(event) for event in events if event["type"] == "ProxyGap"]
        return sum(gap["count"] for gap in gaps if gap["reason"] == "unheard")

    def is_missing(self, dialog: str) -> bool:
        """Return whether an ingest has found that a dialog is over, without seeing its end."""
        begun = self.client.events[dialog][0]["timestamp"]
        return any(
            event["timestamp"] > begun and dialog not in body_of(event)["dialogs"]
            for event in self.client.recoveries
        )

    def _fresh(self, channel: str) -> list[dict[str, Any]]:
        """Return the events of a channel's dialog, each message once."""
        events = self.client.events.get(self.dialog_of(channel), ())
        return list({e["sequence"]: e for e in reversed(events) if e["sequence"]}.values())[::-1]

    def repeated(self, channel: str) -> int:
        events = self.client.events.get(self.dialog_of(channel), ())
        return len([e for e in events if e["sequence"]]) - len(self._fresh(channel))

    async def mark_once_more(self, channels: Collection[str]) -> None:
        """Wait until a numbered event has come on each call; one lost in a gap is sent again.

        A connection that is new may be lost at once, or be silent (ingest/events/canary.py).
        """
        waiting = list(channels)
        while waiting:
            before = {channel: self._gaps(channel) for channel in waiting}
            await self.mark_all(waiting)
            await until_done(partial(self._count_settled, before), len(before))
            waiting = [channel for channel in waiting if not self._has_last(channel)]

    def _count_settled(self, gaps: dict[str, int]) -> int:
        """Count the calls whose last numbered event has come, or that have had more gaps."""
        return sum(self._has_last(c) or self._gaps(c) > before for c, before in gaps.items())

    def _gaps(self, channel: str) -> int:
        return self._marks_and_gaps(channel).count(0)

    async def until_all_came(self, channels: Collection[str]) -> None:
        """Wait until the last numbered event of each call has come."""
        await until_done(lambda: sum(map(self._has_last, channels)), len(channels))

    def _has_last(self, channel: str) -> bool:
        sent = self.sent[channel]
        return not sent or sent[-1] in self.marks(channel)

    def account(self, channels: Collection[str] = ()) -> Account:
        """Return the account of the numbered events."""
        account = Account()
        for channel in channels or self.sent:
            before = sum(map(len, account.faults.values()))
            self._add(account, channel)
            if sum(map(len, account.faults.values())) > before:
                self._print_history(channel)
        return account

    def _print_history(self, channel: str) -> None:
        """Print what came for a channel: pytest shows it with the test that fails."""
        print(f"{channel}: sent {self.sent[channel]}")
        for event in self.client.events.get(self.dialog_of(channel), ()):
            body = body_of(event)
            what = body.get("value") or body.get("reason") or ""
            print(f"  {event['timestamp']} {event['sequence']:>16} {event['type']} {what}")

    def _add(self, account: Account, channel: str) -> None:
        sent, got = self.sent[channel], self._marks_and_gaps(channel)
        numbers = [number for number in got if number]
        account.sent += len(sent)
        account.received += len(set(numbers))
        account.doubled += [f"{channel}: {n}" for n in set(numbers) if numbers.count(n) > 1]
        account.disordered += [f"{channel}: {b}" for a, b in itertools.pairwise(numbers) if b < a]
        in_gaps = _between(got, sent)
        missing = set(sent) - set(numbers)
        account.lost_in_gaps += len(missing & in_gaps)
        account.lost += [f"{channel}: {number}" for number in sorted(missing - in_gaps)]
        account.repeated += self.repeated(channel)
        account.stale += self._stale(channel)

    def _stale(self, channel: str) -> list[str]:
        numbers = [event["sequence"] for event in self._fresh(channel)]
        return [f"{channel}: {b} after {a}" for a, b in itertools.pairwise(numbers) if b <= a]


def _between(got: list[int], sent: list[int]) -> set[int]:
    """Return the numbers that may be missing, since a gap stands where they would have been."""
    allowed: set[int] = set()
    for index, entry in enumerate(got):
        if entry:
            continue
        before = max((number for number in got[:index] if number), default=0)
        after = min((number for number in got[index:] if number), default=None)
        allowed |= {n for n in sent if n > before and (after is None or n < after)}
    return allowed


class RestServer(Protocol):
    """An Asterisk, or the simulator."""

    url: str


@asynccontextmanager
async def asterisk_client(asterisk: RestServer) -> AsyncIterator[RestClient]:
    """A client of Asterisk's REST interface that goes past the proxy."""
    credentials = Credentials("ari", PASSWORD)
    rest = RestClient(asterisk.url, credentials, concurrency=16, timeout_seconds=60)
    async with rest:
        yield rest


def body_of(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(event["ari_body"])
    return found
