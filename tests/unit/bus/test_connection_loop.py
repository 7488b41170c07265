import asyncio
from dataclasses import dataclass, field

import pytest

from ari_proxy.backoff import Backoff
from ari_proxy.bus.connection_loop import STABLE_SECONDS, keep_connected

BACKOFF = Backoff(first_seconds=1.0, last_seconds=4.0, jitter=lambda: 1.0)
#: An attempt that fails.
FAILURE = -1.0
SHORT = STABLE_SECONDS
STABLE = STABLE_SECONDS + 0.1


class OverError(Exception):
    """The script of a test has ended."""


@dataclass
class Server:
    """Follows a script: each attempt fails, or its connection lasts some seconds."""

    script: list[float]
    now: float = 0.0
    delays: list[float] = field(default_factory=list)

    async def connect(self) -> float | None:
        if not self.script:
            raise OverError
        seconds = self.script.pop(0)
        return None if seconds == FAILURE else seconds

    async def serve(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        self.delays.append(seconds)


@pytest.mark.parametrize(
    ("script", "delays"),
    [
        pytest.param([FAILURE] * 4, [1, 2, 4, 4], id="failures"),
        pytest.param([SHORT] * 3, [1, 2, 4], id="lost soon"),
        pytest.param([FAILURE, SHORT, FAILURE], [1, 2, 4], id="failures and lost soon"),
        pytest.param([STABLE, STABLE], [], id="stable"),
        pytest.param([FAILURE, FAILURE, STABLE, FAILURE], [1, 2, 1], id="reset once stable"),
    ],
)
async def test_delays_grow_until_a_connection_is_stable(
    script: list[float], delays: list[float]
) -> None:
    server = Server(script)

    with pytest.raises(OverError):
        await keep_connected(
            server.connect, server.serve, BACKOFF, clock=lambda: server.now, sleep=server.sleep
        )

    assert server.delays == delays


async def test_error_while_serving_ends_the_loop() -> None:
    async def serve(_: float) -> None:
        raise OverError

    server = Server([STABLE, STABLE])

    with pytest.raises(ExceptionGroup) as raised:
        await keep_connected(server.connect, serve, BACKOFF, sleep=server.sleep)

    assert raised.group_contains(OverError)
    assert server.script == [STABLE]


async def _fail_once_cancelled() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ConnectionError


async def test_cancellation_ends_the_loop_though_the_connection_fails_meanwhile() -> None:
    serving = asyncio.Event()

    async def serve(_: float) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_fail_once_cancelled())
                serving.set()
        except* ConnectionError:
            pass

    server = Server([SHORT] * 100)
    running = asyncio.create_task(
        keep_connected(server.connect, serve, BACKOFF, sleep=server.sleep)
    )
    await serving.wait()
    running.cancel()
    await asyncio.wait([running], timeout=10)

    assert running.cancelled()
    assert len(server.script) == 99
