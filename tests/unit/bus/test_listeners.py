import pytest

from ari_proxy.bus.base import Bus, Message, opened
from ari_proxy.bus.listeners import has_listener
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.bus.memory.durable import DurableMemoryBroker, DurableMemoryBus


@pytest.mark.parametrize(
    ("bus", "received"),
    [
        pytest.param(MemoryBus(MemoryBroker()), [b"probe"], id="probed"),
        pytest.param(DurableMemoryBus(DurableMemoryBroker()), [], id="durable"),
    ],
)
async def test_probe_is_sent_only_where_no_queue_knows_its_consumers(
    bus: Bus, received: list[bytes]
) -> None:
    messages: list[Message] = []
    async with opened(bus):
        await bus.wait_connected()
        before = await has_listener(bus, "application", b"probe")
        subscription = await bus.subscribe("application", messages.append)
        during = await has_listener(bus, "application", b"probe")
        await subscription.unsubscribe()
        after = await has_listener(bus, "application", b"probe")

    assert (before, during, after) == (False, True, False)
    assert [message.payload for message in messages] == received
