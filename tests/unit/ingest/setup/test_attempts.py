"""Attempts at what takes a while."""

import pytest

from ari_proxy.ingest.setup.attempts import Attempts


class _EnoughError(Exception):
    pass


class Limit:
    """Allows so many attempts."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self) -> None:
        if not self.left:
            raise _EnoughError
        self.left -= 1


async def test_only_the_first_attempt_is_at_once() -> None:
    attempts = Attempts(Limit(3))

    assert [await anext(attempts) for _ in range(3)] == [True, False, False]
    with pytest.raises(_EnoughError):
        await anext(attempts)


async def test_no_attempt_is_at_once_where_a_pause_comes_first() -> None:
    async for at_once in Attempts(Limit(1), at_once=False):
        assert not at_once
        break


async def test_there_is_no_attempt_that_is_not_allowed() -> None:
    with pytest.raises(_EnoughError):
        await anext(Attempts(Limit(0)))
