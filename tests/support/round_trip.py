"""Whether a bus carries messages, and a NATS server to try it on."""

from collections.abc import Iterator
from contextlib import contextmanager

from ari_proxy.bus.base import Bus
from tests.support.running import until
from tests.support.servers import NatsServer


@contextmanager
def nats_server(*options: str) -> Iterator[NatsServer]:
    server = NatsServer(*options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def works(bus: Bus) -> bool:
    """Return whether a message goes there and back."""
    got: list[bytes] = []
    await bus.wait_connected()
    subscription = await bus.subscribe("events_security", lambda m: got.append(m.payload))
    bus.publish("events_security", b"x")
    await bus.flush(timeout_seconds=5)
    await until(lambda: got)
    await subscription.unsubscribe()
    return got == [b"x"]
