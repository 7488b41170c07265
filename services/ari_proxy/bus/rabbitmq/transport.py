"""The socket below aiormq, given to it as an `aiormq.TransportFactory`.

It can be aborted and drained, which aiormq does not offer. And frames of messages, their confirms
and answers are handled on arrival: aiormq needs two queues and a task for each.
"""

import asyncio
import ssl
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, SupportsIndex

import aiormq
from aiormq.exceptions import ProtocolSyntaxError
from pamqp import commands
from pamqp import frame as codec
from pamqp.exceptions import PAMQPException
from yarl import URL

from ari_proxy import happy_eyeballs

from . import frames

#: Called with each frame: its kind, its channel and its payload.
HandleFrame = Callable[[int, int, bytes], bool]
READ_BYTES: Final = 64 * 1024
#: From so many unsent bytes on a writer has to wait: asyncio's own limit.
_BUFFER_BYTES: Final = 64 * 1024
#: For the other side to end TLS in order.
_TLS_END_SECONDS: Final = 1.0


class FrameReader(asyncio.StreamReader):
    """Handles most frames on arrival, and holds the others for aiormq to read."""

    def __init__(self, handle: HandleFrame) -> None:
        """Create it; `handle` returns whether it has handled a frame."""
        loop = asyncio.get_running_loop()
        super().__init__(limit=READ_BYTES, loop=loop)
        self._handle = handle
        self._clock = loop.time
        self._rest = b""
        self._heard_at = loop.time()
        #: Why RabbitMQ has closed the connection, or ''.
        self.close_reason = ""
        #: Whether nothing more will arrive; aiormq takes up to a second to say so.
        self.has_ended = False

    def feed_eof(self) -> None:
        """Take the end of the stream."""
        self.has_ended = True
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        """Take why the stream has ended."""
        self.has_ended = True
        super().set_exception(exc)

    @property
    def silent_seconds(self) -> float:
        """How long nothing has arrived."""
        return self._clock() - self._heard_at

    def at_eof(self) -> bool:
        """Return False: the end of the stream is an error like others."""
        return False

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Handle received bytes, unless some before them were not AMQP."""
        if self.has_ended:
            return
        self._heard_at = self._clock()
        try:
            self._feed(bytes(data))
        except (PAMQPException, ValueError, struct.error, LookupError) as error:
            self.set_exception(ProtocolSyntaxError(f"RabbitMQ sent what is not AMQP: {error!r}"))

    def _feed(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        position, size = 0, len(data)
        while size - position >= frames.ENVELOPE_BYTES:
            kind, channel, length = frames.ENVELOPE.unpack_from(data, position)
            if length > frames.MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            end = position + frames.ENVELOPE_BYTES + length
            if end > size:
                break
            if data[end - 1] != frames.END[0]:
                raise ValueError("a frame without its end")
            if not self._handle(kind, channel, data[position + frames.ENVELOPE.size : end - 1]):
                self._forward(data[position:end])
            position = end
        self._rest = data[position:]

    def _forward(self, frame: bytes) -> None:
        frame = frames.legible(frame)
        if frame[7:11] == frames.CLOSE and frame[0] == frames.METHOD:
            closing = codec.unmarshal(frame)[2]
            if isinstance(closing, commands.Connection.Close):
                self.close_reason = f"{closing.reply_code} {closing.reply_text}"
                self.has_ended = True
        super().feed_data(frame)


class Transport(aiormq.TransportFactory):
    """Creates the one socket of a connection."""

    def __init__(
        self,
        handle: HandleFrame,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        server_name: str = "",
    ) -> None:
        self._handle = handle
        self._host = host
        self._port = port
        self._tls = tls
        self._server_name = server_name
        self._reader: FrameReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def close_reason(self) -> str:
        """Why RabbitMQ has closed the connection, or ''."""
        return self._reader.close_reason if self._reader is not None else ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will arrive."""
        return self._reader is None or self._reader.has_ended

    @property
    def is_full(self) -> bool:
        """Whether the socket's buffer has no room."""
        writer = self._writer
        return writer is not None and writer.transport.get_write_buffer_size() > _BUFFER_BYTES

    @property
    def silent_seconds(self) -> float:
        """How long RabbitMQ has sent nothing."""
        return self._reader.silent_seconds if self._reader is not None else 0.0

    async def create(
        self,
        url: URL,  # noqa: ARG002  aiormq's
        **kwargs: Any,  # noqa: ARG002
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect.

        Raises:
            OSError: there is no connection.
        """
        options: dict[str, Any] = {}
        if self._tls is not None:
            options = {
                "ssl": self._tls,
                "server_hostname": self._server_name or self._host,
                "ssl_shutdown_timeout": _TLS_END_SECONDS,
            }
        reader = FrameReader(self._handle)
        _, self._writer = streams = await happy_eyeballs.open_connection(
            self._host, self._port, reader=reader, **options
        )
        self._reader = reader
        return streams

    def write(self, data: bytes) -> None:
        """Send frames, if the connection is still there."""
        writer = self._writer
        if writer is not None and not writer.is_closing():
            writer.write(data)  # uvloop's raises when it is closed.

    async def drain(self) -> None:
        """Return once the socket's buffer has room.

        Raises:
            OSError: the connection is lost.
        """
        if self._writer is not None:
            try:
                await self._writer.drain()
            except OSError:
                raise
            except Exception as error:  # whatever has ended the reader
                raise ConnectionError(str(error)) from error

    def abort(self) -> None:
        """End it at once."""
        if self._writer is not None:
            self._writer.transport.abort()
