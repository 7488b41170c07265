"""Buses with durable queues, as types."""

from typing import Protocol

from ari_proxy.bus.base import Bus
from ari_proxy.bus.durable import DurableQueues


class DurableBus(Bus, Protocol):
    """A bus with durable queues."""

    @property
    def queues(self) -> DurableQueues: ...


def queues_of(bus: Bus) -> DurableQueues:
    """Return the durable queues of a bus that has them."""
    assert bus.queues is not None
    return bus.queues
