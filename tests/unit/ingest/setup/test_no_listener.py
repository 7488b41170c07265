"""What becomes of a call that no application serves."""

import pytest

from ari_proxy.ingest.setup.no_listener import NoListener, NoListenerPolicy
from tests.support.event_path import Scene, scene

CONTINUE = [
    ("POST", "/ari/channels/c/variable?variable=ARI_PROXY_STATUS&value=NO_APPLICATION"),
    ("POST", "/ari/channels/c/continue"),
]


def requests(path: Scene) -> list[tuple[str, str]]:
    return [(request.method, request.target) for request in path.asterisk.requests]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("continue", CONTINUE), ("hangup", [("DELETE", "/ari/channels/c")]), ("keep", [])],
)
async def test_policy_says_what_becomes_of_the_channel(
    policy: NoListenerPolicy, expected: list[tuple[str, str]]
) -> None:
    async with scene() as path:
        await NoListener(path.rest, policy).apply(path.router.begin("demo", "c", 0))

    assert requests(path) == expected


async def test_calls_are_given_up_though_asterisk_breaks_one_of_the_connections() -> None:
    async with scene() as path:
        dialog = path.router.begin("demo", "a", 0)
        path.dialogs.adopt(dialog, {"b": True})
        path.asterisk.broken.add("/channels/a")
        await NoListener(path.rest, "hangup").apply(dialog)

    assert requests(path) == [("DELETE", "/ari/channels/a"), ("DELETE", "/ari/channels/b")]


async def test_name_of_a_channel_is_one_segment_of_the_path() -> None:
    async with scene() as path:
        await NoListener(path.rest, "hangup").apply(path.router.begin("demo", "a/b?c", 0))

    assert requests(path) == [("DELETE", "/ari/channels/a%2Fb%3Fc")]
