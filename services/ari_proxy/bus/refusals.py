"""Refusals of the server: those in force, and their number since the start."""

from collections.abc import Hashable


class ServerRefusals:
    """Subscriptions and rights to publish that the server refuses."""

    def __init__(self) -> None:
        self._reasons: dict[Hashable, str] = {}
        #: Those without which all else works.
        self._optional: set[Hashable] = set()
        #: How many there were since the start.
        self.total = 0

    def __len__(self) -> int:
        """Return how many there are now."""
        return len(self._reasons)

    def add(self, subject: Hashable, reason: str, *, is_needed: bool = True) -> bool:
        """Note a refusal; return False if it was known already.

        Args:
            subject: identifies the refused object.
            reason: a sentence for users.
            is_needed: False if all else works without the object.
        """
        is_new = subject not in self._reasons
        if not is_needed:
            self._optional.add(subject)
        self._reasons[subject] = reason
        self.total += is_new
        return is_new

    def remove(self, subject: Hashable) -> bool:
        """Note that the server no longer refuses an object; return False if it did not."""
        self._optional.discard(subject)
        return self._reasons.pop(subject, None) is not None

    @property
    def summary(self) -> str:
        """The oldest reason of what is needed and the number of the others, or ''."""
        needed = [
            reason for subject, reason in self._reasons.items() if subject not in self._optional
        ]
        if not needed:
            return ""
        first, *others = needed
        return f"{first} (and {len(others)} more)" if others else first
