"""The order and delays of retries. Sans-I/O."""

from itertools import islice

from ari_proxy.backoff import Backoff


class Retries:
    """Names that have failed, in the order in which they are tried again."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        #: Name → number of failures.
        self._failures: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Return whether there is a name to try again."""
        return bool(self._failures)

    def add(self, name: str) -> None:
        """Add a name that has worked until now."""
        self._failures.setdefault(name, 0)

    def fail(self, name: str) -> int:
        """Add a name that has failed; return its number of failures."""
        self._failures[name] = failures = self._failures.get(name, 0) + 1
        return failures

    def forget(self, name: str) -> None:
        """Remove a name."""
        self._failures.pop(name, None)

    def next_names(self, count: int) -> list[str]:
        """Return the next names, and move them to the end."""
        names = list(islice(self._failures, count))
        for name in names:
            self._failures[name] = self._failures.pop(name)
        return names

    @property
    def pause_seconds(self) -> float:
        """The delay before the next attempt, for the name with the fewest failures."""
        return self._backoff.seconds(min(self._failures.values(), default=0) + 1)
