"""What may happen around the requests of a handler."""

from collections.abc import Awaitable, Callable

from .phone import Phone

#: Awaited before Asterisk gets a request of the handler, and before its answer; gets the moment in
#: words, like `before Asterisk got POST /channels/1.2/answer`.
Interruption = Callable[[Phone, str], Awaitable[None]]


async def nothing(_: Phone, __: str) -> None:
    """Let the request go on."""
