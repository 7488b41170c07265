"""A command service on a bus in memory, with the client of a dialog."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from ari_proxy.ari.availability import CommandWay
from ari_proxy.command.service import CommandService
from ari_proxy.protocol import topics
from ari_proxy.protocol.messages import DUMMY
from ari_proxy.settings.load import load
from ari_proxy.telemetry.traces import Traces
from tests.support.event_path import SERVER, Listener
from tests.support.execution import DIALOG, Execution, execution
from tests.support.running import until

COMMANDS: Final = topics.commands(DIALOG)
RESPONSES: Final = topics.responses(DIALOG)


class Served:
    """A command service and the client of a dialog."""

    def __init__(self, it: Execution, stop: asyncio.Event) -> None:
        self.it = it
        self.stop = stop
        self.client = Listener(it.path.bus)
        self.asterisk = it.path.asterisk

    def send(self, *commands: dict[str, Any], reply: str = "", traceparent: str = "") -> None:
        """Publish one command, or an array of them."""
        content = commands[0] if len(commands) == 1 else commands
        payload = json.dumps(content).encode()
        self.client.bus.publish(COMMANDS, payload, reply=reply, traceparent=traceparent)

    async def responses(self, count: int) -> list[dict[str, Any]]:
        await until(lambda: len(self.client.bodies(RESPONSES)) >= count)
        return self.client.bodies(RESPONSES)


@asynccontextmanager
async def served(
    *,
    traces: Traces | None = None,
    max_pending: int = 100,
    drain_seconds: float = 10,
    **options: Any,
) -> AsyncIterator[Served]:
    settings = load(
        server_id=SERVER,
        ari={"user": "ari", "password": "x"},
        command={"max_pending": max_pending},
        runtime={"drain_seconds": drain_seconds},
    )
    async with execution(**options) as it:
        service = CommandService(
            settings,
            it.path.application.bus,
            CommandWay(it.path.rest),
            it.path.metrics,
            tap=it.path.tap,
            traces=traces or Traces(),
        )
        stop = asyncio.Event()
        made = Served(it, stop)
        await made.client.listen(RESPONSES)
        if it.path.bus.queues is not None:
            await it.path.bus.queues.declare(topics.of_dialog(DIALOG))
        running = asyncio.create_task(service.run(stop))
        await until(lambda: it.path.bus.publish_to_listener(COMMANDS, DUMMY))
        yield made
        stop.set()
        await running


def command(number: int | str, url: str = "/channels/c", method: str = "GET") -> dict[str, Any]:
    return {"unique_id": str(number), "url": url, "method": method, "body": ""}
