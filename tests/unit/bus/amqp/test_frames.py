"""Our own packing of frames against pamqp's, field by field."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header

from ari_proxy.bus.amqp import frames
from ari_proxy.bus.amqp.errors import MalformedFrameError
from ari_proxy.bus.amqp.frames import FrameSplitter, Properties

SHORT = st.text(max_size=60).filter(lambda text: len(text.encode()) <= 255)


@given(exchange=SHORT, key=SHORT, mandatory=st.booleans(), channel=st.integers(1, 127))
def test_publish_is_as_pamqp_writes_it(
    exchange: str, key: str, mandatory: bool, channel: int
) -> None:
    ours = frames.publish_method(channel, exchange, key, mandatory=mandatory)

    method = commands.Basic.Publish.__new__(commands.Basic.Publish)
    method.ticket, method.exchange, method.routing_key = 0, exchange, key
    method.mandatory, method.immediate = mandatory, False
    method.validate = lambda: None  # type: ignore[method-assign]  # its rule for names is narrower
    assert ours == frame.marshal(method, channel)


@given(content=st.binary(max_size=5000), max_frame=st.integers(40, 6000))
@example(content=b"", max_frame=40)
@example(content=b"x" * 32, max_frame=40)
@example(content=b"x" * 65, max_frame=40)
def test_content_is_as_pamqp_writes_it(content: bytes, max_frame: int) -> None:
    properties = commands.Basic.Properties(content_type="application/json", delivery_mode=1)

    ours = frames.content(3, frames.properties_of(properties), content, max_frame)

    room = max_frame - 8
    parts = [content[start : start + room] for start in range(0, len(content), room)]
    head = header.ContentHeader(body_size=len(content), properties=properties)
    expected = frame.marshal(head, 3)
    expected += b"".join(frame.marshal(body.ContentBody(part), 3) for part in parts)
    assert ours == expected


@pytest.mark.parametrize("multiple", [True, False])
def test_acknowledgement_is_as_pamqp_writes_it(multiple: bool) -> None:
    method = commands.Basic.Ack(delivery_tag=1 << 40, multiple=multiple)

    ours = frames.acknowledgement(7, 1 << 40, multiple=multiple)

    assert ours == frame.marshal(method, 7)
    ((_, _, payload),) = FrameSplitter().feed(ours)
    assert frames.parse_confirmation(payload) == (1 << 40, multiple)


@given(tag=SHORT, number=st.integers(0, 2**63 - 1), again=st.booleans(), key=SHORT)
def test_delivery_is_as_pamqp_reads_it(tag: str, number: int, again: bool, key: str) -> None:
    method = commands.Basic.Deliver(tag, number, again, "exchange", key)
    payload = method.index.to_bytes(4, "big") + method.marshal()

    assert frames.parse_delivery(payload) == (tag.encode(), number, again, key)


@given(text=SHORT, exchange=st.sampled_from(["", "ari-proxy"]), key=SHORT)
def test_return_is_as_pamqp_reads_it(text: str, exchange: str, key: str) -> None:
    method = commands.Basic.Return(312, text, exchange, key)
    payload = method.index.to_bytes(4, "big") + method.marshal()

    assert frames.parse_return(payload) == key


@given(reply_to=SHORT, correlation_id=SHORT, message_id=SHORT, size=st.integers(0, 2**60))
def test_header_is_as_pamqp_writes_it(
    reply_to: str, correlation_id: str, message_id: str, size: int
) -> None:
    properties = commands.Basic.Properties(
        content_type="application/json",
        reply_to=reply_to or None,
        correlation_id=correlation_id or None,
        message_id=message_id or None,
        headers={"traceparent": "00-ab"},
    )
    payload = header.ContentHeader(body_size=size, properties=properties).marshal()

    found = frames.parse_header(payload)

    assert found == (size, Properties(reply_to, correlation_id, message_id, "00-ab"))


@pytest.mark.parametrize(
    "headers", [{}, {"x": "y"}, {"traceparent": 7}, {"traceparent": None}, {"traceparent": ["x"]}]
)
def test_header_without_a_trace_has_none(headers: dict[str, Any]) -> None:
    properties = commands.Basic.Properties(headers=headers)
    payload = header.ContentHeader(body_size=1, properties=properties).marshal()
    assert frames.parse_header(payload) == (1, Properties())


def test_header_with_nothing_that_matters_has_none() -> None:
    properties = commands.Basic.Properties(content_type="application/json", delivery_mode=2)
    payload = header.ContentHeader(body_size=7, properties=properties).marshal()

    assert frames.parse_header(payload) == (7, Properties())


def test_header_of_which_a_needed_part_cannot_be_read_is_refused() -> None:
    flag_of_a_reply_to_that_is_missing = b"\x02\x00"
    payload = b"\x00\x3c\x00\x00" + (1).to_bytes(8, "big") + flag_of_a_reply_to_that_is_missing

    with pytest.raises(MalformedFrameError, match="header"):
        frames.parse_header(payload)


def test_header_of_a_client_that_cannot_be_read_ends_no_connection() -> None:
    table = b"\x00\x00\x00\x09\x01k\xff\xff\xff\xff\xff\xff\xff"
    payload = b"\x00\x3c\x00\x00" + (1).to_bytes(8, "big") + b"\x20\x00" + table
    assert frames.parse_header(payload) == (1, Properties())


@given(st.lists(st.binary(max_size=300), max_size=20), st.data())
def test_stream_is_cut_into_frames_wherever_it_is_broken(
    payloads: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(
        frame.marshal(body.ContentBody(payload), number % 5)
        for number, payload in enumerate(payloads)
    )
    splitter = FrameSplitter()
    found = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += list(splitter.feed(stream[:size]))
        stream = stream[size:]

    assert found == [(frames.BODY, n % 5, payload) for n, payload in enumerate(payloads)]


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x01\x00\x01\x7f\xff\xff\xff",
        b"\x01\x00\x01\x00\x00\x00\x01x!",
    ],
    ids=["another protocol", "too large", "no end"],
)
def test_what_is_no_amqp_is_refused(stream: bytes) -> None:
    with pytest.raises(MalformedFrameError):
        list(FrameSplitter().feed(stream + bytes(20)))
