"""A voice agent on a websocket that Asterisk opens: it hears the caller, and speaks.

docs/voice-agents.md has Asterisk's configuration. It needs `pip install ari-proxy websockets`.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from ari_proxy import App, Call

HOST, PORT = os.environ.get("MEDIA_HOST", "127.0.0.1"), 8765
#: By the call's id, which the websocket's URI has.
calls: dict[str, Call] = {}
app = App("voice-agent", os.environ.get("BUS_URL", "nats://127.0.0.1:4222"))


async def speech(_: Call, heard: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what the agent says, of any length: here goes the model. This one is an echo.

    What is heard and said are samples of 16 bits at 16 kHz, little-endian.
    """
    async for audio in heard:
        yield audio


@app.call
async def talk(call: Call) -> None:
    """Serve one call: until the caller hangs up, or the agent has nothing more to say."""
    await call.answer()
    calls[call.id] = call
    try:
        async with call.external_media(
            "websocket", connection="agents", params={"call": call.id}
        ) as media:
            await media.wait_ended()
    finally:
        del calls[call.id]
    await call.hang_up()


async def serve_media(socket: ServerConnection) -> None:
    """Serve the websocket of one call."""
    query = parse_qs(urlsplit(socket.request.path if socket.request else "").query)
    call = calls.get(query.get("call", [""])[0])
    if call is not None:
        with suppress(ConnectionClosed):  # The caller has hung up.
            async for audio in speech(call, heard_on(socket)):
                await socket.send(audio)


async def heard_on(socket: ServerConnection) -> AsyncIterator[bytes]:
    """Yield what the caller says."""
    async for message in socket:
        if isinstance(message, bytes):  # Texts tell what happens, like MEDIA_START.
            yield message


@asynccontextmanager
async def media_server() -> AsyncIterator[None]:
    """Accept websockets around a block."""
    async with serve(serve_media, HOST, PORT, subprotocols=[Subprotocol("media")]):
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
