"""Our own packing and parsing of frames against pamqp's, and malformed ones."""

import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header
from pamqp.base import Frame
from pamqp.commands import Basic

from ari_proxy.bus.rabbitmq import frames
from ari_proxy.bus.rabbitmq.frames import Properties

TEXT = st.text(max_size=60).filter(lambda text: len(text.encode()) <= 255)
ILLEGIBLE = b"\xff\xfe\xfd\xfc"


@given(
    exchange=st.sampled_from(["", "ari-proxy"]),
    key=TEXT,
    mandatory=st.booleans(),
    channel=st.integers(1, 127),
)
def test_publish_is_as_pamqp_writes_it(
    exchange: str, key: str, mandatory: bool, channel: int
) -> None:
    ours = frames.publish_method(channel, exchange, key, mandatory=mandatory)

    method = Basic.Publish(exchange=exchange, routing_key=key, mandatory=mandatory)
    assert ours == frame.marshal(method, channel)


@given(content=st.binary(max_size=5000), max_body=st.integers(32, 6000))
@example(content=b"", max_body=32)
@example(content=b"x" * 32, max_body=32)
@example(content=b"x" * 65, max_body=32)
def test_content_is_as_pamqp_writes_it(content: bytes, max_body: int) -> None:
    properties = Basic.Properties(content_type="application/json", delivery_mode=1)

    ours = frames.content(3, properties.marshal(), content, max_body)

    parts = [content[start : start + max_body] for start in range(0, len(content), max_body)]
    head = header.ContentHeader(body_size=len(content), properties=properties)
    expected = frame.marshal(head, 3)
    expected += b"".join(frame.marshal(body.ContentBody(part), 3) for part in parts)
    assert ours == expected


def test_content_has_one_part_where_no_limit_was_agreed() -> None:
    properties = Basic.Properties().marshal()

    assert frames.content(1, properties, b"x" * 200_000, -8).count(b"x" * 200_000) == 1


@given(tag=TEXT, number=st.integers(0, 2**63 - 1), again=st.booleans(), key=TEXT)
def test_delivery_is_as_pamqp_reads_it(tag: str, number: int, again: bool, key: str) -> None:
    method = Basic.Deliver(tag, number, again, "exchange", key)
    payload = method.index.to_bytes(4, "big") + method.marshal()

    assert frames.parse_delivery(payload) == (tag.encode(), number, key)


@given(text=TEXT, exchange=st.sampled_from(["", "ari-proxy"]), key=TEXT)
def test_return_is_as_pamqp_reads_it(text: str, exchange: str, key: str) -> None:
    method = Basic.Return(312, text, exchange, key)
    payload = method.index.to_bytes(4, "big") + method.marshal()

    assert frames.parse_return(payload) == key


@pytest.mark.parametrize("multiple", [True, False])
@pytest.mark.parametrize("method", [Basic.Ack, Basic.Nack])
def test_confirmation_is_as_pamqp_writes_it(
    method: type[Basic.Ack | Basic.Nack], multiple: bool
) -> None:
    confirm = method(delivery_tag=1 << 40, multiple=multiple)
    payload = confirm.index.to_bytes(4, "big") + confirm.marshal()

    assert frames.parse_confirmation(payload) == (1 << 40, multiple, method is Basic.Nack)


@given(reply_to=TEXT, correlation_id=TEXT, message_id=TEXT, size=st.integers(0, 2**60))
def test_header_is_as_pamqp_writes_it(
    reply_to: str, correlation_id: str, message_id: str, size: int
) -> None:
    properties = Basic.Properties(
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
    payload = header.ContentHeader(
        body_size=1, properties=Basic.Properties(headers=headers)
    ).marshal()

    assert frames.parse_header(payload) == (1, Properties())


@given(payload=st.binary(max_size=200), flags=st.integers(0, 0xFFFF), size=st.integers(0, 2**63))
def test_header_that_is_malformed_has_a_size(payload: bytes, flags: int, size: int) -> None:
    found, _ = frames.parse_header(struct.pack(">HHQH", 60, 0, size, flags) + payload)

    assert found == size


def test_header_nested_too_deeply_has_no_properties() -> None:
    table = b""
    for _ in range(5000):
        table = b"\x01aF" + struct.pack(">I", len(table)) + table
    payload = struct.pack(">HHQH", 60, 0, 7, 0x2000) + struct.pack(">I", len(table)) + table

    assert frames.parse_header(payload) == (7, Properties())


def test_routing_key_that_is_not_utf_8_can_be_read() -> None:
    method = Basic.Deliver("c", 1, False, "", "xxxx")
    payload = method.index.to_bytes(4, "big") + method.marshal().replace(b"xxxx", ILLEGIBLE)

    assert frames.parse_delivery(payload) == (b"c", 1, "\ufffd" * 4)


@pytest.mark.parametrize(
    "method",
    [
        commands.Channel.Close(404, "xxxx", 60, 200),
        commands.Connection.Close(320, "xxxx", 60, 200),
        commands.Connection.Blocked("xxxx"),
    ],
    ids=["channel", "connection", "blocked"],
)
def test_text_that_is_not_utf_8_can_be_read(method: Frame) -> None:
    raw = frame.marshal(method, 1)

    legible = frames.legible(raw.replace(b"xxxx", ILLEGIBLE))

    assert legible == raw.replace(b"xxxx", b"????")
    assert frames.legible(raw) == raw


@given(text=st.text(max_size=60))
def test_text_that_is_utf_8_stays(text: str) -> None:
    raw = frame.marshal(commands.Channel.Close(404, text, 60, 200), 1)

    assert frames.legible(raw) == raw
