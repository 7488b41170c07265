"""Commands' websockets are cut under load, with a real Asterisk: counted by numbered events."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import websockets.asyncio.client as websockets_client

from ari_proxy.ari.credentials import Credentials
from tests.support.link import Link
from tests.support.outcomes import APPLICATION, Outcomes
from tests.support.rest_websocket import clients
from tests.support.running import until
from tests.support.servers import PASSWORD, Asterisk


@asynccontextmanager
async def executed(asterisk: Asterisk) -> AsyncIterator[Counter[str]]:
    """Count the executions of each request."""
    counted: Counter[str] = Counter()
    headers = {"Authorization": Credentials("ari", PASSWORD).authorization}

    async def count(connection: websockets_client.ClientConnection) -> None:
        async for frame in connection:
            counted[json.loads(frame)["eventname"]] += 1

    url = f"{asterisk.websocket_url}?app={APPLICATION}"
    async with (
        websockets_client.connect(url, additional_headers=headers, compression=None) as connection,
        asyncio.TaskGroup() as tasks,
    ):
        counting = tasks.create_task(count(connection))
        yield counted
        counting.cancel()


@pytest.mark.parametrize("fault", ["cut", "frozen"])
async def test_request_is_executed_once_or_its_outcome_is_told(
    own_asterisk: Asterisk, websocket_link: Link, fault: str
) -> None:
    link, outcomes = websocket_link, Outcomes()
    through = f"ws://127.0.0.1:{link.port}/ari/events"
    async with (
        executed(own_asterisk) as counted,
        clients(own_asterisk.url, through, 4, timeout_seconds=1) as ways,
    ):
        await until(lambda: ways.sockets.opened == 4)
        async with asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(outcomes.send(ways.client, n)) for n in range(16)]
            for _ in range(3):
                await outcomes.more()
                if fault == "frozen":
                    link.freeze()
                    await outcomes.more()
                    link.thaw()
                link.stop()
                await outcomes.more()
                link.start()
                await until(lambda: ways.sockets.opened == 4)
            for task in sending:
                task.cancel()
        asked = outcomes.answered | outcomes.unknown
        await until(lambda: outcomes.answered <= set(counted))

    assert max(counted.values()) == 1
    assert not outcomes.not_sent & set(counted)
    assert len(outcomes.answered) > 2000
    # Those in flight when the link froze, and on a websocket that had been idle when it was cut: at
    # most sixteen each, three times.
    assert 0 < len(outcomes.unknown) <= 96, len(asked)
