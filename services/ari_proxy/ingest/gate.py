"""The gate before the router: holds frames back while the dialogs are being recovered. Pure."""

from collections import deque
from collections.abc import Callable


class Gate:
    """Lets frames pass in order, or keeps them; never waits, and is bounded in bytes."""

    def __init__(self, passed: Callable[[bytes], None], *, capacity_bytes: int) -> None:
        self._pass = passed
        self._capacity = capacity_bytes
        self._held: deque[bytes] = deque()
        self.held_bytes = 0
        self.is_open = True

    def close(self) -> None:
        """Keep what comes."""
        self.is_open = False

    def take(self, frame: bytes) -> None:
        """Take the next frame; if there is no more room for it, the gate opens."""
        if self.is_open:
            self._pass(frame)
            return
        self._held.append(frame)
        self.held_bytes += len(frame)
        if self.held_bytes > self._capacity:
            self.open()

    def open(self) -> None:
        """Let all pass that was kept, and what comes from now on."""
        self.is_open = True
        while self._held:
            self._pass(self._held.popleft())
        self.held_bytes = 0
