import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import header
from pamqp.base import Frame
from pamqp.commands import Basic, Queue

from ari_proxy.bus.rabbitmq import frames
from ari_proxy.bus.rabbitmq.messages import Incoming, MessageAssembler, Returned

DELIVER = Basic.Deliver("tag", 7, False, "", "events_x")
RETURN = Basic.Return(312, "NO_ROUTE", "", "events_x")


def begin(assembler: MessageAssembler, method: Frame) -> bool:
    payload = method.index.to_bytes(4, "big") + method.marshal()
    return assembler.begin(payload[:4], payload)


def head_of(body: bytes) -> bytes:
    properties = Basic.Properties(message_id="5", reply_to="there")
    return header.ContentHeader(body_size=len(body), properties=properties).marshal()


@given(parts=st.lists(st.binary(min_size=1, max_size=20), max_size=5))
def test_message_is_complete_with_its_last_part(parts: list[bytes]) -> None:
    """… and the next one begins with nothing of it."""
    assembler = MessageAssembler()
    body = b"".join(parts)
    for method in (DELIVER, RETURN, DELIVER):
        assert begin(assembler, method)
        results = [assembler.add(frames.HEADER, head_of(body))]
        results += [assembler.add(frames.BODY, part) for part in parts]
        *before, message = results

        assert before == [None] * len(parts)
        if method is DELIVER:
            assert isinstance(message, Incoming)
            assert message.delivery == (b"tag", 7, "events_x")
            assert (message.properties.reply_to, message.body) == ("there", body)
        else:
            assert message == Returned("events_x", "5", body)


@pytest.mark.parametrize("method", [Queue.DeclareOk("q", 0, 0), Basic.ConsumeOk("tag")])
def test_method_that_begins_no_message_is_not_handled(method: Frame) -> None:
    assert not begin(MessageAssembler(), method)
