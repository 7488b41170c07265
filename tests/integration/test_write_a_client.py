"""The clients of docs/write-a-client.md serve a call of the simulator on a real bus."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import nats

from ari_proxy.connections import factories
from ari_proxy.simulator import server as simulator
from tests.support.link import Link
from tests.support.running import running_proxy, settings_for, until
from tests.support.servers import PASSWORD, BusServer, NatsServer
from tests.support.setting import serving

PAGE = (Path(__file__).parents[2] / "docs/write-a-client.md").read_text()


def program(library: str, port: int | None) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if f"import {library}\n" in block]
    return re.sub(r"\b(4222|5672)\b", str(port), found)


async def serves_a_call(bus: BusServer, library: str, directory: Path) -> None:
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            simulator.serve(stop, port=0, user="ari", password=PASSWORD, listening=port.set_result)
        )
        where = f"127.0.0.1:{await port}/ari"
        settings = settings_for(
            bus,
            rest_url=f"http://{where}",
            websocket_url=f"ws://{where}/events",
            application="demo",
        )
        file = directory / "client.py"
        file.write_text(program(library, urlsplit(bus.url).port))
        output = directory / "output"
        with output.open("wb") as written:
            client = subprocess.Popen([sys.executable, file], stdout=written, stderr=written)
        try:
            async with running_proxy(settings), factories.rest_client(settings) as rest:

                async def is_registered() -> bool:
                    return (await rest.request("GET", "/applications/demo")).status == 200

                await until(is_registered)
                await rest.request("POST", "/channels?endpoint=Local/100@default&app=demo")
                await until(lambda: "served" in output.read_text())
        finally:
            client.kill()
            client.wait()
            stop.set()


async def test_client_on_nats(nats_server: NatsServer, tmp_path: Path) -> None:
    await serves_a_call(nats_server, "nats", tmp_path)


async def test_client_on_rabbitmq(rabbitmq_link: Link, tmp_path: Path) -> None:
    await serves_a_call(rabbitmq_link, "aio_pika", tmp_path)


async def test_request_of_the_first_lines_is_answered(nats_server: NatsServer) -> None:
    """What `nats request SUBJECT 'MESSAGE'` does, with nats-py: that program has no wheel."""
    (line,) = re.findall(r"^nats request .*$", PAGE, re.MULTILINE)
    _, _, subject, message = shlex.split(line)
    client = await nats.connect(nats_server.url)
    try:
        async with serving(nats_server) as proxy:
            proxy.asterisk.answer("GET", "/endpoints", 200, "[]")
            answer = await client.request(
                subject.replace("asterisk-1", proxy.settings.server_id),
                message.encode(),
                timeout=20,
            )
    finally:
        await client.close()

    response = json.loads(answer.data)
    assert (response["unique_id"], response["status_code"]) == ("1", 200)
    assert response["response_body"] == "[]"
