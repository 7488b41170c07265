"""A subscription that moves from one connection to another hands each message on once."""

import asyncio
from typing import Any

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ari_proxy.bus.faults import Faults
from ari_proxy.bus.nats.servers import ClusterClient
from ari_proxy.bus.nats.subscription import NatsSubscription


class Connection(ClusterClient):
    """Passes on messages to what has subscribed."""

    async def subscribe(self, *_: Any, **options: Any) -> Subscription:
        self._subscribed = options["cb"]
        return Subscription(self, subject="events_s.d")

    def receive(self, payload: bytes) -> asyncio.Task[None]:
        return asyncio.create_task(self._subscribed(Msg(self, "events_s.d", data=payload)))


class Owner:
    """Nobody ends the subscription."""

    def forget(self, subscription: NatsSubscription) -> None:
        raise NotImplementedError

    async def end(self, client: ClusterClient, live: Subscription) -> None:
        raise NotImplementedError


def a_subscription() -> tuple[NatsSubscription, list[bytes]]:
    got: list[bytes] = []
    subscription = NatsSubscription(
        "events_s.d",
        lambda message: got.append(message.payload),
        group="",
        owner=Owner(),
        faults=Faults(),
        pending_messages=10,
    )
    return subscription, got


async def test_connection_that_is_forgotten_twice_does_not_end_the_next_move() -> None:
    subscription, got = a_subscription()
    first, second, third = Connection(), Connection(), Connection()
    await subscription.establish(first)
    await subscription.establish(second)
    subscription.leave(first)
    await subscription.establish(third)

    subscription.leave(first)

    early = third.receive(b"1")
    await asyncio.sleep(0)
    assert got == []
    await second.receive(b"1")
    assert got == [b"1"]
    subscription.leave(second)
    await early
    await third.receive(b"2")
    assert got == [b"1", b"2"]


async def test_successor_that_is_given_up_hands_nothing_on() -> None:
    subscription, got = a_subscription()
    first, second = Connection(), Connection()
    await subscription.establish(first)
    await subscription.establish(second)
    early = second.receive(b"1")
    await asyncio.sleep(0)

    subscription.leave(second)

    await early
    assert got == []
    await first.receive(b"1")
    assert got == [b"1"]
    assert not subscription.is_moving
