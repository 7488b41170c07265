"""The gate before the router: holds frames back while the dialogs are being recovered. Pure."""

from collections import deque
from collections.abc import Callable


class FrameBuffer:
    """Lets frames pass in order, or keeps them; never waits, and is bounded in bytes."""

    def __init__(
        self,
        passed: Callable[[bytes], None],
        *,
        capacity_bytes: int,
        overtakes: Callable[[bytes], bool] = lambda _: False,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        """Make one that is open.

        Args:
            passed: gets each frame.
            capacity_bytes: of the frames that it keeps.
            overtakes: whether a frame need not wait for those before it.
            on_open: called when what was kept may pass: somebody has to call `let_pass`.
        """
        self._pass = passed
        self._capacity = capacity_bytes
        self._overtakes = overtakes
        self._on_open = on_open
        self._held: deque[bytes] = deque()
        #: How many of them may pass; None for these and all that come.
        self._free: int | None = None
        #: How many of them, and of what passes just now, came before it was last closed.
        self.former = 0
        self.held_bytes = 0

    @property
    def is_open(self) -> bool:
        """True if what comes may pass, in its turn."""
        return self._free is None

    @property
    def is_passable(self) -> bool:
        """True if something waits that may pass."""
        return bool(self._held) and self._free != 0

    def take(self, frame: bytes) -> None:
        """Take the next frame; if there is no more room, the gate opens and the first ones pass."""
        if (self._free is None and not self._held) or self._overtakes(frame):
            self._pass(frame)
            return
        self._held.append(frame)
        self.held_bytes += len(frame)
        if self.held_bytes > self._capacity:
            self.open()
            while self.held_bytes > self._capacity:
                self._pass_first()

    def close(self) -> None:
        """Keep what comes from now on; what was to pass may pass."""
        self.former = len(self._held)
        if self._free is None:
            self._free = self.former

    def open_for_former(self) -> None:
        """Have those pass that came before it was last closed."""
        if self._free is not None and self._free < self.former:
            self._free = self.former
            self._on_open()

    def open(self) -> None:
        """Have all pass that was kept, and behind it what comes from now on."""
        if self._free is not None:
            self._free = None
            self._on_open()

    def let_pass(self, count: int, has_room: Callable[[], bool]) -> None:
        """Let so many pass at most, as long as there is room for one more."""
        for _ in range(count):
            if not (self.is_passable and has_room()):
                return
            self._pass_first()

    def _pass_first(self) -> None:
        frame = self._held.popleft()
        self.held_bytes -= len(frame)
        if self._free is not None:
            self._free -= 1
        self._pass(frame)
        if self.former:
            self.former -= 1
