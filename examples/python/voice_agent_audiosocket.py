"""A voice agent on AudioSocket: Asterisk connects, it hears the caller, and speaks.

docs/voice-agents.md has Asterisk's configuration.
"""

import asyncio
import os
import signal
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from ari_proxy import App, Call

#: Where Asterisk reaches this process: so the audio comes to the one that has the call.
HOST, PORT = os.environ.get("MEDIA_HOST", "127.0.0.1"), 9092
#: AudioSocket's kinds of messages.
UUID_KIND, AUDIO_KIND = 0x01, 0x10
UUID_BYTES, FIRST_SECONDS = 16, 5
#: By the UUID of its media, which is the first message.
calls: dict[UUID, Call] = {}
app = App("voice-agent", os.environ.get("BUS_URL", "nats://127.0.0.1:4222"))


async def speech(_: Call, heard: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what the agent says, 20 ms each 20 ms: here goes the model. This one is an echo.

    What is heard and said are samples of 16 bits at 8 kHz, little-endian.
    """
    async for audio in heard:
        yield audio


@app.call
async def talk(call: Call) -> None:
    """Serve one call: until the caller hangs up, or the agent has nothing more to say."""
    await call.answer()
    media = call.external_media("audiosocket", host=f"{HOST}:{PORT}")
    calls[media.uuid] = call
    try:
        async with media:
            await media.wait_ended()
    finally:
        del calls[media.uuid]
    await call.hang_up()


async def serve_media(reader: StreamReader, writer: StreamWriter) -> None:
    """Serve the connection of one call."""
    try:
        # The caller has hung up, or it was no Asterisk.
        with suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                kind, content = await message(reader)
            is_id = kind == UUID_KIND and len(content) == UUID_BYTES
            call = calls.get(UUID(bytes=content)) if is_id else None
            if call is not None:
                async for audio in speech(call, heard_on(reader)):
                    writer.write(struct.pack(">BH", AUDIO_KIND, len(audio)) + audio)
                    await writer.drain()
    finally:
        writer.close()


async def heard_on(reader: StreamReader) -> AsyncIterator[bytes]:
    """Yield what the caller says."""
    while True:
        kind, content = await message(reader)
        if kind == AUDIO_KIND:
            yield content


async def message(reader: StreamReader) -> tuple[int, bytes]:
    """Return the next message: its kind, and what it has."""
    kind, size = struct.unpack(">BH", await reader.readexactly(3))
    return kind, await reader.readexactly(size)


@asynccontextmanager
async def media_server() -> AsyncIterator[None]:
    """Accept connections around a block."""
    async with await asyncio.start_server(serve_media, HOST, PORT):
        yield


async def main() -> None:
    """Serve calls and their media until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with media_server():
        await app.serve(stop)


if __name__ == "__main__":
    asyncio.run(main())
