"""An App as a process, on real buses: what SIGTERM does to its calls."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.running import until
from tests.support.scripted_asterisk import channel_event
from tests.support.servers import BusServer
from tests.support.setting import Setting, serving

PROGRAM = """
import asyncio, os, sys
from ari_proxy import App, Call

app = App("demo", os.environ["BUS_URL"], shutdown_seconds=float(sys.argv[1]))

@app.call
async def serve(call: Call) -> None:
    print("begun", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("over" if call.is_over else "cancelled", flush=True)

app.run()
print("returned", flush=True)
"""


class Worker:
    """A running App."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self._process = process
        self._output = output

    def said(self, word: str) -> bool:
        return word in self._output.read_text().split()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    async def exit_status(self) -> int:
        await until(lambda: self._process.poll() is not None)
        return self._process.wait()


@contextmanager
def worker(bus_server: BusServer, shutdown_seconds: float, directory: Path) -> Iterator[Worker]:
    output = directory / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(shutdown_seconds)],
            stdout=file,
            stderr=file,
            env=os.environ | {"BUS_URL": bus_server.url},
        )
        try:
            yield Worker(process, output)
        finally:
            process.kill()
            process.wait()


async def served(setting: Setting, running: Worker) -> None:
    """Let a call begin."""
    await setting.asterisk.push(channel_event("StasisStart", "c"))
    await until(lambda: running.said("begun"))


@pytest.mark.parametrize("is_ending", [True, False], ids=["call ends", "call goes on"])
async def test_signal_lets_open_calls_end_in_time_and_gives_back_the_others(
    bus_server: BusServer, tmp_path: Path, *, is_ending: bool
) -> None:
    async with serving(bus_server) as setting:
        with worker(bus_server, 20 if is_ending else 0.1, tmp_path) as running:
            await served(setting, running)
            running.stop()
            if is_ending:
                await setting.asterisk.push(channel_event("StasisEnd", "c"))
            status = await running.exit_status()

    assert status == 0
    assert running.said("returned")
    assert running.said("over" if is_ending else "cancelled")
    targets = [request.target for request in setting.asterisk.requests]
    assert ("/ari/channels/c/continue" in targets) is not is_ending
