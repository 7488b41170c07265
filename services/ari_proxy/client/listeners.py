"""Functions that are called with each event of a call, as it arrives."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ari_proxy.lazy_logger import LazyLogger

from .events import Event

_log = LazyLogger()

#: Called with each event, in order; must not block.
Listener = Callable[[Event], None]


class Listeners:
    """The listeners of one call."""

    def __init__(self, dialog_id: str) -> None:
        self._dialog_id = dialog_id
        self._listeners: dict[int, Listener] = {}
        self._numbers = itertools.count()

    @contextmanager
    def following(self, listener: Listener) -> Iterator[None]:
        """Call a listener with each event that arrives during a block."""
        number = next(self._numbers)
        self._listeners[number] = listener
        try:
            yield
        finally:
            del self._listeners[number]

    def tell(self, event: Event) -> None:
        """Call all listeners; one that raises is logged, and the others are called."""
        for number in tuple(self._listeners):
            listener = self._listeners.get(number)  # An earlier one may have ended its block.
            if listener is not None:
                self._call(listener, event)

    def _call(self, listener: Listener, event: Event) -> None:
        try:
            listener(event)
        except Exception:  # noqa: BLE001  one listener's failure must not harm the others
            _log.exception("listener.failed", dialog_id=self._dialog_id, type=event.type)
