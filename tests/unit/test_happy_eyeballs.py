"""In which order addresses are tried; tests/integration/test_happy_eyeballs.py connects to them."""

import socket

import pytest

from ari_proxy import happy_eyeballs
from ari_proxy.happy_eyeballs import AddressInfo, ordered


def info(address: str) -> AddressInfo:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("", ["::1", "::2", "10.0.0.1"]),
        ("10.0.0.1", ["10.0.0.1", "::1", "::2"]),
        ("10.0.0.9", ["::1", "::2", "10.0.0.1"]),
    ],
    ids=["none", "known", "gone"],
)
def test_the_address_that_has_answered_is_tried_first(first: str, expected: list[str]) -> None:
    found = [info(address) for address in ("::1", "::2", "10.0.0.1")]

    assert [each[4][0] for each in ordered(found, first)] == expected


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("fe80::1%eth0", socket.AF_INET6)],
)
def test_an_address_is_not_looked_up(host: str, family: int) -> None:
    assert happy_eyeballs._literal(host, 80) == [
        (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, 80))
    ]
    assert happy_eyeballs._literal("localhost", 80) is None
