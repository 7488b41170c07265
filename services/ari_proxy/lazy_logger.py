"""structlog's logger, imported with the first line that is logged: for what applications import.

Where `rich` is installed structlog imports it, which costs more than the whole client library. What
only the services or a bus import uses structlog itself.
"""

from collections.abc import Callable


class LazyLogger:
    """Has the methods of structlog's logger: `info`, `warning`, `error`, `exception` and so on."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Return a method of the logger."""
        import structlog  # noqa: PLC0415  see above

        method: Callable[..., None] = getattr(structlog.get_logger(), name)
        return method
