"""The floor: events from the websocket to NATS and commands to Asterisk, without any safeguards.

    aribench event … -proxy 'cmd:python bench/trial.py {config}'
    aribench command … -proxy 'cmd:python bench/trial.py {config} websocket'

No buffer, no reconnect, no ids, one topic per channel. Commands go by HTTP, or on a websocket. What
ari-proxy costs above it is the price of its promises; how far a machine is from another shows in it
too.
"""

import asyncio
import itertools
import json
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import nats
import uvloop
import websockets
from nats.aio.msg import Msg
from yarl import URL

#: Sends a command, and returns the status and body of the answer.
Send = Callable[[dict[str, Any]], Awaitable[tuple[int, str]]]


class Named(msgspec.Struct):
    id: str = ""


class Event(msgspec.Struct):
    type: str
    application: str = ""
    channel: Named | None = None


def by_http(config: dict[str, Any]) -> Send:
    login = aiohttp.encode_basic_auth(config["ws_user"], config["ws_password"])
    http = aiohttp.ClientSession(headers={"Authorization": login})
    root = str(config["stasis_url"])

    async def send(command: dict[str, Any]) -> tuple[int, str]:
        url = URL(root + command["url"], encoded=True)
        async with http.request(command["method"], url, data=command["body"] or None) as answer:
            return answer.status, await answer.text()

    return send


def on(socket: websockets.ClientConnection, tasks: asyncio.TaskGroup) -> Send:
    numbers = itertools.count()
    answers: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def read() -> None:
        while True:
            answer = msgspec.json.decode(await socket.recv(decode=False))
            if answer["type"] == "RESTResponse":
                answers.pop(answer["request_id"]).set_result(answer)

    async def send(command: dict[str, Any]) -> tuple[int, str]:
        request = {"type": "RESTRequest", "request_id": str(next(numbers))}
        request |= {"method": command["method"], "uri": command["url"][1:]}
        coming = answers[request["request_id"]] = asyncio.get_running_loop().create_future()
        await socket.send(msgspec.json.encode(request), text=True)
        answer = await coming
        return answer["status_code"], answer.get("message_body", "")

    tasks.create_task(read())
    return send


async def connect(config: dict[str, Any], application: str) -> websockets.ClientConnection:
    query = f"?app={application}&api_key={config['ws_user']}:{config['ws_password']}"
    return await websockets.connect(
        str(config["websocket_url"]) + query,
        origin=config.get("origin"),
        compression=None,
        max_queue=4096,
    )


async def main(config: dict[str, Any], way: str) -> None:
    bus = await nats.connect(str(config["bus_config"]["url"]))
    server = config["server_id"]
    encoder = msgspec.json.Encoder()
    decoder = msgspec.json.Decoder(Event)
    dialogs: dict[str, str] = {}

    async def execute(message: Msg) -> None:
        if message.data == b"DUMMY":
            return
        command = msgspec.json.decode(message.data)
        status, body = await send(command)
        response = {
            "unique_id": command["unique_id"],
            "status_code": status,
            "response_body": body,
        }
        topic = message.subject.replace("commands_", "responses_")
        await bus.publish(topic, encoder.encode(response))

    async def on_command(message: Msg) -> None:
        tasks.create_task(execute(message))

    events = await connect(config, config["applications"][0])
    async with asyncio.TaskGroup() as tasks:
        if way == "websocket":
            send = on(await connect(config, "trial-commands"), tasks)
        else:
            send = by_http(config)
        await bus.subscribe(f"commands_{server}.*", cb=on_command)
        while True:
            frame = await events.recv(decode=False)
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


uvloop.run(main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2] if sys.argv[2:] else ""))
