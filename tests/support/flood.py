"""An Asterisk that sends events as fast as it can, in its own process.

    python -m tests.support.flood EVENTS CHANNELS RATE

Prints its port, and at the end a line of JSON: events sent, seconds, and the longest time of one
write (Asterisk drops a reader that blocks it for 100 ms).
"""

import asyncio
import json
import sys
import time
from typing import Any

from aiohttp import web

#: Frames written between looks at the clock.
BURST = 50
_started = asyncio.Event()


def frame(event_type: str, channel: str, number: int) -> str:
    return (
        f'{{"variable":"N","value":"{number}","type":"{event_type}",'
        '"timestamp":"2026-01-01T00:00:00.123+0000",'
        f'"channel":{{"id":"{channel}","name":"PJSIP/flood-{channel}","state":"Up",'
        f'"caller":{{"name":"","number":""}},"connected":{{"name":"","number":""}},'
        f'"dialplan":{{"context":"default","exten":"s","priority":1,"app_name":"Stasis",'
        f'"app_data":"demo"}},"padding":"{"x" * 200}"}},'
        '"asterisk_id":"02:00:00:00:00:01","application":"demo"}'
    )


async def flood(socket: web.WebSocketResponse, events: int, channels: int, rate: int) -> None:
    for number in range(channels):
        await socket.send_str(frame("StasisStart", f"c{number}", 0))
    await _started.wait()
    begun, longest = time.monotonic(), 0.0
    for number in range(events):
        if number % BURST == 0:
            early = begun + number / rate - time.monotonic()
            await asyncio.sleep(max(early, 0))
        before = time.monotonic()
        await socket.send_str(frame("ChannelVarset", f"c{number % channels}", number))
        longest = max(longest, time.monotonic() - before)
    seconds = time.monotonic() - begun
    result = {"events": events, "seconds": round(seconds, 3), "longest_write": round(longest, 4)}
    print(json.dumps(result), flush=True)


async def main(events: int, channels: int, rate: int) -> None:
    async def serve_events(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("ari",), compress=False)
        await socket.prepare(request)
        sending = asyncio.create_task(flood(socket, events, channels, rate))
        async for _ in socket:
            pass
        sending.cancel()
        return socket

    async def serve_rest(request: web.Request) -> web.Response:
        if request.path.endswith("/start"):
            _started.set()
        found: dict[str, Any] = {"channels": [], "bridges": [], "info": {}, "ping": {}}
        name = request.path.rpartition("/")[2]
        if request.method == "GET" and name in found:
            return web.json_response(found[name])
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/ari/events", serve_events)
    app.router.add_route("*", "/ari/{tail:.*}", serve_rest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
