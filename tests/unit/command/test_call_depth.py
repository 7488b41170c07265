"""How many coroutines of ours a command passes from its lane to the HTTP connection.

Each costs time, and a reader who follows a command has to read each.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import CoroutineType
from typing import Any

import pytest

import ari_proxy
from ari_proxy.protocol import topics
from ari_proxy.telemetry.traces import Traces
from tests.support.command_service import COMMANDS, RESPONSES, command, served
from tests.support.event_path import SERVER
from tests.support.running import until

OURS = str(Path(ari_proxy.__file__).parent)
#: Of a command that creates nothing, and of one that does.
MOST_COROUTINES, MOST_CREATING = 8, 9


@pytest.mark.parametrize(
    ("topics_of", "sent", "most"),
    [
        ((COMMANDS, RESPONSES), command(1), MOST_COROUTINES),
        (
            (COMMANDS, RESPONSES),
            command(1, "/channels?endpoint=x&channelId=mine", "POST"),
            MOST_CREATING,
        ),
        (
            (topics.commands(SERVER), topics.responses(SERVER)),
            command(1, "/channels?endpoint=x&app=demo", "POST"),
            MOST_CREATING,
        ),
    ],
    ids=["plain", "registered", "server"],
)
async def test_command_passes_few_coroutines(
    topics_of: tuple[str, str], sent: dict[str, Any], most: int, traces: Traces
) -> None:
    commands, responses = topics_of
    async with served(traces=traces) as it:
        await it.client.listen(responses)
        it.asterisk.hold = asyncio.Event()
        it.client.bus.publish(commands, json.dumps(sent).encode())
        await until(lambda: it.asterisk.requests)
        found = coroutines_to("RestClient.request")
        it.asterisk.hold.set()
        await until(lambda: it.client.bodies(responses))

    assert len(found) <= most, found


def coroutines_to(name: str) -> list[str]:
    """Return the coroutines of ours, outermost first, of the task that awaits `name`."""
    for task in asyncio.all_tasks():
        found = list(_of_ours(task.get_coro()))
        if name in found:
            return found
    raise AssertionError(f"no task awaits {name}")


def _of_ours(awaited: object) -> Iterator[str]:
    while isinstance(awaited, CoroutineType):
        if awaited.cr_code.co_filename.startswith(OURS):
            yield awaited.cr_code.co_qualname
        awaited = awaited.cr_await
