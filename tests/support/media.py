"""The other end of external media: it speaks and hears."""

import asyncio
import json
import re
import struct
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.coverage import ROOT
from tests.support.ports import free_port
from tests.support.running import until
from tests.support.servers import Asterisk

#: Louder than any noise; the tone has 8,224.
LOUD: Final = 4_000
#: Ten samples of 16 bits up, and ten down.
_TONE: Final = b"\x20\x20" * 10 + b"\xdf\xdf" * 10
#: The same in µ-law, as loud as can be.
_ULAW_TONE: Final = b"\x80" * 10 + b"\x00" * 10
#: Seconds of audio in a piece.
_PIECE_SECONDS: Final = 0.02
#: AudioSocket: kinds of messages; the audio at 8 and at 16 kHz, by the bytes of a piece.
_UUID: Final = 0x01
_AUDIO: Final = {0x10: 320, 0x12: 640}
_WEBSOCKET_BYTES: Final = 640
_RTP_HEADER: Final = struct.Struct(">BBHII")
_RTP_SAMPLES: Final = 160
_MEDIA: Final = Subprotocol("media")
_AWAY: Final = """
[away]
type=websocket_client
connection_type=per_call_config
uri=ws://127.0.0.1:1/media
protocols=media
connection_timeout=500
reconnect_attempts=1
reconnect_interval=100
"""


class MediaAsterisk(Asterisk):
    """Asterisk 22 that opens websockets for media, as docs/voice-agents.md configures it."""

    def __init__(self, directory: Path) -> None:
        #: Where it opens those of the connection `agents`.
        self.agents_port = free_port()
        configuration = directory / "websocket_client.conf"
        page = (ROOT / "docs/voice-agents.md").read_text()
        (agents,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
        documented = "127.0.0.1:8765"
        assert documented in agents
        configuration.write_text(
            agents.replace(documented, f"127.0.0.1:{self.agents_port}") + _AWAY
        )
        super().__init__("22", extra=configuration)

    def recording(self, name: str) -> Path:
        """Return where a recording is stored."""
        return Path(self._directory, "spool/recording", f"{name}.wav")


def loudness(audio: bytes) -> int:
    """Return the amplitude of the loudest sample of 16 bits."""
    samples = array("h", audio[: len(audio) & ~1])
    return max((abs(sample) for sample in samples), default=0)


def ulaw_loudness(audio: bytes) -> int:
    """Return the same of µ-law (ITU-T G.711)."""
    return max((_ulaw_amplitude(~sample & 0x7F) for sample in audio), default=0)


def _ulaw_amplitude(code: int) -> int:
    return ((((code & 0x0F) << 3) + 0x84) << (code >> 4)) - 0x84


class OtherEnd:
    """Speaks all the time, and notes whether it hears anything but silence."""

    def __init__(self, *, audio_kind: int = 0x10) -> None:
        """Initialise.

        Args:
            audio_kind: what an AudioSocket calls its audio.
        """
        self._audio_kind = audio_kind
        self._loudest = 0
        #: By which it knows whom it hears: UUIDs, paths of websockets, and control messages.
        self.told: list[Any] = []

    def hear(self, loudness: int) -> None:
        """Note that a piece of audio has come, and how loud it is."""
        self._loudest = max(self._loudest, loudness)

    async def until_heard(self) -> None:
        """Wait until it has heard something."""
        await until(lambda: self._loudest > LOUD)

    async def websocket(self, connection: Connection) -> None:
        """Serve one websocket of Asterisk."""
        if connection.request is not None:
            self.told.append(connection.request.path)
        piece = _TONE * (_WEBSOCKET_BYTES // len(_TONE))
        async with _speaking(lambda: connection.send(piece)):
            with suppress(ConnectionClosed):
                async for message in connection:
                    self._take(message)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.told.append(json.loads(message))
        else:
            self.hear(loudness(message))

    async def audiosocket(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one AudioSocket of Asterisk."""
        size = _AUDIO[self._audio_kind]
        piece = struct.pack(">BH", self._audio_kind, size) + _TONE * (size // len(_TONE))

        async def say() -> None:
            writer.write(piece)
            await writer.drain()

        async with _speaking(say):
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._read(reader)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        kind, size = struct.unpack(">BH", await reader.readexactly(3))
        content = await reader.readexactly(size)
        if kind == _UUID:
            self.told.append(content)
        elif kind == self._audio_kind:
            self.hear(loudness(content))


@asynccontextmanager
async def _speaking(say: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Say something all the time during a block."""

    async def speak() -> None:
        with suppress(ConnectionClosed, ConnectionError):
            while True:
                await say()
                await asyncio.sleep(_PIECE_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        speaking = tasks.create_task(speak())
        try:
            yield
        finally:
            speaking.cancel()


class RtpEnd(asyncio.DatagramProtocol):
    """The other end of RTP with µ-law (RFC 3550, 3551)."""

    def __init__(self, end: OtherEnd) -> None:
        self._end = end
        self._sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
        self._end.hear(ulaw_loudness(data[_RTP_HEADER.size :]))

    def speaking_to(self, address: tuple[str, int]) -> AbstractAsyncContextManager[None]:
        """Speak to an address during a block."""

        async def say() -> None:
            header = _RTP_HEADER.pack(0x80, 0, self._sent, self._sent * _RTP_SAMPLES, 1)
            self._transport.sendto(header + _ULAW_TONE * (_RTP_SAMPLES // 20), address)
            self._sent += 1

        return _speaking(say)


@asynccontextmanager
async def websocket_server(end: OtherEnd, port: int) -> AsyncIterator[None]:
    """Accept websockets of Asterisk around a block."""
    async with serve(end.websocket, "127.0.0.1", port, subprotocols=[_MEDIA]):
        yield


@asynccontextmanager
async def audiosocket_server(end: OtherEnd) -> AsyncIterator[str]:
    """Accept AudioSockets around a block; yields `host:port`."""
    async with await asyncio.start_server(end.audiosocket, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def rtp_server(end: OtherEnd) -> AsyncIterator[tuple[str, RtpEnd]]:
    """Receive RTP around a block; yields `host:port`, and what speaks from there."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: RtpEnd(end), local_addr=("127.0.0.1", 0)
    )
    try:
        yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}", protocol
    finally:
        transport.close()
