"""The guard of tests/conftest.py: nothing of ours blocks the event loop."""

import time
from pathlib import Path

import pytest
from blockbuster import BlockingError

from ari_proxy.ingest.events.frame_buffer import FrameBuffer
from ari_proxy.settings.files import read_value


def block(frame: bytes, *, is_former: bool = False) -> None:
    del is_former
    time.sleep(len(frame))


def buffer() -> FrameBuffer:
    """Something of ours that calls what it is given."""
    return FrameBuffer(block, capacity_bytes=1)


async def test_call_that_blocks_the_loop_fails() -> None:
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        buffer().put(b"")


def test_call_that_blocks_no_loop_passes() -> None:
    buffer().put(b"")


async def test_secret_may_be_read_again_in_the_loop(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hush\n")

    assert read_value("password_file", "", str(file)) == "hush"
