"""The frame buffer before the router: holds frames back while dialogs are recovered. Sans-I/O."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from .own_events import is_canary


class FrameHandler(Protocol):
    """Handles frames in their order."""

    def __call__(self, frame: bytes, *, is_former: bool = False) -> None:
        """Handle a frame.

        Args:
            frame: as Asterisk has sent it.
            is_former: whether it came on a connection that is over.
        """


class FrameBuffer:
    """Passes frames on in order, or holds them; never waits, and is bounded in bytes."""

    def __init__(
        self,
        handle: FrameHandler,
        *,
        capacity_bytes: int,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        """Make an open buffer.

        Args:
            handle: gets each frame that passes.
            capacity_bytes: of the frames that are held.
            on_open: called when held frames may pass: somebody has to call `release_first`.
        """
        self._handle = handle
        self._capacity = capacity_bytes
        self._on_open = on_open
        self._held: deque[bytes] = deque()
        #: How many held frames may pass; None for all of them and those that follow.
        self._free: int | None = None
        self._former = 0
        self._held_bytes = 0

    @property
    def is_open(self) -> bool:
        """True if a new frame may pass, in its turn."""
        return self._free is None

    @property
    def is_passable(self) -> bool:
        """True if a held frame may pass."""
        return bool(self._held) and self._free != 0

    @property
    def former(self) -> int:
        """How many held frames came before the buffer was last closed."""
        return self._former

    @property
    def held_bytes(self) -> int:
        """Bytes of the held frames."""
        return self._held_bytes

    @property
    def held(self) -> Iterator[bytes]:
        """The frames that are held, the oldest first; iterate at once."""
        return iter(self._held)

    def put(self, frame: bytes) -> None:
        """Pass on or hold the next frame; a full buffer opens, and its first frames pass.

        A canary event waits for none.
        """
        if (self._free is None and not self._held) or is_canary(frame):
            self._handle(frame)
            return
        self._held.append(frame)
        self._held_bytes += len(frame)
        if self._held_bytes > self._capacity:
            self.open()
            while self._held_bytes > self._capacity:
                self.release_first()

    def close(self) -> None:
        """Hold all frames that follow; those that might pass still may."""
        self._former = len(self._held)
        if self._free is None:
            self._free = self._former

    def open_for_former(self) -> None:
        """Open for the frames that came before the buffer was last closed."""
        if self._free is not None and self._free < self._former:
            self._free = self._former
            self._on_open()

    def open(self) -> None:
        """Open for all held frames and those that follow."""
        if self._free is not None:
            self._free = None
            self._on_open()

    def release_first(self) -> None:
        """Pass on the first held frame, which may pass (`is_passable`)."""
        frame = self._held.popleft()
        self._held_bytes -= len(frame)
        if self._free is not None:
            self._free -= 1
        is_former = self._former > 0
        self._handle(frame, is_former=is_former)
        if is_former:
            self._former -= 1
