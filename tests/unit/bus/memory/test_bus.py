"""The bus in memory beside what the contract suite shows."""

import gc

from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus


class CollectingTopic(str):
    """A topic that lets the garbage collector run while it is compared."""

    __slots__ = ()

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        gc.collect()
        return super().__eq__(other)


async def test_receipt_may_be_collected_while_a_message_is_delivered() -> None:
    broker = MemoryBroker()
    async with opened(MemoryBus(broker)) as bus:
        await bus.wait_connected()
        await bus.subscribe("a", lambda _: None)
        circle: list[object] = [await bus.publish_to_listener("a", b"")]
        circle.append(circle)
        gc.disable()
        del circle
        try:
            assert broker.deliver(Message(CollectingTopic("a"), b"", ""))
        finally:
            gc.enable()
