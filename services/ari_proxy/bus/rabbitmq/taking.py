"""Taking a message: acknowledging it, and knowing that RabbitMQ has handled that."""

import asyncio
from collections.abc import Awaitable
from functools import partial

from pamqp.commands import Basic

from ari_proxy.bus.faults import Faults

from .channel import AmqpChannel
from .errors import AmqpError


class Proofs:
    """Proves that RabbitMQ has handled the acknowledgements of a channel.

    A channel's methods are handled in order, so the answer to one that is sent behind an
    acknowledgement proves it. All acknowledgements of a moment are proved by one.
    """

    def __init__(self, channel: AmqpChannel, faults: Faults) -> None:
        self._channel = channel
        self._faults = faults
        self._next: asyncio.Future[bool] | None = None
        self._tags: list[int] = []
        self._held = 0

    @property
    def is_holding(self) -> bool:
        """Whether messages are not acknowledged yet: RabbitMQ requeues them with the channel."""
        return bool(self._held)

    def hold(self) -> None:
        """Count a message that is to be acknowledged."""
        self._held += 1

    def acknowledge(self, tag: int) -> "asyncio.Future[bool]":
        """Acknowledge a message; the result is False if RabbitMQ may not have heard of it."""
        self._tags.append(tag)
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.create_future()
            loop.call_soon(self._ask, self._next)
        return self._next

    def give_back(self, tag: int) -> None:
        """Have RabbitMQ give a message to any listener."""
        self._channel.give_back(tag)
        self._held -= 1

    def _ask(self, proof: "asyncio.Future[bool]") -> None:
        tags, self._tags, self._next = self._tags, [], None
        self._channel.acknowledge(*tags)
        self._held -= len(tags)
        try:
            answer = self._channel.request(Basic.Qos(prefetch_count=0))  # It changes nothing.
        except AmqpError:
            proof.set_result(False)
        else:
            answer.add_done_callback(partial(self._prove, proof, len(tags)))

    def _prove(
        self, proof: "asyncio.Future[bool]", count: int, answer: "asyncio.Future[Basic.QosOk]"
    ) -> None:
        is_proven = not answer.cancelled() and answer.exception() is None
        if not is_proven:
            self._faults.unproven(count)
        proof.set_result(is_proven)


class Taking:
    """Takes one message, once: acknowledges it, and tells when RabbitMQ has handled that.

    Until then RabbitMQ may give it to another listener, and after that it will not: so what comes
    to another one was not taken here.
    """

    __slots__ = ("_proof", "_proofs", "_tag")

    def __init__(self, proofs: Proofs, tag: int) -> None:
        self._proofs = proofs
        proofs.hold()
        self._tag = tag
        self._proof: asyncio.Future[bool] | None = None

    def __call__(self) -> Awaitable[bool]:
        """Return whether the message is this listener's from now on."""
        if self._proof is None:
            self._proof = self._proofs.acknowledge(self._tag)
        # Others wait for the same proof: who does not wait any longer must not cancel it.
        return asyncio.shield(self._proof)

    def give_back(self) -> bool:
        """Give the message back; return False if it was acknowledged or given back before."""
        if self._proof is not None:
            return False
        self._proof = asyncio.get_running_loop().create_future()
        self._proof.set_result(False)
        self._proofs.give_back(self._tag)
        return True
