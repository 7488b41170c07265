"""What Asterisk is asked for when media go out of it."""

from typing import Any
from uuid import UUID

import pytest

from ari_proxy.client.external.target import INCOMING, MediaTarget

AUDIO = UUID("8862e376-4f68-4109-8f67-599383a93974")


def asked(**of: Any) -> dict[str, object]:
    """Return what is asked for, without what is left out."""
    return {k: v for k, v in MediaTarget(**of).request().items() if v is not None}


def test_rtp() -> None:
    assert asked(kind="rtp", host="127.0.0.1:4000") == {
        "format": "slin16",
        "external_host": "127.0.0.1:4000",
        "encapsulation": "rtp",
        "transport": "udp",
    }


def test_audiosocket_is_known_by_its_uuid() -> None:
    assert asked(kind="audiosocket", host="127.0.0.1:9092", uuid=AUDIO) == {
        "format": "slin",
        "external_host": "127.0.0.1:9092",
        "encapsulation": "audiosocket",
        "transport": "tcp",
        "data": str(AUDIO),
    }


def test_each_audiosocket_has_a_uuid_of_its_own() -> None:
    one, other = (MediaTarget(kind="audiosocket", host="127.0.0.1:9092") for _ in range(2))
    assert one.uuid != other.uuid


def test_websocket_that_asterisk_opens() -> None:
    assert asked(kind="websocket", connection="agents", format="ulaw") == {
        "format": "ulaw",
        "external_host": "agents",
        "encapsulation": "none",
        "transport": "websocket",
        "connection_type": "client",
        "transport_data": "f(json)",
    }


def test_parameters_of_the_uri_are_encoded() -> None:
    params = {"call": "server-1.x", "a name": "(b, c=d)&é"}
    found = asked(kind="websocket", connection="agents", params=params)
    assert found["transport_data"] == (
        "f(json)v(call=server-1.x,a%20name=%28b%2C%20c%3Dd%29%26%C3%A9)"
    )


def test_websocket_that_asterisk_waits_for() -> None:
    target = MediaTarget(kind="websocket", connection=INCOMING)
    assert target.is_incoming
    assert target.request()["connection_type"] == "server"
    assert target.request()["external_host"] == "INCOMING"


@pytest.mark.parametrize(
    ("kind", "host", "connection", "text"),
    [("rtp", "10.0.0.5:4000", "", "rtp 10.0.0.5:4000"), ("websocket", "", "a", "websocket a")],
)
def test_text(kind: Any, host: str, connection: str, text: str) -> None:
    assert str(MediaTarget(kind=kind, host=host, connection=connection)) == text


@pytest.mark.parametrize(
    "of",
    [
        {"kind": "rtp"},
        {"kind": "audiosocket", "connection": "agents"},
        {"kind": "rtp", "host": "127.0.0.1:1", "params": {"a": "b"}},
        {"kind": "websocket"},
        {"kind": "websocket", "connection": "agents", "host": "127.0.0.1:1"},
        {"kind": "websocket", "connection": INCOMING, "params": {"a": "b"}},
        {"kind": "pigeon", "host": "127.0.0.1:1"},
    ],
)
def test_what_does_not_fit(of: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|params|none of"):
        MediaTarget(**of)
