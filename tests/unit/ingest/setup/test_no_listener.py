"""What becomes of a call that no application serves."""

import asyncio

import pytest

from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryTrigger
from ari_proxy.ingest.setup.no_listener import NoListener, NoListenerPolicy
from tests.support.event_path import Scene, scene
from tests.support.running import until

CONTINUE = [
    ("POST", "/ari/channels/c/variable?variable=ARI_PROXY_STATUS&value=NO_APPLICATION"),
    ("POST", "/ari/channels/c/continue"),
]


def requests(path: Scene) -> list[tuple[str, str]]:
    return [(request.method, request.target) for request in path.asterisk.requests]


def abandoned(path: Scene, channel: str) -> Dialog:
    dialog = path.router.begin("demo", channel, 0)
    dialog.advance(DeliveryTrigger.HELD)
    path.stream.abandon(dialog)
    return dialog


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("continue", CONTINUE), ("hangup", [("DELETE", "/ari/channels/c")]), ("keep", [])],
)
async def test_policy_says_what_becomes_of_the_channel(
    policy: NoListenerPolicy, expected: list[tuple[str, str]]
) -> None:
    async with scene() as path:
        await NoListener(path.rest, policy).apply(abandoned(path, "c"))

    assert requests(path) == expected


async def test_calls_are_given_up_though_asterisk_breaks_one_of_the_connections() -> None:
    async with scene() as path:
        dialog = abandoned(path, "a")
        path.dialogs.adopt(dialog, {"b": True})
        path.asterisk.broken.add("/channels/a")
        await NoListener(path.rest, "hangup").apply(dialog)

    assert requests(path) == [("DELETE", "/ari/channels/a"), ("DELETE", "/ari/channels/b")]


async def test_name_of_a_channel_is_one_segment_of_the_path() -> None:
    async with scene() as path:
        await NoListener(path.rest, "hangup").apply(abandoned(path, "a/b?c"))

    assert requests(path) == [("DELETE", "/ari/channels/a%2Fb%3Fc")]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("continue", CONTINUE[:1]), ("hangup", [("DELETE", "/ari/channels/c")])],
)
async def test_policy_ends_before_its_next_request_once_the_dialog_is_served(
    policy: NoListenerPolicy, expected: list[tuple[str, str]]
) -> None:
    async with scene() as path:
        dialog = abandoned(path, "c")
        path.dialogs.adopt(dialog, {"d": True})
        answers = path.asterisk.hold = asyncio.Event()
        applying = asyncio.create_task(NoListener(path.rest, policy).apply(dialog))
        await until(lambda: path.asterisk.requests)
        dialog.advance(DeliveryTrigger.REVIVED)
        answers.set()
        await applying

    assert requests(path) == expected
