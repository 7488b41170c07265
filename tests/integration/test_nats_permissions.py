"""What an account of NATS may not do is told: in the log, in numbers, in readiness."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.bus.base import Message, Problem, opened
from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions, NatsTuning
from tests.support.running import until
from tests.support.servers import NatsServer

INBOX = "_INBOX.>"


class Guarded:
    """A nats-server whose users may do what the test says."""

    def __init__(self, directory: Path) -> None:
        self._config = directory / "nats.conf"
        self.allow()
        self.server = NatsServer("-c", str(self._config))

    def allow(self, **users: dict[str, list[str]]) -> None:
        """Let each user publish and subscribe to these subjects; `all` may do everything."""
        known = [{"user": "all", "password": "secret"}]
        for name, subjects in users.items():
            permissions = {action: {"allow": allowed} for action, allowed in subjects.items()}
            known.append({"user": name, "password": "secret", "permissions": permissions})  # type: ignore[dict-item]
        self._config.write_text(json.dumps({"authorization": {"users": known}}))

    @asynccontextmanager
    async def bus(
        self, user: str, *, tuning: NatsTuning | None = None, **options: Any
    ) -> AsyncIterator[NatsBus]:
        """Connect as one of them."""
        bus = NatsBus(
            NatsOptions(
                urls=(self.server.url,), name="test", user=user, password="secret", **options
            ),
            tuning=tuning or NatsTuning(),
        )
        async with opened(bus):
            yield bus


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path)
    yield guarded
    guarded.server.stop()


async def test_right_that_calls_do_not_depend_on_is_counted_alone(guarded: Guarded) -> None:
    guarded.allow(limited={"publish": [INBOX], "subscribe": [INBOX]})
    guarded.server.start()
    async with guarded.bus("limited") as bus:
        await bus.wait_connected()
        with pytest.raises(BusRefusedError):
            await bus.publish_to_listener("recovered_demo", b"{}")

        assert bus.problem is None
        assert (bus.refused, bus.refusals) == (1, 1)

        with pytest.raises(BusRefusedError):
            await bus.publish_to_listener("demo", b"{}")
        assert bus.problem == Problem("deaf", "the account may not publish to demo")


async def test_what_may_not_be_subscribed_is_told_until_it_may(
    guarded: Guarded,
) -> None:
    guarded.allow(limited={"publish": [INBOX], "subscribe": [INBOX]})
    guarded.server.start()
    got: list[Message] = []
    soon = NatsTuning(denied_seconds=0.05)
    async with guarded.bus("limited", tuning=soon) as bus, guarded.bus("all") as other:
        await bus.wait_connected()
        await bus.subscribe("commands_Server-1.*", got.append, group="Executors")

        assert bus.problem == Problem(
            "deaf", "the account may not subscribe to commands_Server-1.*"
        )
        assert (bus.refused, bus.refusals) == (1, 1)
        assert not await other.publish_to_listener("commands_Server-1.x", b"")

        allowed = [INBOX, "commands_Server-1.*"]
        guarded.allow(limited={"publish": [INBOX], "subscribe": allowed})
        guarded.server.reload()
        await until(lambda: not bus.problem)
        assert (bus.refused, bus.refusals) == (0, 1)
        assert await other.publish_to_listener("commands_Server-1.x", b"")
        await until(lambda: got)
        assert bus.reconnects == 0


async def test_what_is_denied_and_wanted_no_more_is_no_problem(guarded: Guarded) -> None:
    guarded.allow(limited={"publish": [INBOX], "subscribe": [INBOX]})
    guarded.server.start()
    async with guarded.bus("limited") as bus:
        await bus.wait_connected()
        subscription = await bus.subscribe("commands_x", lambda _: None)
        assert bus.problem
        await subscription.unsubscribe()

        assert not bus.problem


async def test_denied_offer_and_request_are_refused_and_not_taken_for_sent(
    guarded: Guarded,
) -> None:
    guarded.allow(limited={"publish": [INBOX], "subscribe": [INBOX]})
    guarded.server.start()
    async with guarded.bus("limited") as bus, guarded.bus("all") as other:
        await bus.wait_connected()
        await other.wait_connected()
        await other.subscribe("Demo", lambda _: None)

        with pytest.raises(BusRefusedError, match="may not publish to Demo"):
            await bus.publish_to_listener("Demo", b"")
        with pytest.raises(BusRefusedError, match="may not publish to Demo"):
            await bus.request("Demo", b"", timeout_seconds=60)
        assert bus.problem == Problem("deaf", "the account may not publish to Demo")
        assert bus.refusals == 1


@pytest.mark.parametrize("asked_by", ["offer", "request"])
async def test_what_may_be_asked_later_is_no_problem_any_more(
    guarded: Guarded, asked_by: str
) -> None:
    guarded.allow(limited={"publish": [INBOX], "subscribe": [INBOX]})
    guarded.server.start()
    async with guarded.bus("limited") as bus, guarded.bus("all") as other:
        await bus.wait_connected()
        await other.wait_connected()
        await other.subscribe("Demo", lambda message: other.publish(message.reply, b"answer"))

        async def is_taken() -> bool:
            try:
                if asked_by == "offer":
                    return bool(await bus.publish_to_listener("Demo", b""))
                return await bus.request("Demo", b"", timeout_seconds=5) == b"answer"
            except BusRefusedError:
                return False

        assert not await is_taken()
        assert not await is_taken()
        assert bus.problem

        guarded.allow(limited={"publish": [INBOX, "Demo"], "subscribe": [INBOX]})
        guarded.server.reload()
        await until(is_taken)

        assert not bus.problem
        assert bus.reconnects == 0


async def test_denied_messages_are_lost_and_counted_until_they_may_be_sent(
    guarded: Guarded,
) -> None:
    guarded.allow(limited={"publish": [INBOX], "subscribe": [INBOX]})
    guarded.server.start()
    got: list[bytes] = []
    async with guarded.bus("limited") as bus, guarded.bus("all") as other:
        await bus.wait_connected()
        await other.wait_connected()
        await other.subscribe("events_S.*", lambda message: got.append(message.payload))
        for number in range(3):
            bus.publish(f"events_S.{number}", b"lost")
        await bus.flush(timeout_seconds=5)

        assert (bus.published, bus.dropped) == (0, 3)
        assert bus.problem == Problem("deaf", "the account may not publish to events_S.*")
        bus.publish("events_S.1", b"lost too")
        await bus.flush(timeout_seconds=5)
        assert bus.problem

        guarded.allow(limited={"publish": [INBOX, "events_S.*"], "subscribe": [INBOX]})
        guarded.server.reload()

        async def is_allowed() -> bool:
            bus.publish("events_S.1", b"arrives")
            await bus.flush(timeout_seconds=5)
            return not bus.problem

        await until(is_allowed)
        await until(lambda: got)
        assert bus.published >= 1


@pytest.mark.parametrize("denied", ["publish", "subscribe"])
async def test_account_without_inbox_is_told_so_and_may_have_another(
    guarded: Guarded, denied: str
) -> None:
    everything = {"publish": [">"], "subscribe": [">"]}
    guarded.allow(limited=everything | {denied: ["demo", "own.inbox.>"]})
    guarded.server.start()
    async with guarded.bus("limited") as bus:
        await until(lambda: bus.problem and bus.problem.kind == "refused")
        assert not bus.is_connected
        assert f"the account may not {denied} to _INBOX.ari-proxy." in str(bus.problem)

    async with guarded.bus("limited", inbox_prefix="own.inbox") as bus:
        await bus.wait_connected()
        await bus.subscribe("demo", lambda _: None)
        assert await bus.publish_to_listener("demo", b"")
        assert not bus.problem


async def test_server_that_refuses_and_is_gone_later_is_told_as_gone(guarded: Guarded) -> None:
    guarded.server.start()
    async with guarded.bus("nobody") as bus:
        for _ in range(2):
            await until(lambda: bus.problem and bus.problem.kind == "refused")
            guarded.server.stop()
            await until(lambda: bus.problem and bus.problem.kind == "away")
            guarded.server.start()
