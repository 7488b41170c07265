import asyncio
from dataclasses import dataclass

import pytest

from ari_proxy.backoff import Backoff
from ari_proxy.bus.connection_loop import STABLE_SECONDS, ConnectionDelays, keep_connected

BACKOFF = Backoff(first_seconds=1.0, last_seconds=4.0, jitter=lambda: 1.0)
AT_ONCE = Backoff(first_seconds=0.0, last_seconds=0.0)
#: An attempt that fails.
FAILURE = None
SHORT = STABLE_SECONDS
STABLE = STABLE_SECONDS + 0.1


class OverError(Exception):
    """The script of a test has ended."""


@pytest.mark.parametrize(
    ("lasted", "delays"),
    [
        pytest.param([FAILURE] * 4, [1, 2, 4, 4], id="failures"),
        pytest.param([SHORT] * 3, [1, 2, 4], id="lost soon"),
        pytest.param([FAILURE, SHORT, FAILURE], [1, 2, 4], id="failures and lost soon"),
        pytest.param([STABLE, STABLE], [0, 0], id="stable"),
        pytest.param([FAILURE, FAILURE, STABLE, FAILURE], [1, 2, 0, 1], id="reset once stable"),
    ],
)
def test_delays_grow_until_a_connection_is_stable(
    lasted: list[float | None], delays: list[float]
) -> None:
    tested = ConnectionDelays(BACKOFF)

    assert [tested.after(seconds) for seconds in lasted] == delays


@dataclass
class Server:
    """Follows a script: each attempt fails, or yields a connection of that name."""

    script: list[str | None]

    async def connect(self) -> str | None:
        if not self.script:
            raise OverError
        return self.script.pop(0)


async def test_each_connection_is_served_and_a_failed_attempt_is_not() -> None:
    served: list[str] = []

    async def serve(name: str) -> None:
        served.append(name)

    with pytest.raises(OverError):
        await keep_connected(Server(["first", None, "second"]).connect, serve, AT_ONCE)

    assert served == ["first", "second"]


async def test_error_while_serving_ends_the_loop() -> None:
    async def serve(_: str) -> None:
        raise OverError

    server = Server(["first", "second"])

    with pytest.raises(ExceptionGroup) as raised:
        await keep_connected(server.connect, serve, AT_ONCE)

    assert raised.group_contains(OverError)
    assert server.script == ["second"]


async def _fail_once_cancelled() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ConnectionError


async def test_cancellation_ends_the_loop_though_the_connection_fails_meanwhile() -> None:
    serving = asyncio.Event()

    async def serve(_: str) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_fail_once_cancelled())
                serving.set()
        except* ConnectionError:
            pass

    server = Server(["connection"] * 100)
    running = asyncio.create_task(keep_connected(server.connect, serve, AT_ONCE))
    await serving.wait()
    running.cancel()
    await asyncio.wait([running], timeout=10)

    assert running.cancelled()
    assert len(server.script) == 99
