import asyncio

from ari_proxy.bus.nats.reconnect_buffer import ReconnectBuffer
from ari_proxy.bus.outbox import Outbox
from tests.support.running import until

DIALOG = "events_server.0123456789abcdef"
OTHER = "events_server.fedcba9876543210"


class Listeners:
    """A prober that knows which topics have a listener, and records what reaches one."""

    def __init__(self, *topics: str) -> None:
        self.topics = set(topics)
        self.received: list[tuple[str, bytes]] = []
        self.probed = asyncio.Event()

    async def probe(self, messages: list[tuple[str, bytes]]) -> list[bool]:
        self.received += [message for message in messages if message[0] in self.topics]
        self.probed.set()
        return [topic in self.topics for topic, _ in messages]

    async def send(self, topic: str, payload: bytes) -> None:
        self.received.append((topic, payload))


def hold(outbox: Outbox, buffer: ReconnectBuffer, topic: str, payload: bytes) -> bool:
    outbox.append(topic, payload)
    outbox.next()
    return buffer.hold_back(topic)


async def test_messages_wait_in_order_for_their_own_listener() -> None:
    outbox = Outbox(1 << 20)
    buffer = ReconnectBuffer(outbox, is_needed=True)
    for topic, payload in ((DIALOG, b"1"), (OTHER, b"1"), (DIALOG, b"2")):
        assert hold(outbox, buffer, topic, payload)
    listeners = Listeners(OTHER)

    watching = asyncio.create_task(buffer.watch(listeners, asyncio.Lock()))
    await listeners.probed.wait()
    await until(lambda: OTHER not in outbox.held_topics)
    assert listeners.received == [(OTHER, b"1")]
    listeners.topics.add(DIALOG)
    await until(lambda: not outbox.held_topics)
    watching.cancel()

    assert listeners.received == [(OTHER, b"1"), (DIALOG, b"1"), (DIALOG, b"2")]
    assert not hold(outbox, buffer, DIALOG, b"3")


def test_other_topics_pass() -> None:
    outbox = Outbox(1 << 20)

    assert not hold(outbox, ReconnectBuffer(outbox, is_needed=True), "bindings_server", b"1")
