"""URLs of the settings: accounts taken out, one form, nothing told of what is unreadable."""

import pytest

from ari_proxy.settings.urls import UrlError, bus_address, bus_urls, plain_url

WEBSOCKET = ("ws", "wss")


@pytest.mark.parametrize(
    ("text", "urls", "account"),
    [
        ("nats://h:4222", ("nats://h:4222",), ("", "", "")),
        ("nats://u:p@h:4222", ("nats://h:4222",), ("u", "p", "")),
        ("nats://t@h", ("nats://h",), ("", "", "t")),
        ("amqp://u@h/voice", ("amqp://h/voice",), ("u", "", "")),
        ("AMQPS://u:p@h/voice", ("amqps://h/voice",), ("u", "p", "")),
        ("nats://u:%23%2F%3F%5B%2C%40@h", ("nats://h",), ("u", "#/?[,@", "")),
        ("nats://u:p@ss:word@h", ("nats://h",), ("u", "p@ss:word", "")),
        ("nats://u:p%w@h", ("nats://h",), ("u", "p%w", "")),
        ("nats://u:p@[::1]:4222", ("nats://[::1]:4222",), ("u", "p", "")),
        (" nats://a , nats://b,\n", ("nats://a", "nats://b"), ("", "", "")),
        ("nats://a\nnats://b\r\n", ("nats://a", "nats://b"), ("", "", "")),
        ("nats://u:p@a,nats://b", ("nats://a", "nats://b"), ("u", "p", "")),
        ("nats://u:p@a,nats://u:p@b", ("nats://a", "nats://b"), ("u", "p", "")),
        ("u:p@h:4222,b", ("h:4222", "b"), ("u", "p", "")),
        ("nats://h:/", ("nats://h",), ("", "", "")),
        (",\n", (), ("", "", "")),
    ],
)
def test_account_is_taken_out(
    text: str, urls: tuple[str, ...], account: tuple[str, str, str]
) -> None:
    address = bus_address(text)

    assert address.urls == urls
    assert (address.user, address.password, address.token) == account
    assert all(part not in repr(address) for part in account if len(part) > 1)


@pytest.mark.parametrize(
    "password",
    [
        *("a#b", "a/b", "a?b", "a[b", "a]b", "a[b]c", "1#b", "1/b", "1?b", "1,b", "1\nb", "1\rb"),
        *("a b", "a\tb", "a\x00b", "\u2100", "%ff", "[", "]", "#"),
    ],
)
@pytest.mark.parametrize("scheme", ["nats", "tls", "wss", "amqp", "AMQPS"])
def test_password_that_is_not_encoded_is_refused_with_what_to_write(
    scheme: str, password: str
) -> None:
    with pytest.raises(UrlError) as refused:
        bus_address(f"{scheme}://hushuser:hush{password}hush@hushhost:5555/x")

    assert "hush" not in str(refused.value)
    assert refused.value.__context__ is None
    assert "# as %23" in str(refused.value)


@pytest.mark.parametrize("password", ["1234,", "/hush,", "/hush\n", "hush,"])
@pytest.mark.parametrize("scheme", ["nats://", "amqp://", ""])
def test_password_that_ends_where_a_url_of_a_list_does_is_refused(
    scheme: str, password: str
) -> None:
    with pytest.raises(UrlError, match="a comma as %2C"):
        bus_address(f"{scheme}hushuser:{password}@hushhost:5555")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nats://u:p@", "no host"),
        ("nats://", "no host"),
        ("nats://u:p@:4222", "no host"),
        ("nats://::1:4222", "brackets"),
        ("nats://h:x", "port"),
        ("nats://h:65536", "port"),
        ("nats://h:0", "port"),
        ("amqp://u:p@h/voice?heartbeat=5", r"query.*bus\.heartbeat_seconds"),
        ("amqp://h/voice?", "query"),
        ("nats://h?tls=true", "query.*tls://"),
        ("h:4222?tls=true", "query.*tls://"),
        ("nats://a,nats://h?tls=true", "query"),
        ("nats://h/demo", "path"),
        ("tls://u:p@h//demo", "path"),
        ("nats://a:1@x,nats://b:2@y", "one account"),
    ],
)
def test_what_is_no_address_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UrlError, match=reason):
        bus_address(text)


@pytest.mark.parametrize(
    ("kind", "given", "read"),
    [
        ("NATS", ["a", "b:4223"], ("nats://a", "nats://b:4223")),
        ("NATS", ["TLS://a/"], ("tls://a",)),
        ("NATS", ["nats://a,nats://b,"], ("nats://a", "nats://b")),
        ("NATS", ["[::1]:4222"], ("nats://[::1]:4222",)),
        ("NATS", ["ws://a", "wss://b/nats"], ("ws://a", "wss://b/nats")),
        ("RABBITMQ", ["AMQP://a/voice", "amqps://b"], ("amqp://a/voice", "amqps://b")),
    ],
)
def test_urls_of_a_bus_have_one_form(kind: str, given: list[str], read: tuple[str, ...]) -> None:
    assert bus_urls(kind, given) == read


@pytest.mark.parametrize(
    ("kind", "given", "reason"),
    [
        ("NATS", ["amqp://a"], "one of nats://, tls://"),
        ("RABBITMQ", ["nats://a"], "one of amqp://, amqps://"),
        ("RABBITMQ", ["a:5672"], "one of amqp://, amqps://"),
        ("NATS", ["nats://hush:hush@a"], "settings of their own"),
        ("NATS", ["nats://hush:1/hush@a"], "settings of their own"),
        ("NATS", ["nats://a", "ws://b"], "websockets on all"),
        ("NATS", ["a:4222/demo"], "must not have a path"),
        ("NATS", ["a?tls=true"], "must not have a query"),
        ("RABBITMQ", ["amqp://a/v?heartbeat=60"], "must not have a query"),
        ("RABBITMQ", ["a:5672/v"], "one of amqp://, amqps://"),
        ("NATS", [], "no server"),
        ("NATS", [" , "], "no server"),
    ],
)
def test_urls_of_another_bus_are_refused(kind: str, given: list[str], reason: str) -> None:
    with pytest.raises(UrlError, match=reason) as refused:
        bus_urls(kind, given)

    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("WSS://Asterisk:8088/ari/events", "wss://Asterisk:8088/ari/events"),
        ("ws://a/ari/events/", "ws://a/ari/events"),
        (" ws://[::1]:8088/ari/events\n", "ws://[::1]:8088/ari/events"),
        ("ws://a:/ari/events", "ws://a/ari/events"),
    ],
)
def test_plain_url_has_one_form(url: str, read: str) -> None:
    assert plain_url(url, WEBSOCKET) == read


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://a", "ws://, wss://"),
        ("a:8088", "ws://, wss://"),
        ("ws:///ari/events", "with a host"),
        ("ws://a:y/ari", "port"),
        ("ws://a:99999/ari", "port"),
        ("ws://hush:hush@a/ari", "credentials"),
        ("ws://hush:hu#sh@a/ari", "credentials"),
        ("ws://a/ari/events?app=hush", "query"),
        ("ws://a/ari/events?api_key=ari:hush", "query"),
        ("ws://a/ari/events#hush", "fragment"),
        ("ws://a/ari/events?", "query"),
        ("ws://a b/ari", "white space"),
    ],
)
def test_plain_url_is_refused(url: str, reason: str) -> None:
    with pytest.raises(UrlError, match=reason) as refused:
        plain_url(url, WEBSOCKET)

    assert "hush" not in str(refused.value)
    assert refused.value.__context__ is None
