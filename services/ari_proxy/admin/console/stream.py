"""A stream of server-sent events (WHATWG HTML §9.2): the steps of one dialog until its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ari_proxy.aio import first_leaf, run_until_first
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.records import TapRecord
from ari_proxy.tap.watcher import NobodyServesError, Watcher

_log = structlog.get_logger()

#: Seconds of silence after which a comment goes out: whatever lies between must not give up.
HEARTBEAT_SECONDS: Final = 15.0


class EventStream(Response):
    """A response that streams events until the dialog, the client or the process ends."""

    def __init__(  # noqa: PLR0913  what a stream is made from, by name
        self,
        bus: Bus,
        server: ServerId,
        dialog_id: str,
        *,
        encode: Callable[[TapRecord], bytes],
        closing: asyncio.Event,
        count: Callable[[int], None],
        headers: Mapping[str, str],
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        """Initialise a response that has not started.

        Args:
            bus: the bus with the copies.
            server: the server of the dialog.
            dialog_id: the dialog to stream.
            encode: returns a copy as JSON without line breaks.
            closing: set when the process ends.
            count: called with 1 when the stream begins and with -1 when it ends.
            headers: the headers of the response.
            heartbeat_seconds: the silence after which a comment is sent.
        """
        super().__init__(headers={**headers, "Content-Type": "text/event-stream"})
        del self.headers["content-length"]
        self._bus = bus
        self._server = server
        self._dialog_id = dialog_id
        self._encode = encode
        self._closing = closing
        self._count = count
        self._is_begun = False
        self._heartbeat_seconds = heartbeat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response (ASGI, HTTP)."""
        del scope
        self._count(1)
        try:
            await self._stream(receive, send)
            await self._begin(send)  # Where nobody could be watched: a browser asks again.
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._count(-1)

    async def _begin(self, send: Send) -> None:
        """Send the head of the response once; to a browser it means that copies follow."""
        if not self._is_begun:
            self._is_begun = True
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)

    async def _stream(self, receive: Receive, send: Send) -> None:
        try:
            watcher = Watcher(self._bus, self._server, self._dialog_id)
            async with watcher.watching() as records:
                sending = self._send_all(records, send)
                await run_until_first(sending, _until_gone(receive), self._closing.wait())
        except* (BusError, NobodyServesError) as errors:
            _log.warning("console.not_watching", error=str(first_leaf(errors)))

    async def _send_all(self, records: AsyncIterator[TapRecord], send: Send) -> None:
        await self._begin(send)
        await _send(send, b": watching\n\n")
        while True:
            record = await _next(records, self._heartbeat_seconds)
            if record is None:
                await _send(send, b":\n\n")
                continue
            await _send(send, b"data: %b\n\n" % self._encode(record))
            if record.kind == "end":
                return


async def _next(records: AsyncIterator[TapRecord], seconds: float) -> TapRecord | None:
    """Return the next record, or None if there is none for a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await anext(records)
    return None


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
