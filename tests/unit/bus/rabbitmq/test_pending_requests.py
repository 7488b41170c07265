"""Which request an answer belongs to."""

import asyncio

import pytest
from pamqp import frame as codec
from pamqp.base import Frame
from pamqp.commands import Basic, Queue

from ari_proxy.bus.rabbitmq.errors import ChannelAbortedError
from ari_proxy.bus.rabbitmq.frames import ENVELOPE
from ari_proxy.bus.rabbitmq.pending_requests import PendingRequests

DECLARED = Queue.DeclareOk(queue="dialog", message_count=0, consumer_count=0)
CONSUMED = Basic.ConsumeOk(consumer_tag="tag")


def payload(method: Frame) -> bytes:
    """Return a method as it stands in its frame."""
    return codec.marshal(method, 1)[ENVELOPE.size : -1]


async def test_answer_of_a_queue_may_come_before_that_of_an_earlier_request() -> None:
    requests = PendingRequests()
    declared = requests.expect(Queue.Declare.valid_responses)
    consumed = requests.expect(Basic.Consume.valid_responses)

    assert requests.resolve(payload(CONSUMED))
    assert not declared.done()
    assert requests.resolve(payload(DECLARED))
    assert (await declared).queue == "dialog"
    assert (await consumed).consumer_tag == "tag"
    assert not requests.resolve(payload(DECLARED))


async def test_answer_to_what_was_given_up_is_taken_and_changes_nothing() -> None:
    """Left to aiormq it would count as the answer to the channel's end, which goes out twice."""
    requests = PendingRequests()
    given_up = requests.expect(Queue.Declare.valid_responses)
    requests.fail(*2 * [ChannelAbortedError("RabbitMQ does not answer")])

    assert requests.resolve(payload(DECLARED))
    with pytest.raises(ChannelAbortedError):
        await asyncio.wait_for(given_up, timeout=1)
    assert not requests.resolve(payload(DECLARED))
