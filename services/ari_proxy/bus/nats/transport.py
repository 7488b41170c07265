"""The socket below nats-py, opened to whichever of a name's addresses answers."""

import asyncio
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

from ari_proxy import happy_eyeballs


class NatsTransport(TcpTransport):
    """nats-py's, which alone waits for the first address of a name until its deadline."""

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connect.

        Raises:
            OSError, TimeoutError: there is no connection.
        """
        async with asyncio.timeout(connect_timeout):
            reader, writer = await happy_eyeballs.open_connection(
                uri.hostname or "", uri.port or 0, reader=asyncio.StreamReader(limit=buffer_size)
            )
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = writer
