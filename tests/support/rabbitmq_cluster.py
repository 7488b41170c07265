"""A cluster of three RabbitMQ nodes, each behind a link of its own."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Literal

from tests.support.link import Link
from tests.support.rabbitmq import RabbitMqServer

Fault = Literal["killed", "stopped", "cut off"]


class RabbitMqCluster:
    """Three nodes, of which a minority pauses."""

    def __init__(self) -> None:
        first = RabbitMqServer()
        self.nodes = [first, *(RabbitMqServer(mapped_by=first) for _ in range(2))]
        for node in self.nodes:
            node.discover(self.nodes)
        self.links = [Link(node.port) for node in self.nodes]
        self._admitted: set[int] = set()

    def start(self) -> None:
        with ThreadPoolExecutor() as threads:
            list(threads.map(RabbitMqServer.start, self.nodes))

    @property
    def urls(self) -> list[str]:
        return [link.url for link in self.links]

    def admit(self, *numbers: int) -> None:
        """Let clients reach these nodes only."""
        wanted, admitted = set(numbers), self._admitted
        for number in admitted - wanted:
            self.links[number].stop()
        for number in wanted - admitted:
            self.links[number].start()
        self._admitted = wanted

    @asynccontextmanager
    async def lacking(self, number: int, fault: Fault) -> AsyncIterator[None]:
        """Have a node fail around a block; afterwards the cluster is whole again."""
        node = self.nodes[number]
        others = [other for other in self.nodes if other is not node]
        begin, end = {
            "killed": (node.kill, node.start),
            "stopped": (lambda: node.control("stop_app"), lambda: node.control("start_app")),
            "cut off": (lambda: node.part_from(*others), lambda: node.return_to(*others)),
        }[fault]
        await asyncio.to_thread(begin)
        await asyncio.to_thread(node.wait_until_gone)
        yield
        await asyncio.to_thread(end)
        await asyncio.to_thread(node.wait_until_listening)

    def remove(self) -> None:
        for link in self.links:
            link.remove()
        for node in reversed(self.nodes):
            node.remove()
