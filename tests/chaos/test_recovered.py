"""An App's process is killed in mid-call: another one goes on with the call. Both buses."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.calls import asterisk_client
from tests.support.running import running_proxy, settings_for, until, until_running
from tests.support.servers import Asterisk, BusServer

_numbers = itertools.count()
#: Of an application; NATS's accounts know no others.
_FIRST_NUMBER = 250

PROGRAM = """
import asyncio, os
from ari_proxy import App, Call

app = App(os.environ["APPLICATION"], os.environ["BUS_URL"])

@app.call
async def serve(call: Call) -> None:
    await call.ari.channels.set_variable(call.channel_id, "WHO", value="Ann")
    print("begun", call.id, flush=True)
    await asyncio.Event().wait()

@app.recovered
async def go_on(call: Call) -> None:
    first = await anext(call.events())
    who = await call.ari.channels.get_variable(call.channel_id, "WHO")
    print("recovered", call.id, call.state, who.value, flush=True)
    await call.play("sound:beep")
    await call.hang_up()

print("started", flush=True)
app.run()
"""


class Worker:
    """A running App."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self._process = process
        self._output = output

    def lines(self, word: str) -> list[list[str]]:
        """Return what it has printed behind a word."""
        printed = [line.split() for line in self._output.read_text().splitlines()]
        return [words[1:] for words in printed if words[:1] == [word]]

    def kill(self) -> None:
        """End it as the kernel does."""
        self._process.kill()
        self._process.wait()


@contextmanager
def worker(bus_server: BusServer, application: str, directory: Path) -> Iterator[Worker]:
    output = directory / f"output-{next(_numbers)}"
    environment = os.environ | {"BUS_URL": bus_server.url, "APPLICATION": application}
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdout=file, stderr=file, env=environment
        )
        running = Worker(process, output)
        try:
            yield running
        finally:
            running.kill()


async def test_call_of_a_killed_process_goes_on_in_another_one(
    bus_server: BusServer, asterisk_22: Asterisk, tmp_path: Path
) -> None:
    name = f"demo{_FIRST_NUMBER + next(_numbers)}"
    settings = settings_for(
        bus_server,
        rest_url=asterisk_22.url,
        websocket_url=asterisk_22.websocket_url,
        application=name,
        ingest={"silence_seconds": 12},
    )
    async with running_proxy(settings), asterisk_client(asterisk_22) as rest:
        await until_running(settings)
        with ExitStack() as workers:
            first = workers.enter_context(worker(bus_server, name, tmp_path))
            await until(lambda: first.lines("started"))
            where = f"endpoint=Local/answer@default/n&app={name}&channelId={name}-caller"
            answer = await rest.request("POST", f"/channels?{where}")
            assert answer.status == 200
            await until(lambda: first.lines("begun"))
            second = workers.enter_context(worker(bus_server, name, tmp_path))
            await until(lambda: second.lines("started"))
            first.kill()
            await until(lambda: second.lines("recovered"))

            async def is_over() -> bool:
                return (await rest.request("GET", f"/channels/{name}-caller")).status == 404

            await until(is_over)

    ((dialog,),) = first.lines("begun")
    assert second.lines("recovered") == [[dialog, "Up", "Ann"]]
    assert second.lines("begun") == []
