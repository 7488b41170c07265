"""Callers of the examples, at a real Asterisk: what they do, and how their calls should end."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.support.phones import Heard, Phones

#: Who is called, by a number: answers, and presses 1 if asked to.
FAR: Final = "Local/far{number}@phones/n"
#: Agents of the queue, and colleagues in a transfer.
AGENTS: Final = tuple(FAR.format(number=number) for number in range(6))
COLLEAGUES: Final = tuple(FAR.format(number=number) for number in range(100, 103))
ARGUMENTS: Final = {"voicemail": ("leave", "100")}
#: Without a sign of life of any phone: longer than a busy agent is left alone.
SILENT_SECONDS: Final = 90
#: Between two looks at who is served.
LOOK_SECONDS: Final = 0.05
#: For which two talk.
TALK_SECONDS: Final = 0.3


async def call_hello(_: Phones, heard: Heard) -> str:
    """Hear the greeting to its end."""
    await heard.until(lambda: heard.is_gone)
    return "" if "sound:hello-world" in heard.media and not heard.outcome else "not greeted"


async def call_ivr(phones: Phones, heard: Heard) -> str:
    """Enter the PIN, and choose the first one."""
    await phones.react(heard, {"sound:agent-pass": "1234", "digits:1": "1"})
    return "" if heard.outcome == "sales" else "not sent to sales"


async def call_voicemail(phones: Phones, heard: Heard) -> str:
    """Leave a message."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(phones.react(heard, {"sound:vm-intro": "#", "sound:vm-review": "1"}))
        await heard.until(lambda: heard.recordings)
        await phones.talk(heard)
        while "sound:vm-review" not in heard.media and not heard.is_gone:
            await asyncio.sleep(1)
            await phones.press(heard, "#")
    has_left = "sound:vm-msgsaved" in heard.media and "sound:vm-goodbye" in heard.media
    if not has_left or heard.outcome:
        return "no message left"
    stored = await phones.stored_recordings()
    return "" if {*heard.recordings} <= {*stored} else "message not stored"


async def call_somebody(phones: Phones, heard: Heard) -> str:
    """Wait for somebody, talk a moment, and hang up; every other time the other one does."""
    await heard.until(lambda: heard.bridge)
    if not heard.bridge:
        return "connected with nobody"
    await asyncio.sleep(TALK_SECONDS)
    others = [one for one in phones.heard.values() if one is not heard]
    other = next((one for one in others if one.bridge == heard.bridge), heard)
    await phones.hang_up(other if len(phones.heard) % 2 else heard)
    await heard.until(lambda: heard.is_gone)
    return "sent back" if heard.outcome else ""


CALLS: Final[dict[str, Callable[[Phones, Heard], Awaitable[str]]]] = {
    "demo": call_hello,
    "ivr": call_ivr,
    "queue": call_somebody,
    "transfer": call_somebody,
    "voicemail": call_voicemail,
}


def _lines(log: Path) -> list[str]:
    return [f"{log.name}: {line}" for line in log.read_text(errors="replace").splitlines()]


class ExampleCalls:
    """Calls to the examples, and what was wrong with them."""

    def __init__(self, phones: Phones, tasks: asyncio.TaskGroup) -> None:
        self._phones = phones
        self._placed: list[Heard] = []
        self._failed: list[Heard] = []
        #: By example, those that have ended.
        self.ended: Counter[str] = Counter()
        #: What was wrong with them.
        self.problems: list[str] = []
        phones.answer = lambda heard: tasks.create_task(phones.react(heard, {"digits:1": "1"}))

    @asynccontextmanager
    async def at_once(self, count: int) -> AsyncIterator[None]:
        """Have so many call each example around a block; at its end all calls have ended."""
        self._placed.clear()
        async with asyncio.TaskGroup() as tasks:
            for application in list(CALLS) * count:
                tasks.create_task(self._call(application))
            # While Asterisk has no websocket for an application it turns away who comes.
            await self._until(lambda: self._count_served() == len(CALLS) * count)
            yield

    async def until_more(self, count: int) -> None:
        """Wait until so many more calls have ended, or all have."""
        wanted = self.ended.total() + min(count, sum(not heard.is_over for heard in self._placed))
        await self._until(lambda: self.ended.total() >= wanted)

    async def until_none_is_left(self) -> None:
        """Wait until Asterisk has no channel.

        Raises:
            AssertionError: it has some, and nothing happens to them any more.
        """
        left: list[str] = []
        try:
            async with self._phones.while_alive(SILENT_SECONDS):
                while left := await self._phones.channels():
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"left: {', '.join(left)}") from None

    def print_histories(self, logs: Iterable[Path]) -> None:
        """Print what is known of each call that had a problem: pytest shows it.

        Args:
            logs: what all processes have written.
        """
        lines = [line for log in logs if log.is_file() for line in _lines(log)]
        for heard in self._failed:
            names = {heard.channel_id, heard.dialog_id} - {""}
            others = [one for one in self._phones.heard.values() if heard.is_related(one)]
            print(f"{heard}, dialog {heard.dialog_id}:", *heard.history, sep="\n  ")
            for other in others:
                print(f"  {other}:", *other.history, sep="\n    ")
            print(*[line for line in lines if any(name in line for name in names)], sep="\n  ")

    @staticmethod
    async def _until(condition: Callable[[], bool]) -> None:
        """Wait for what will be once all calls have ended, at the latest."""
        while not condition():
            await asyncio.sleep(LOOK_SECONDS)

    def _count_served(self) -> int:
        return sum(heard.is_served or heard.is_over for heard in self._placed)

    async def _call(self, application: str) -> None:
        heard = await self._phones.call(application, *ARGUMENTS.get(application, ()))
        self._placed.append(heard)
        try:
            async with self._phones.while_alive(SILENT_SECONDS):
                problem = await CALLS[application](self._phones, heard)
        except TimeoutError:
            problem = "not ended"
        self.ended[application] += 1
        heard.is_over = True
        if problem:
            self.problems.append(f"{problem}: {heard}")
            self._failed.append(heard)
