"""The successor that gets the dialogs: the first one to ask, or the next if it dies. Sans-I/O."""


class Successor:
    """The one successor that is answered."""

    def __init__(self, *, silence_seconds: float) -> None:
        """Initialise without a successor.

        Args:
            silence_seconds: without a request, after which it counts as dead.
        """
        self._silence_seconds = silence_seconds
        self._name = ""
        self._asked_at = 0.0
        self._is_late = False

    @property
    def name(self) -> str:
        """Its name, or '' if there is none."""
        return self._name

    @property
    def is_late(self) -> bool:
        """True if another one had asked before it."""
        return self._is_late

    def is_silent(self, now: float) -> bool:
        """Return whether it has not asked for so long that it counts as dead."""
        return now - self._asked_at > self._silence_seconds

    def become(self, name: str) -> None:
        """Accept this one, after the former one, if there was any."""
        self._is_late = self._is_late or bool(self._name)
        self._name = name

    def note_request(self, now: float) -> None:
        """Record that it asks now, in monotonic seconds."""
        self._asked_at = now

    def forget(self) -> None:
        """Forget it: anyone may ask."""
        self._name, self._is_late = "", False
