"""Find out whether a topic has a listener, on any bus."""

from .base import Bus


async def has_listener(bus: Bus, topic: str, probe: bytes) -> bool:
    """Return whether a topic has a listener.

    A durable queue knows its consumers. Elsewhere only a message shows it: `probe`, which the
    listeners then receive.

    Raises:
        BusUnavailableError: the connection was lost before the outcome was known.
        BusRefusedError: the bus does not accept the probe.
    """
    if bus.queues is not None:
        return await bus.queues.has_consumer(topic)
    return bool(await bus.publish_to_listener(topic, probe))
