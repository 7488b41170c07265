"""What waits at the gate passes in turns with all else, and as fast as the bus takes it."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from ari_proxy.bus.base import Bus

from .frame_buffer import FrameBuffer

#: Bytes of frames that may wait; more is a flood, and the dialogs of new calls come first.
GATE_BYTES: Final = 64 * 1024 * 1024
#: Frames that pass before other tasks get a turn: a few milliseconds.
BATCH: Final = 256
#: Seconds between looks whether the bus has room again.
ROOM_SECONDS: Final = 0.005


class FrameDrain:
    """The gate of one term, and who lets the frames through it."""

    def __init__(
        self,
        passed: Callable[[bytes], None],
        bus: Bus,
        *,
        buffer_bytes: int,
        overtakes: Callable[[bytes], bool],
    ) -> None:
        """Make one.

        Args:
            passed: gets each frame, and publishes what becomes of it.
            bus: where that goes.
            buffer_bytes: of the bus. What waits at the gate uses half of them.
            overtakes: whether a frame need not wait for those before it.
        """
        self._bus = bus
        self._room = buffer_bytes // 2
        self._may_pass = asyncio.Event()
        self._has_passed = asyncio.Event()
        self._opening: asyncio.TimerHandle | None = None
        self.gate = FrameBuffer(
            passed,
            capacity_bytes=GATE_BYTES,
            overtakes=overtakes,
            on_open=self._may_pass.set,
        )

    def _has_room(self) -> bool:
        """Return whether one more may pass; while the bus is away the oldest in its buffer go."""
        return self._bus.buffered_bytes < self._room or not self._bus.is_connected

    async def run(self) -> None:
        """Let through what may pass, for ever."""
        while True:
            await self._may_pass.wait()
            self._may_pass.clear()
            while self.gate.is_passable:
                self.gate.let_pass(BATCH, self._has_room)
                self._has_passed.set()
                await asyncio.sleep(0 if self._has_room() else ROOM_SECONDS)

    def open(self) -> None:
        """Have all pass."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self.gate.open()

    def open_within(self, seconds: float) -> None:
        """Have all pass after this time at the latest, or after what is left of an earlier one."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().call_later(seconds, self.open)

    async def passed(self) -> None:
        """Return once nothing waits that may pass."""
        while self.gate.is_passable:
            await self._some()

    async def former_passed(self) -> None:
        """Return once nothing waits that came before the gate was last closed."""
        while self.gate.former:
            await self._some()

    async def _some(self) -> None:
        self._has_passed.clear()
        await self._has_passed.wait()

    async def finish(self, timeout_seconds: float) -> None:
        """Let all pass, within the time as fast as the bus takes it, and then at once."""
        self.open()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self.passed()
        while self.gate.is_passable:
            self.gate.let_pass(BATCH, lambda: True)
            await asyncio.sleep(0)
