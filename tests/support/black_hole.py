"""A name of which one address answers nothing, as IPv6 behind a firewall."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

NAME: Final = "two-addresses.example"
#: It is the first one; the other is where the tests' servers listen.
SILENT: Final = "127.0.0.2"
ANSWERING: Final = "127.0.0.1"
#: More than the kernel keeps for a socket that accepts none.
_CONNECTIONS: Final = 8


@contextmanager
def black_hole(port: int = 0) -> Iterator[int]:
    """Have SILENT answer nothing on a port, by default a free one, which is yielded.

    The running loop resolves NAME meanwhile.
    """
    with ExitStack() as stack:
        stack.enter_context(_known_to(asyncio.get_running_loop()))
        listening = stack.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((SILENT, port))
        listening.listen(0)
        address = listening.getsockname()
        stack.enter_context(socket.create_connection(address, timeout=10))
        for _ in range(_CONNECTIONS):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield address[1]


@contextmanager
def _known_to(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let the resolver of a loop know NAME."""
    resolve = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **options: Any) -> Any:
        if host != NAME:
            return await resolve(host, port, **options)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for address in (SILENT, ANSWERING)
        ]

    loop.getaddrinfo = getaddrinfo  # type: ignore[assignment,method-assign]  # for the block
    try:
        yield
    finally:
        loop.getaddrinfo = resolve  # type: ignore[method-assign]
