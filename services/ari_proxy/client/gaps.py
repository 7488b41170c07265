"""What an application does once events of a call may be missing: handlers of its gaps."""

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from ari_proxy.lazy_logger import LazyLogger

from .errors import CallEnded
from .events import Event, ProxyGap

_log = LazyLogger()

#: Called with each gap; what it returns is awaited, if it can be.
GapHandler = Callable[[ProxyGap], Awaitable[object] | object]
GapHandlerT = TypeVar("GapHandlerT", bound=GapHandler)
#: Gaps that wait for their handlers. There is one every second at most; then the oldest give place.
MAX_WAITING_GAPS: Final = 100


class GapHandlers:
    """Handlers of the gaps of one call."""

    def __init__(self, dialog_id: str) -> None:
        """Initialise without handlers.

        Args:
            dialog_id: names the call in logs.
        """
        self._dialog_id = dialog_id
        self._handlers: list[GapHandler] = []
        #: Gaps behind which the call's state is still to be read, and those behind which it was.
        self._unread: deque[ProxyGap] = deque(maxlen=MAX_WAITING_GAPS)
        self._read: deque[ProxyGap] = deque(maxlen=MAX_WAITING_GAPS)

    def add(self, handler: GapHandler) -> None:
        """Add a handler, called behind those that were added before."""
        self._handlers.append(handler)

    def follow(self, event: Event) -> None:
        """Handle an event of the call."""
        if self._handlers and isinstance(event, ProxyGap):
            self._unread.append(event)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the state in a block, for the gaps that there were before."""
        gaps = tuple(self._unread)
        self._unread.clear()
        yield
        self._read.extend(gaps)

    @property
    def are_due(self) -> bool:
        """Whether a gap waits for them, behind which the state was read."""
        return bool(self._read)

    async def run(self) -> None:
        """Call all of them with each gap that waits, one after another.

        One that raises is logged, and harms no other.
        """
        while self._read:
            gap = self._read.popleft()
            for handler in tuple(self._handlers):
                await self._call(handler, gap)

    async def _call(self, handler: GapHandler, gap: ProxyGap) -> None:
        try:
            result = handler(gap)
            if inspect.isawaitable(result):
                await result
        except CallEnded:
            pass  # It was about the call's state.
        except Exception:  # noqa: BLE001  one handler's failure must not harm the others
            _log.exception("gap_handler.failed", dialog_id=self._dialog_id)


class GapTellingCall:
    """A call that tells of gaps in its events."""

    gap_handlers: GapHandlers

    def on_gap(self, handler: GapHandlerT) -> GapHandlerT:
        """Register a function that is called when events of the call may be missing.

        It may be a coroutine function. It gets the ProxyGap, whose `reason`, `from_`, `to` and
        `count` say what may be missing, once the state of the call has been read again: what it
        finds there is true. The functions of a call run one after another, beside its handler, and
        are cancelled with it. One that raises is logged.
        """
        self.gap_handlers.add(handler)
        return handler
