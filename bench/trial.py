"""The floor: events from the websocket to NATS and commands to REST, without any safeguards.

    aribench event … -proxy 'cmd:python bench/trial.py {config}'

No buffer, no reconnect, no ids, one topic per channel. What ari-proxy costs above it is the price
of its promises; how far a machine is from another shows in it too.
"""

import asyncio
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import nats
import uvloop
import websockets
from yarl import URL


class Named(msgspec.Struct):
    id: str = ""


class Event(msgspec.Struct):
    type: str
    application: str = ""
    channel: Named | None = None


async def main(config: dict[str, Any]) -> None:
    bus = await nats.connect(str(config["bus_config"]["url"]))
    server = config["server_id"]
    login = aiohttp.encode_basic_auth(config["ws_user"], config["ws_password"])
    http = aiohttp.ClientSession(headers={"Authorization": login})
    root = str(config["stasis_url"])
    encoder = msgspec.json.Encoder()
    decoder = msgspec.json.Decoder(Event)
    dialogs: dict[str, str] = {}

    async def on_command(message: nats.aio.msg.Msg) -> None:
        asyncio.create_task(execute(message))  # noqa: RUF006  the floor

    async def execute(message: nats.aio.msg.Msg) -> None:
        if message.data == b"DUMMY":
            return
        command = msgspec.json.decode(message.data)
        url = URL(root + command["url"], encoded=True)
        async with http.request(command["method"], url, data=command["body"] or None) as answer:
            body = await answer.text()
        response = {
            "unique_id": command["unique_id"],
            "status_code": answer.status,
            "response_body": body,
        }
        topic = message.subject.replace("commands_", "responses_")
        await bus.publish(topic, encoder.encode(response))

    await bus.subscribe(f"commands_{server}.*", cb=on_command)
    query = f"?app={config['applications'][0]}&api_key={config['ws_user']}:{config['ws_password']}"
    async with websockets.connect(
        str(config["websocket_url"]) + query,
        origin=config.get("origin"),
        compression=None,
        max_queue=4096,
    ) as socket:
        while True:
            frame = await socket.recv(decode=False)
            event = decoder.decode(frame)
            name = event.channel.id if event.channel else ""
            if event.type == "StasisStart":
                dialogs[name] = f"{server}.{secrets.token_hex(8)}"
                start = {
                    "application": event.application,
                    "dialog_id": dialogs[name],
                    "server_id": server,
                }
                await bus.publish(event.application, encoder.encode(start))
                await asyncio.sleep(0.05)
            envelope = {
                "server_id": server,
                "timestamp": str(time.time()),
                "type": event.type,
                "ari_body": frame.decode(),
            }
            await bus.publish(f"events_{dialogs[name]}", encoder.encode(envelope))


uvloop.run(main(json.loads(Path(sys.argv[1]).read_text())))
