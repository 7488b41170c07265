"""The examples in other languages, as `make examples` builds them, run as processes."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.programs import missing, program
from tests.support.running import until
from tests.support.servers import BusServer

ROOT: Final = Path(__file__).parents[2] / "examples"


class Example(NamedTuple):
    """How one is run."""

    #: What ARI_PROXY_REQUIRE calls its tools.
    tools: str
    #: What `make examples` makes of it.
    built: str
    #: The program that runs it, or '' if it is one itself.
    runtime: str
    arguments: tuple[str, ...] = ()


EXAMPLES: Final = {
    "go": Example("go", "go/build/answer", ""),
    "node": Example("node", "node/node_modules", "node", ("node/answer.js",)),
    "node-rabbitmq": Example(
        "node", "node-rabbitmq/node_modules", "node", ("node-rabbitmq/answer.js",)
    ),
    "java": Example(
        "java",
        "java/target/dependency",
        "java",
        ("-cp", "java/target/classes:java/target/dependency/*", "Answer"),
    ),
}


def command(name: str) -> list[str]:
    """Return the command line of an example; skip if it is not built."""
    example = EXAMPLES[name]
    if not (ROOT / example.built).exists():
        missing(f"{example.tools} (examples/{name})", "make examples")
    runtime = program(example.runtime) if example.runtime else str(ROOT / example.built)
    return [runtime, *example.arguments]


class Application:
    """A running example."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def output(self) -> str:
        return self._output.read_text()

    async def until_written(self, text: str) -> None:
        await until(lambda: text in self.output or self._process.poll() is not None)
        assert text in self.output, self.output


@asynccontextmanager
async def running(name: str, bus: BusServer, directory: Path) -> AsyncIterator[Application]:
    """Run an example around a block, once it serves calls.

    Args:
        name: its folder.
        bus: on which it serves the calls of `demo`.
        directory: for its output.
    """
    url = {"NATS": "NATS_URL", "RABBITMQ": "AMQP_URL"}[bus.kind]
    output = directory / f"{name}.txt"
    with output.open("wb") as written:
        process = subprocess.Popen(
            command(name),
            cwd=ROOT,
            env=os.environ | {url: bus.url},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    try:
        application = Application(process, output)
        await application.until_written("ready")
        yield application
    finally:
        process.kill()
        process.wait()
