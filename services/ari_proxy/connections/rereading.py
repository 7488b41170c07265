"""Files read again while the process runs: the last good content stays in force."""

from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from ari_proxy.lazy_logger import LazyLogger
from ari_proxy.settings.errors import SettingsError

_log = LazyLogger()

T = TypeVar("T")


class RereadGuard:
    """A context around reading a file again: suppresses a SettingsError and logs it once.

    The file may be in the middle of being replaced, so the next read may succeed. A lasting mistake
    is still reported: each different problem is logged as a warning.
    """

    def __init__(self) -> None:
        self._reported = ""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        problem = str(error) if isinstance(error, SettingsError) else ""
        if problem and problem != self._reported:
            _log.warning("settings.kept", problem=problem)
        if error is None or problem:
            self._reported = problem
        return bool(problem)


def last_good(read: Callable[[], T]) -> Callable[[], T]:
    """Return a function that calls `read`, and returns its last result while it fails.

    Raises:
        SettingsError: the first call of `read` failed.
    """
    last = read()
    guard = RereadGuard()

    def current() -> T:
        nonlocal last
        with guard:
            last = read()
        return last

    return current
