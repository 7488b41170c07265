"""The permit of an ingest to publish; only the service knows that it is the lease."""

from typing import Protocol


class Permit(Protocol):
    """Says whether this process may act as the active ingest of its server."""

    def is_valid(self) -> bool:
        """Return whether it may; cheap, since each event needs it.

        It turns false before another process can become active, even if this one was suspended
        meanwhile.
        """
