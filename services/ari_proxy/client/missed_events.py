"""Events of a call that may be missing, so that a state is to be read again. Sans-I/O."""

from collections.abc import Iterator
from contextlib import contextmanager

from .ari.model import Event
from .events import ProxyGap


class MissedEvents:
    """Gaps in the events of a call, behind which one state is yet to be read.

    A gap during a reading counts: the answer may be older.
    """

    def __init__(self) -> None:
        #: How many gaps there were, and how many before the last reading.
        self._gaps = 0
        self._read = 0

    @property
    def are_unread(self) -> bool:
        """Whether there was a gap behind which the state was not read."""
        return self._read < self._gaps

    def take(self, event: Event) -> None:
        """Handle an event of the call."""
        if isinstance(event, ProxyGap):
            self._gaps += 1

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the state in a block; if it raises, the state was not read."""
        gaps = self._gaps
        yield
        self._read = gaps
