"""Playbacks and recordings of the simulated Asterisk; targets look like `channel:1.2`."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ari_proxy.ari.decoding import arguments

from .model import (
    Emit,
    Parameters,
    SimulatedPlayback,
    SimulatedRecording,
    SimulatedRefusalError,
    new_id,
    number,
)

#: Length of every sound.
PLAYBACK_SECONDS: Final = 0.2
#: How the name of a sound begins that does not exist.
_MISSING: Final = "sound:no-such"
_FORMATS: Final = frozenset({"wav", "gsm", "sln", "ulaw", "alaw"})


class Media:
    """Playbacks, live recordings and stored recordings."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        emit: Emit,
        app_of: Callable[[str], str],
        *,
        playback_seconds: float = PLAYBACK_SECONDS,
    ) -> None:
        self._playback_seconds = playback_seconds
        self._tasks = tasks
        self._emit = emit
        self._app_of = app_of
        self.playbacks: dict[str, SimulatedPlayback] = {}
        self.recordings: dict[str, SimulatedRecording] = {}
        self.stored: dict[str, SimulatedRecording] = {}
        #: By target: the task that plays its playbacks one after another.
        self._players: dict[str, asyncio.Task[None]] = {}
        self._recorders: dict[str, asyncio.Task[None]] = {}

    def playback(self, name: str) -> SimulatedPlayback:
        """Return a playback that has not ended."""
        if name not in self.playbacks:
            raise SimulatedRefusalError(404, "Playback not found")
        return self.playbacks[name]

    def recording(self, name: str) -> SimulatedRecording:
        """Return a live recording."""
        if name not in self.recordings:
            raise SimulatedRefusalError(404, "Recording not found")
        return self.recordings[name]

    def stored_recording(self, name: str) -> SimulatedRecording:
        """Return a stored recording."""
        if name not in self.stored:
            raise SimulatedRefusalError(404, "Recording not found")
        return self.stored[name]

    def play(self, target: str, name: str, asked: Parameters) -> SimulatedPlayback:
        """Queue media behind the target's other playbacks."""
        playback = SimulatedPlayback(
            id=name or asked.get("playbackId") or new_id(),
            media=tuple(arguments(asked.get("media", ""))),
            target=target,
            app=self._app_of(target),
        )
        self.playbacks[playback.id] = playback
        if target not in self._players:
            self._players[target] = self._tasks.create_task(self._play_all(target))
        return playback

    async def _play_all(self, target: str) -> None:
        while queue := [item for item in self.playbacks.values() if item.target == target]:
            await self._run_playback(queue[0])
        del self._players[target]

    async def _run_playback(self, playback: SimulatedPlayback) -> None:
        for position in range(len(playback.media)):
            playback.start(position)
            await self._playback_event("PlaybackStarted", playback, "playing")
            if playback.media[position].startswith(_MISSING):
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._playback_seconds):
                    await playback.stopped.wait()
            await playback.unpaused.wait()
            if playback.stopped.is_set():
                break
            if playback.position + 1 < len(playback.media):
                await self._playback_event("PlaybackContinuing", playback, "continuing")
        self.playbacks.pop(playback.id, None)
        is_missing = playback.media[playback.position].startswith(_MISSING)
        await self._playback_event("PlaybackFinished", playback, "failed" if is_missing else "done")

    async def control_playback(self, name: str, operation: str) -> None:
        """Pause, resume or stop a playback."""
        playback = self.playback(name)
        if operation == "pause":
            playback.pause()
        elif operation == "unpause":
            playback.unpaused.set()
            await self._playback_event("PlaybackStarted", playback, "playing")
        elif operation == "stop":
            playback.stop()

    async def _playback_event(
        self, event_type: str, playback: SimulatedPlayback, state: str
    ) -> None:
        playback.enter(state)
        await self._emit(playback.app, event_type, playback=playback.as_json())

    def record(self, target: str, asked: Parameters) -> SimulatedRecording:
        """Start a recording."""
        name = asked.get("name", "")
        if asked.get("format") not in _FORMATS:
            raise SimulatedRefusalError(422, "specified format is unknown on this system")
        is_kept = name in self.stored and (asked.get("ifExists") or "fail") == "fail"
        if name in self.recordings or is_kept:
            text = f"Recording '{name}' already exists and can not be overwritten"
            raise SimulatedRefusalError(409, text)
        seconds = number(asked.get("maxDurationSeconds", "")) or None
        app = self._app_of(target)
        recording = SimulatedRecording(
            name=name,
            target=target,
            app=app,
            format=asked["format"],
            max_seconds=seconds,
            terminate_on=asked.get("terminateOn") or "none",
        )
        self.recordings[name] = recording
        self._recorders[name] = self._tasks.create_task(self._run_recording(recording))
        return recording

    async def _run_recording(self, recording: SimulatedRecording) -> None:
        recording.enter("recording")
        await self._emit(recording.app, "RecordingStarted", recording=recording.as_json())
        with suppress(TimeoutError):
            async with asyncio.timeout(recording.max_seconds):
                await recording.stopped.wait()
        del self.recordings[recording.name], self._recorders[recording.name]
        recording.enter("done")
        if not recording.is_cancelled:
            self.stored[recording.name] = recording
        app = self._hearer(recording)
        await self._emit(app, "RecordingFinished", recording=recording.as_json())

    def _hearer(self, recording: SimulatedRecording) -> str:
        """Return the application that is told of a recording: of a bridge, that of who is in it."""
        with suppress(SimulatedRefusalError):
            return self._app_of(recording.target) or recording.app
        return recording.app

    async def stop_recording(self, name: str) -> None:
        """Stop a live recording and store it."""
        self.recording(name).stopped.set()
        await self._recorders[name]

    async def cancel_recording(self, name: str) -> None:
        """Stop a live recording and store nothing."""
        self.recording(name).cancel()
        await self.stop_recording(name)

    def press(self, target: str, digit: str) -> None:
        """Stop the recordings of a target that a digit ends."""
        for recording in self.recordings.values():
            if recording.target == target and recording.terminate_on in {"any", digit}:
                recording.stopped.set()

    async def leave_empty(self, bridge: str, app: str) -> None:
        """Stop the recordings of a bridge that nobody is in any more; tell an application."""
        for recording in tuple(self.recordings.values()):
            if recording.target == f"bridge:{bridge}":
                recording.tell(app)
                await self.stop_recording(recording.name)

    async def stop(self, target: str) -> None:
        """Stop a target's playbacks and recordings."""
        for playback in self.playbacks.values():
            if playback.target == target:
                playback.stop()
        if target in self._players:
            await self._players[target]
        for recording in tuple(self.recordings.values()):
            if recording.target == target:
                await self.stop_recording(recording.name)
