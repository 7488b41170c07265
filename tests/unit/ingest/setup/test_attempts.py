"""Repeated attempts, and the pauses between them."""

from ari_proxy.ingest.setup.attempts import Attempts


async def test_only_the_first_attempt_is_at_once() -> None:
    attempts = Attempts()

    assert [await anext(attempts) for _ in range(3)] == [True, False, False]


async def test_no_attempt_is_at_once_where_a_pause_comes_first() -> None:
    async for at_once in Attempts(at_once=False):
        assert not at_once
        break
