"""All AriProxies are known, and which of them serve the same server."""

from typing import Any

from ari_proxy.operator.decide.rivals import ServerClaim, claims
from ari_proxy.operator.model import parse
from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.proxies import Proxies
from ari_proxy.operator.store import MAX_KEPT_BYTES
from tests.support.resources import resource


def named(name: str, version: int, server_id: str = "", **changes: Any) -> dict[str, Any]:
    found = resource()
    found["metadata"] |= {"name": name, "uid": name, "resourceVersion": str(version), **changes}
    (server,) = found["spec"]["servers"]
    found["spec"]["servers"] = [{**server, "serverId": server_id or name}]
    return found


def key(name: str) -> ResourceKey:
    return ResourceKey("voice", name)


def holders(proxies: Proxies, server_id: str) -> set[str]:
    bus = next(iter(claims(parse(named("any", 1))))).bus
    return {proxy.metadata.name for proxy in proxies.holding([ServerClaim(bus, server_id)])}


def test_news_concern_the_resource_alone() -> None:
    proxies = Proxies()
    proxies.put(named("other", 1))

    assert proxies.put(named("a", 2)) == {key("a")}
    assert proxies.put(named("a", 3)) == {key("a")}


def test_known_version_is_no_news() -> None:
    proxies = Proxies()
    proxies.put(named("a", 2))

    assert proxies.put(named("a", 2)) == set()
    assert proxies.put(named("a", 1)) == set()


def test_resource_is_found_until_it_is_deleted() -> None:
    proxies = Proxies()
    proxies.put(named("a", 2))

    assert proxies.get(key("a")) == named("a", 2)
    assert proxies.remove(named("a", 3)) == {key("a")}
    assert proxies.get(key("a")) is None
    assert proxies.remove(named("a", 3)) == set()


def test_resources_with_the_same_server_are_told_of_each_other() -> None:
    proxies = Proxies()
    proxies.put(named("first", 1, "shared"))

    assert proxies.put(named("second", 2, "shared")) == {key("first"), key("second")}
    assert holders(proxies, "shared") == {"first", "second"}
    assert proxies.remove(named("first", 3)) == {key("first"), key("second")}
    assert holders(proxies, "shared") == {"second"}


def test_resource_that_ceases_to_serve_makes_room_for_another() -> None:
    proxies = Proxies()
    proxies.put(named("first", 1, "shared"))
    proxies.put(named("second", 2, "shared"))

    assert key("second") in proxies.put(named("first", 3, "other"))
    assert holders(proxies, "shared") == {"second"}


def test_resource_that_is_being_deleted_serves_nothing() -> None:
    proxies = Proxies()
    proxies.put(named("first", 1, "shared"))
    proxies.put(named("second", 2, "shared"))
    leaving = named("first", 3, "shared", deletionTimestamp="2026-11-24T12:00:00Z")

    assert key("second") in proxies.put(leaving)
    assert holders(proxies, "shared") == {"second"}


def test_resource_of_a_former_form_serves_nothing() -> None:
    proxies = Proxies()
    former = named("former", 1)
    former["spec"]["bus"] = "nats://nats:4222"

    assert proxies.put(former) == {key("former")}
    assert holders(proxies, "former") == set()


def test_list_shows_what_was_deleted_untold() -> None:
    proxies = Proxies()
    proxies.put(named("gone", 1, "shared"))
    proxies.put(named("waiting", 2, "shared"))
    proxies.put(named("newer", 9))

    concerned = proxies.retain({key("waiting")}, 5)

    assert concerned == {key("gone"), key("waiting")}
    assert proxies.keys() == {key("waiting"), key("newer")}


def test_list_of_a_namespace_says_nothing_of_others() -> None:
    proxies = Proxies()
    proxies.put(named("here", 1))
    proxies.put(named("there", 1, namespace="other"))

    assert proxies.retain(set(), 5, "voice") == {key("here")}
    assert proxies.keys() == {ResourceKey("other", "there")}


def test_large_resource_stays_whole_and_holds_its_servers() -> None:
    proxies = Proxies()
    large = named("large", 1)
    large["status"] = {"servers": [{"message": "x" * 2 * MAX_KEPT_BYTES}]}
    proxies.put(large)

    assert proxies.get(key("large")) == large
    assert holders(proxies, "large") == {"large"}
