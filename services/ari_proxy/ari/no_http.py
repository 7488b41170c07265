"""In place of HTTP where it is not used: refuses what only HTTP could carry."""

from typing import Final

from . import rest_frames
from .client import MAX_ANSWER_BYTES, Answer
from .errors import NeedsHttpError


class NoHttp:
    """Refuses each request; it is an AriClient."""

    in_flight: Final = 0

    async def request(
        self,
        method: str,
        url: str,
        body: str = "",  # noqa: ARG002  what each AriClient takes
        *,
        timeout_seconds: float | None = None,  # noqa: ARG002
        max_bytes: int = MAX_ANSWER_BYTES,  # noqa: ARG002
    ) -> Answer:
        """Raise NeedsHttpError: the request can't travel on a websocket."""
        what = rest_frames.obstacle(method, url) or rest_frames.TOO_LARGE
        raise NeedsHttpError(method, url.partition("?")[0], what)
