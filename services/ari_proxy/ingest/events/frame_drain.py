"""Drains the frame buffer in batches, between other tasks, and as fast as the bus takes them."""

import asyncio
import contextlib
from typing import Final

from ari_proxy.bus.base import Bus

from .frame_buffer import FrameBuffer, FrameHandler

#: Bytes of frames that may be held; in a flood beyond that, the dialogs of new calls come first.
CAPACITY_BYTES: Final = 64 * 1024 * 1024
#: Frames that pass before other tasks, those of other servers among them, get a turn: about a
#: millisecond. More would not cost less CPU per frame.
BATCH: Final = 64
#: Seconds between checks for room in the bus's buffer.
ROOM_SECONDS: Final = 0.005


class FrameDrain:
    """The frame buffer of one active ingest, and the task that drains it."""

    def __init__(
        self,
        handle: FrameHandler,
        bus: Bus,
        *,
        buffer_bytes: int,
    ) -> None:
        """Make a drain whose buffer is open.

        Args:
            handle: publishes each frame.
            bus: on which it is published.
            buffer_bytes: capacity of the bus's buffer; held frames use half of it.
        """
        self._bus = bus
        self._room = buffer_bytes // 2
        self._may_pass = asyncio.Event()
        self._has_passed = asyncio.Event()
        self._opening: asyncio.TimerHandle | None = None
        self.buffer = FrameBuffer(
            handle,
            capacity_bytes=CAPACITY_BYTES,
            on_open=self._may_pass.set,
        )

    def _has_room(self) -> bool:
        """Return whether one more may pass; without a connection the bus drops its oldest."""
        return self._bus.buffered_bytes < self._room or not self._bus.is_connected

    def _release_batch(self, *, needs_room: bool = True) -> None:
        for _ in range(BATCH):
            if not self.buffer.is_passable or (needs_room and not self._has_room()):
                return
            self.buffer.release_first()

    async def run(self) -> None:
        """Drain the buffer until cancelled."""
        while True:
            await self._may_pass.wait()
            self._may_pass.clear()
            while self.buffer.is_passable:
                self._release_batch()
                self._has_passed.set()
                await asyncio.sleep(0 if self._has_room() else ROOM_SECONDS)

    def open(self) -> None:
        """Open the buffer."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self.buffer.open()

    def open_within(self, seconds: float) -> None:
        """Open the buffer after this time, unless an earlier call has set a time already."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().call_later(seconds, self.open)

    async def drained(self) -> None:
        """Return once no held frame may pass."""
        while self.buffer.is_passable:
            await self._progress()

    async def former_drained(self) -> None:
        """Return once no frame is held that came before the buffer was last closed."""
        while self.buffer.former:
            await self._progress()

    async def _progress(self) -> None:
        self._has_passed.clear()
        await self._has_passed.wait()

    async def finish(self, timeout_seconds: float) -> None:
        """Open and drain the buffer: first as fast as the bus takes it, after the time at once."""
        self.open()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self.drained()
        while self.buffer.is_passable:
            self._release_batch(needs_room=False)
            await asyncio.sleep(0)
