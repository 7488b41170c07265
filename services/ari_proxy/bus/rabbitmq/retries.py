"""What is to be tried again, and when. Pure."""

from itertools import islice

from ari_proxy.backoff import Backoff


class Retries:
    """Names that did not work out, in the order in which they are tried again."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        #: Name → how often it has failed.
        self._failures: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Return whether there is anything to try again."""
        return bool(self._failures)

    def add(self, name: str) -> None:
        """Try again what has worked until now."""
        self._failures.setdefault(name, 0)

    def fail(self, name: str) -> int:
        """Try again what has failed; return how often it has by now."""
        self._failures[name] = failures = self._failures.get(name, 0) + 1
        return failures

    def forget(self, name: str) -> None:
        """Do not try it again."""
        self._failures.pop(name, None)

    def next_names(self, count: int) -> list[str]:
        """Return some of the names; those come last from now on."""
        names = list(islice(self._failures, count))
        for name in names:
            self._failures[name] = self._failures.pop(name)
        return names

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next attempt: what has failed least often decides."""
        return self._backoff.seconds(min(self._failures.values(), default=0) + 1)
