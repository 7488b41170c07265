"""A handler that serves a recorded call again."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ari_proxy.app import App
from ari_proxy.bus.base import Bus, Message, opened
from ari_proxy.client.bus_at import bus_at
from ari_proxy.client.call_events import PROBE
from ari_proxy.protocol import ids, messages, topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.messages import Command, CommandResponse, Event
from ari_proxy.tap.records import TapRecord
from ari_proxy.watch.render import steps, text
from ari_proxy.watch.render.steps import Step

from . import transcript
from .changes import Changes
from .endpoints import DEADLINE_SECONDS
from .errors import UnmetExpectationError
from .handler_run import CallHandler, HandlerRun
from .names import Names
from .transcript import REPLAYED, Transcript

T = TypeVar("T")
#: Seconds between looks whether the application listens.
_PROBE_SECONDS: Final = 0.01
_command: Final = msgspec.json.Decoder(Command)
_response: Final = msgspec.json.Decoder(CommandResponse)


async def replay(
    path: str | Path,
    handler: CallHandler,
    *,
    dialog_id: str = "",
    deadline_seconds: float = DEADLINE_SECONDS,
) -> None:
    """Have a handler serve a recorded call.

    It gets the recorded events and responses, at the recorded times, and has to send the recorded
    commands, in their order. Names that the client library gives are different each time; they
    stand for the recorded ones.

    Args:
        path: of a file that `ari-proxy tail --json` has written.
        handler: under test.
        dialog_id: of the call, if the file has more than one.
        deadline_seconds: for a command after its recorded time, and for the handler to end.

    Raises:
        UnmetExpectationError: the handler has sent another command than the recorded one, or none,
            or has not ended.
        TranscriptError: the file has no such call.
        OSError: it can't be read.
        Exception: what the handler has raised.
    """
    content = await asyncio.to_thread(Path(path).read_text)
    recorded = transcript.read(content.splitlines(), dialog_id)
    url = f"memory://replay-{ids.random_id(ids.TOKEN_LENGTH)}"
    failure: Exception | None = None
    async with opened(bus_at(url, name="replay")) as bus:
        try:
            await Replay(recorded, bus, handler, deadline_seconds).run(url)
        except Exception as error:  # noqa: BLE001  raised again, outside of the task group
            failure = error
    if failure is not None:
        raise failure


class Replay:
    """One call that is served again: this plays the part of the proxy."""

    def __init__(
        self, recorded: Transcript, bus: Bus, handler: CallHandler, deadline_seconds: float
    ) -> None:
        """Initialise a replay that has not begun.

        Args:
            recorded: the call.
            bus: of the application.
            handler: under test.
            deadline_seconds: for each command, and for the end.
        """
        self._recorded = recorded
        self._bus = bus
        self._deadline_seconds = deadline_seconds
        self._changes = Changes()
        self._run = HandlerRun(handler, self._changes.note)
        self._dialog = DialogId(recorded.start.dialog_id)
        self._sent: deque[Command] = deque()
        self._names = Names()
        #: By the recorded id of a command, the one that it has now.
        self._command_ids: dict[str, str] = {}
        #: Records that the handler has lived through.
        self._played: list[TapRecord] = []
        self._begun_at = 0.0

    async def run(self, url: str) -> None:
        """Run the application at the URL of a bus, and play the call to it."""
        app = App(self._recorded.start.application, url)
        app.call(self._run.serve)
        commands = await self._bus.subscribe(topics.commands(self._dialog), self._take)
        try:
            async with app:
                self._run.begin()
                self._bus.publish(app.name, self._recorded.announcement)
                await self._until_listening()
                await self._play()
        finally:
            await commands.unsubscribe()

    async def _until_listening(self) -> None:
        """Wait for the application, as ingest does: the handler begins with the first event."""
        start, topic = self._recorded.start, topics.events(self._dialog)
        probe = messages.encode(Event(start.server_id, start.timestamp or "", PROBE, "{}"))
        until = asyncio.get_running_loop().time() + self._deadline_seconds
        while not await self._bus.publish_to_listener(topic, probe):
            if asyncio.get_running_loop().time() > until:
                what = "the application does not listen to the call"
                raise UnmetExpectationError(what, self._ladder(what))
            await asyncio.sleep(_PROBE_SECONDS)

    def _take(self, message: Message) -> None:
        self._sent += messages.decode_commands(message.payload)
        self._changes.note()

    async def _play(self) -> None:
        self._begun_at = asyncio.get_running_loop().time()
        for record in self._recorded.records:
            if record.kind in REPLAYED:
                await self._play_one(record)
            self._played.append(record)
        await self._until(lambda: self._has_moved or None, "the handler is running")
        if self._run.error is not None:
            self._run.error.add_note(self._ladder())
            raise self._run.error
        if self._sent:
            raise self._parting("no more command", self._sent.popleft())

    @property
    def _has_moved(self) -> bool:
        """True once the handler has ended, or has sent a command."""
        return self._run.is_done or bool(self._sent)

    async def _play_one(self, record: TapRecord) -> None:
        if record.kind == "command":
            await self._expect(record)
            return
        await asyncio.sleep(self._due_in(record))
        if record.kind == "event":
            payload = self._names.renewed(bytes(record.message).decode())
            self._bus.publish(topics.events(self._dialog), payload.encode())
        else:
            self._respond(record)

    def _respond(self, record: TapRecord) -> None:
        response = _response.decode(self._names.renewed(bytes(record.message).decode()))
        now = self._command_ids.get(response.unique_id, response.unique_id)
        answer = msgspec.structs.replace(response, unique_id=now)
        self._bus.publish(topics.responses(self._dialog), messages.encode(answer))

    async def _expect(self, record: TapRecord) -> None:
        """Wait for the handler to send a recorded command."""
        recorded = _command.decode(record.message)
        what = f"recorded: {_shown(recorded)}; the handler has sent nothing"
        later = max(0.0, self._due_in(record))
        sent = await self._until(lambda: self._sent.popleft() if self._sent else None, what, later)
        if not self._names.is_same(recorded, sent):
            raise self._parting(_shown(recorded), sent)
        self._command_ids[recorded.unique_id] = sent.unique_id

    def _due_in(self, record: TapRecord) -> float:
        """Return the seconds until a record's time."""
        passed = asyncio.get_running_loop().time() - self._begun_at
        return record.at - self._recorded.begun_at - passed

    async def _until(self, look: Callable[[], T | None], else_: str, later: float = 0.0) -> T:
        """Return what is found in time.

        Raises:
            UnmetExpectationError: nothing; `else_` says what that means.
        """
        try:
            seconds = self._deadline_seconds + later
            return await self._changes.until(look, timeout_seconds=seconds)
        except TimeoutError:
            raise UnmetExpectationError(else_, self._ladder(else_)) from self._run.error

    def _parting(self, recorded: str, sent: Command) -> UnmetExpectationError:
        """Return the error of a command that is not the recorded one."""
        what = f"recorded: {recorded}\nsent:     {_shown(sent)}"
        return UnmetExpectationError(what, self._ladder(f"here the handler sent {_shown(sent)}"))

    def _ladder(self, note: str = "") -> str:
        """Return the call as far as the handler has lived through it, and a note below."""
        drawn = [steps.step_of(record) for record in self._played]
        if note:
            at = self._played[-1].at if self._played else self._recorded.begun_at
            drawn.append(Step(at, None, None, f"✗ {note}", "skipped", failed=True))
        return text.draw(self._dialog, drawn)


def _shown(command: Command) -> str:
    return " ".join((f"{command.method} {command.url}", command.body)).rstrip()
