"""Two resources with the same server_id on one bus: the older one keeps it."""

from typing import Any

import pytest

from ari_proxy.operator.decide.deletion import FINALIZER
from ari_proxy.operator.decide.rivals import claims, rivals
from ari_proxy.operator.model import AriProxy, parse
from tests.support.resources import resource


def created(name: str, day: int, sample: str = "minimal", **spec: Any) -> AriProxy:
    item = resource(sample, **spec)
    item["metadata"] |= {
        "name": name,
        "uid": name,
        "creationTimestamp": f"2026-01-0{day}T00:00:00Z",
    }
    return parse(item)


def test_older_resource_keeps_the_server_id() -> None:
    older, younger = created("older", 1), created("younger", 2)

    assert rivals(younger, [older, younger]) == {"asterisk-a": "voice/older"}
    assert rivals(older, [older, younger]) == {}


def test_oldest_of_several_is_named() -> None:
    others = [created("second", 2), created("oldest", 1), created("youngest", 4)]

    assert rivals(created("third", 3), others) == {"asterisk-a": "voice/oldest"}


def test_same_server_id_on_another_bus_is_no_conflict() -> None:
    bus = {"type": "NATS", "nats": {"servers": ["nats://other:4222"]}}

    assert rivals(created("younger", 2, bus=bus), [created("older", 1)]) == {}


def test_one_common_server_makes_it_the_same_bus() -> None:
    servers = ["nats://other:4222", "nats://nats:4222/"]
    bus = {"type": "NATS", "nats": {"servers": servers}}

    found = rivals(created("younger", 2, bus=bus), [created("older", 1)])

    assert found == {"asterisk-a": "voice/older"}


def test_another_server_id_on_the_same_bus_is_no_conflict() -> None:
    (server,) = resource()["spec"]["servers"]
    servers = [{**server, "serverId": "other"}]

    found = rivals(created("younger", 2, servers=servers), [created("older", 1)])

    assert "other" not in found


def bus_of(kind: str, secret: str) -> dict[str, Any]:
    name = {"NATS": "nats", "RabbitMQ": "rabbitmq"}[kind]
    return {"type": kind, name: {"urlSecretRef": {"name": secret, "key": "url"}}}


@pytest.mark.parametrize("kind", ["NATS", "RabbitMQ"])
def test_secret_identifies_a_bus_with_a_secret_url(kind: str) -> None:
    older = created("older", 1, bus=bus_of(kind, "bus"))

    same = created("younger", 2, bus=bus_of(kind, "bus"))
    other = created("younger", 2, bus=bus_of(kind, "other"))

    assert rivals(same, [older]) == {"asterisk-a": "voice/older"}
    assert rivals(other, [older]) == {}


def test_resource_that_is_being_deleted_is_no_rival() -> None:
    item = resource()
    item["metadata"] |= {"uid": "x", "deletionTimestamp": "2026-11-24T12:00:00Z"}

    assert rivals(created("younger", 2), [parse(item)]) == {}


def test_deleted_resource_that_drains_keeps_its_server_ids() -> None:
    item = resource()
    deleted_at = "2026-11-24T12:00:00Z"
    item["metadata"] |= {"deletionTimestamp": deleted_at, "finalizers": [FINALIZER]}
    item["metadata"] |= {"uid": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}

    assert rivals(created("younger", 2), [parse(item)]) == {"asterisk-a": "voice/minimal"}


def test_discovered_servers_are_those_of_the_status() -> None:
    item = resource("discovery")
    item["metadata"] |= {"uid": "older", "creationTimestamp": "2026-01-01T00:00:00Z"}
    item["status"] = {"servers": [{"name": "asterisk-a", "serverId": "asterisk-a"}]}

    found = rivals(created("younger", 2), [parse(item)])

    assert found == {"asterisk-a": "voice/discovery"}


def test_claims_are_of_the_servers_that_are_asked_for() -> None:
    proxy = created("any", 1)

    assert {claim.server_id for claim in claims(proxy)} == {"asterisk-a"}
    assert {claim.server_id for claim in claims(proxy, ["b", "c"])} == {"b", "c"}


def on(url: str, namespace: str = "voice", day: int = 1) -> AriProxy:
    """Return a resource in a namespace, on a NATS server."""
    bus = {"type": "NATS", "nats": {"servers": [url]}}
    item = resource("minimal", bus=bus)
    created_at = f"2026-01-0{day}T00:00:00Z"
    item["metadata"] |= {"namespace": namespace, "uid": url, "creationTimestamp": created_at}
    return parse(item)


@pytest.mark.parametrize(
    "url",
    [
        "nats://nats",
        "nats://nats.voice:4222",
        "nats://nats.voice.svc:4222",
        "nats://nats.voice.svc.cluster.local:4222/",
        "nats://NATS.voice.svc.cluster.local.:4222",
        "tls://nats:4222",
    ],
)
def test_service_is_one_bus_however_its_name_is_written(url: str) -> None:
    older = on("nats://nats:4222")

    assert rivals(on(url, day=2), [older]) == {"asterisk-a": "voice/minimal"}


@pytest.mark.parametrize(
    ("url", "namespace"),
    [
        ("nats://nats:4222", "other"),
        ("nats://nats.other:4222", "voice"),
        ("nats://nats:4223", "voice"),
        ("nats://nats.example.com:4222", "voice"),
    ],
)
def test_another_service_is_another_bus(url: str, namespace: str) -> None:
    assert rivals(on(url, namespace, day=2), [on("nats://nats:4222")]) == {}


def test_outside_server_is_one_bus_for_all_namespaces() -> None:
    older = on("nats://[2001:db8::1]:4222")
    assert rivals(on("nats://[2001:db8::1]", "other", day=2), [older])

    older = on("nats://nats.example.com:4222")
    assert rivals(on("nats://nats.example.com:4222/", "other", day=2), [older])
