"""What Asterisk's word on an application proves."""

from itertools import islice

import pytest

from ari_proxy.ingest.events import canary as proof
from tests.support.malformed import DEEPLY_NESTED

REGISTERED = '{"name":"demo","channel_ids":[],"events_allowed":[],"events_disallowed":[]}'
FILTERED = '{"name":"demo","events_allowed":[{"type":"StasisStart"}],"events_disallowed":[]}'
REFUSING = '{"name":"demo","events_allowed":[],"events_disallowed":[{"type":"ChannelUserevent"}]}'


@pytest.mark.parametrize(
    ("status", "body", "is_conclusive"),
    [
        (200, REGISTERED, True),
        (200, '{"name":"demo"}', True),
        (404, '{"message":"Application not found"}', True),
        (404, '{"message":"Resource not found"}', False),
        (404, "<html>", False),
        (200, FILTERED, False),
        (200, REFUSING, False),
        (200, "<html>", False),
        (200, DEEPLY_NESTED.decode(), False),
        (204, "", False),
        (403, '{"message":"Forbidden"}', False),
        (503, REGISTERED, False),
    ],
)
def test_application_without_a_proof_is_silent_only_where_nothing_else_explains_it(
    status: int, body: str, *, is_conclusive: bool
) -> None:
    assert proof.is_conclusive(status, body) == is_conclusive


@pytest.mark.parametrize(
    ("every_seconds", "expected"),
    [(10, [1, 2, 4, 8, 10, 10]), (1, [1, 1]), (0.1, [0.1, 0.1]), (3600, [1, 2, 4, 8])],
)
def test_canaries_follow_each_other_soon_at_first(
    every_seconds: float, expected: list[float]
) -> None:
    assert list(islice(proof.pauses(every_seconds), len(expected))) == expected
