"""Headers of NATS messages, and what they count against the server's limit."""

import pytest

from ari_proxy.bus.errors import MessageTooLargeError
from ari_proxy.bus.nats.headers import HEADER_BYTES, check_size, header_bytes_of, headers_of

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def as_nats_writes_it(headers: dict[str, str]) -> bytes:
    """The header of a message on the wire (docs.nats.io, "HPUB")."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def test_message_without_a_trace_has_no_header() -> None:
    assert headers_of("") is None
    assert header_bytes_of("") == 0


def test_size_of_a_header_is_that_on_the_wire() -> None:
    headers = headers_of(TRACEPARENT)

    assert headers == {"traceparent": TRACEPARENT}
    assert header_bytes_of(TRACEPARENT) == len(as_nats_writes_it(headers)) == HEADER_BYTES


def test_header_counts_against_the_limit() -> None:
    limit = 100 + HEADER_BYTES
    check_size("topic", bytes(limit), "", limit)
    check_size("topic", bytes(100), TRACEPARENT, limit)

    with pytest.raises(MessageTooLargeError, match=f"a message of {limit + 1} bytes on topic"):
        check_size("topic", bytes(101), TRACEPARENT, limit)
