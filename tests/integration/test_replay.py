"""A call that was recorded as `tail --json` does is served again by its handler, and by others."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ari_proxy import Call
from ari_proxy.testing import UnmetExpectationError, VirtualTimeLoop, replay
from ari_proxy.watch.render import lines
from tests.support.memory_proxy import CallScene
from tests.support.running import until


async def connect(call: Call) -> None:
    """Ask for a digit, and connect the caller with somebody; the names are new each time."""
    await call.answer()
    digit = await call.prompt("sound:beep", digits=1)
    async with call.bridge(name=digit) as bridge:
        agent = await call.dial("Local/answer@default/n")
        await bridge.add(call, agent)
        await call.play("sound:beep")
    await call.hang_up()


async def connect_nobody(call: Call) -> None:
    await call.answer()
    await call.prompt("sound:beep", digits=1)
    await call.hang_up("busy")


@pytest.fixture
async def recorded(call_scene: CallScene, tmp_path: Path) -> Path:
    """A file with one call."""
    async with call_scene.recording() as records:
        await call_scene.served(connect, "dtmf-ww7")
        await until(lambda: any(record.kind == "end" for record in records))
    path = tmp_path / "call.jsonl"
    path.write_text("".join(f"{lines.as_json(record)}\n" for record in records))
    return path


def serve_again(path: Path, handler: Callable[[Call], Awaitable[None]]) -> None:
    """Replay a record; nobody waits."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(replay(path, handler))


async def test_recorded_call_is_served_again(recorded: Path) -> None:
    await asyncio.to_thread(serve_again, recorded, connect)


async def test_other_handler_parts_from_it(recorded: Path) -> None:
    with pytest.raises(UnmetExpectationError, match="/bridges") as failure:
        await asyncio.to_thread(serve_again, recorded, connect_nobody)

    assert "here the handler sent DELETE /channels" in str(failure.value)
