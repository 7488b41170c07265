"""The buffer that holds frames back while the dialogs are recovered."""

from typing import Final

from ari_proxy.ingest.events.frame_buffer import FrameBuffer
from ari_proxy.ingest.events.own_events import CANARY_NAME

CANARY: Final = f'{{"type":"ChannelUserevent","eventname":"{CANARY_NAME}.1"}}'.encode()


def buffer_of(passed: list[bytes], capacity_bytes: int = 100) -> FrameBuffer:
    def handle(frame: bytes, *, is_former: bool = False) -> None:
        del is_former
        passed.append(frame)

    return FrameBuffer(handle, capacity_bytes=capacity_bytes)


def release(buffer: FrameBuffer, count: int) -> None:
    """Release the frames that may pass, so many at most."""
    for _ in range(count):
        if buffer.is_passable:
            buffer.release_first()


def test_frames_that_were_held_keep_their_order() -> None:
    passed: list[bytes] = []
    buffer = buffer_of(passed)
    buffer.put(b"1")
    buffer.close()
    buffer.put(b"2")
    buffer.put(b"3")
    assert (passed, buffer.held_bytes, buffer.is_passable) == ([b"1"], 2, False)
    buffer.open()
    buffer.put(b"4")  # Not before those that wait.
    assert (passed, buffer.is_passable) == ([b"1"], True)
    release(buffer, 2)
    assert passed == [b"1", b"2", b"3"]
    release(buffer, 2)
    buffer.put(b"5")

    assert (passed, buffer.held_bytes) == ([b"1", b"2", b"3", b"4", b"5"], 0)


def test_held_frames_pass_one_by_one() -> None:
    passed: list[bytes] = []
    buffer = buffer_of(passed)
    buffer.close()
    for number in range(5):
        buffer.put(b"%d" % number)
    release(buffer, 5)
    assert passed == []
    buffer.open()
    release(buffer, 2)

    assert (passed, buffer.is_passable) == ([b"0", b"1"], True)


def test_frames_that_may_pass_still_may_after_the_buffer_closes_again() -> None:
    passed: list[bytes] = []
    buffer = buffer_of(passed)
    buffer.close()
    buffer.put(b"former")
    buffer.open()
    buffer.close()
    buffer.put(b"later")
    release(buffer, 5)
    assert (passed, buffer.is_passable) == ([b"former"], False)
    buffer.open()
    release(buffer, 5)

    assert passed == [b"former", b"later"]


def test_frames_of_former_connections_pass_first_and_are_marked() -> None:
    passed: list[tuple[bytes, bool]] = []

    def handle(frame: bytes, *, is_former: bool = False) -> None:
        passed.append((frame, is_former))

    buffer = FrameBuffer(handle, capacity_bytes=100)
    buffer.close()
    buffer.put(b"first")
    buffer.close()
    buffer.put(b"second")
    buffer.close()
    buffer.put(b"third")
    assert (buffer.former, buffer.is_passable) == (2, False)
    buffer.open_for_former()
    release(buffer, 5)
    assert passed == [(b"first", True), (b"second", True)]
    buffer.put(b"fourth")
    assert (buffer.former, buffer.is_passable) == (0, False)
    buffer.open_for_former()
    assert not buffer.is_passable
    buffer.open()
    release(buffer, 5)
    buffer.put(b"fifth")

    assert passed[2:] == [(b"third", False), (b"fourth", False), (b"fifth", False)]


def test_full_buffer_opens_and_passes_its_first_frames() -> None:
    passed: list[bytes] = []
    buffer = buffer_of(passed, capacity_bytes=10)
    buffer.close()
    for number in range(4):
        buffer.put(b"%d" % number * 4)

    assert buffer.is_open
    assert passed == [b"0000", b"1111"]
    assert buffer.held_bytes == 8


def test_canary_does_not_wait_for_the_frames_held() -> None:
    passed: list[bytes] = []
    buffer = buffer_of(passed)
    buffer.close()
    buffer.put(b"1")
    buffer.put(CANARY)

    assert passed == [CANARY]


def test_held_frames_can_be_looked_at() -> None:
    passed: list[bytes] = []
    buffer = buffer_of(passed)
    buffer.close()
    buffer.put(b"1")
    buffer.put(b"2")

    assert list(buffer.held) == [b"1", b"2"]
    assert passed == []
