"""A recorded call of Asterisk 22 is served again; the names of its objects are new each time."""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ari_proxy import Call
from ari_proxy.client.events import PlaybackStarted
from ari_proxy.testing import TranscriptError, UnmetExpectationError, replay
from tests.support.own_pytest import run_pytest

RECORD = Path(__file__).parents[2] / "data/transcripts/connected-call.jsonl"
PAGE = Path(__file__).parents[3] / "docs/testing-applications.md"
CONFTEST = """
from ari_proxy.testing import VirtualTimeLoop


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": VirtualTimeLoop}
"""
IMPORTS = """
from ari_proxy import Call
from ari_proxy.testing import replay
"""


async def connect(call: Call) -> None:
    """Serve a call as it was when it was recorded."""
    await call.answer()
    digit = await call.prompt("sound:beep", digits=1)
    async with call.bridge(name=digit) as bridge:
        agent = await call.dial("Local/answer@default/n")
        await bridge.add(call, agent)
        await call.play("sound:beep")
    await call.hang_up()


async def parting(handler: Callable[[Call], Awaitable[None]]) -> str:
    """Return the text of the error of a handler that parts from the record."""
    with pytest.raises(UnmetExpectationError) as failure:
        await replay(RECORD, handler)
    return str(failure.value)


async def test_handler_serves_the_recorded_call_again() -> None:
    events: list[object] = []

    async def note(call: Call) -> None:
        with call.following(events.append):
            await connect(call)

    await replay(RECORD, note)

    assert isinstance(events[0], PlaybackStarted)  # It began with what came before.


async def test_calls_last_as_long_as_they_did() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    await replay(RECORD, connect)

    assert 2 < loop.time() - began < 10


async def test_other_command_is_told_with_the_ladder() -> None:
    async def hang_up(call: Call) -> None:
        await call.answer()
        await call.hang_up("busy")

    told = await parting(hang_up)

    recorded, sent, _, *ladder = told.splitlines()
    assert recorded.startswith("recorded: POST /channels/")
    assert "/play?media=sound%3Abeep" in recorded
    assert sent.startswith("sent:     DELETE /channels/")
    assert "StasisStart" in "".join(ladder)
    assert "✗ here the handler sent DELETE /channels/" in ladder[-1]


async def test_handler_that_sends_nothing_is_told() -> None:
    async def answer(call: Call) -> None:
        await call.answer()
        await asyncio.sleep(60)

    told = await parting(answer)

    assert "/play?media=sound%3Abeep" in told
    assert "the handler has sent nothing" in told


async def test_other_parameter_is_told() -> None:
    async def greet(call: Call) -> None:
        await call.answer()
        await call.play("sound:hello")

    assert "sent:     POST /channels/" in await parting(greet)


async def test_command_behind_the_recorded_ones_is_told() -> None:
    async def go_on(call: Call) -> None:
        try:
            await connect(call)
        finally:
            await call.ari.recordings.list_stored()

    assert "recorded: no more command" in await parting(go_on)


async def test_handler_that_does_not_end_is_told() -> None:
    async def stay(call: Call) -> None:
        try:
            await connect(call)
        finally:
            await asyncio.sleep(60)

    assert "the handler is running" in await parting(stay)


async def test_error_of_the_handler_is_raised() -> None:
    async def fail(call: Call) -> None:
        try:
            await connect(call)
        finally:
            raise LookupError("no such customer")

    with pytest.raises(LookupError, match="no such customer") as failure:
        await replay(RECORD, fail)

    assert "StasisStart" in "".join(failure.value.__notes__)


async def test_cancelled_replay_ends_the_handler() -> None:
    ended = asyncio.Event()

    async def note(call: Call) -> None:
        try:
            await connect(call)
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await replay(RECORD, note)

    assert ended.is_set()


async def test_dialog_is_chosen_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    other = RECORD.read_text().replace("server-1.", "server-2.")
    path.write_text(RECORD.read_text() + other)
    (dialog,) = {line.split('"dialog_id":"')[1].split('"')[0] for line in other.splitlines()}

    with pytest.raises(TranscriptError, match="name one of the record's dialogs"):
        await replay(path, connect)
    await replay(path, connect, dialog_id=dialog)


def test_example_of_the_page_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (example,) = [block for block in blocks if "replay(" in block]
    (tmp_path / "call.jsonl").write_text(RECORD.read_text())
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_replay.py").write_text(f"{IMPORTS}\n\n{inspect.getsource(connect)}{example}")

    ended = run_pytest(tmp_path, "-o", "asyncio_mode=auto")

    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr
