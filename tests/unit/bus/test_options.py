"""Options as applications make them, without settings: accounts in URLs, and what is no URL."""

import pytest

from ari_proxy.bus.errors import BusSettingsError
from ari_proxy.bus.nats.options import NatsOptions
from ari_proxy.bus.options import BusOptions
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions


def test_account_in_a_url_of_rabbitmq_logs_in() -> None:
    options = RabbitMqOptions(urls=("AMQPS://bus:s%23h@one/voice", "amqp://two:5673"), name="n")

    logins = list(options.logins())

    assert [(login.host, login.port) for login in logins] == [("one", 5671), ("two", 5673)]
    assert {(login.user, login.password) for login in logins} == {("bus", "s#h")}
    assert logins[0].virtual_host == "voice"
    assert logins[0].tls is not None
    assert "s#h" not in repr(options) + repr(logins)


@pytest.mark.parametrize(
    ("url", "account"),
    [("nats://bus:hush@one", ("bus", "hush", "")), ("nats://hush@one", ("", "", "hush"))],
)
def test_account_in_a_url_of_nats_logs_in(url: str, account: tuple[str, str, str]) -> None:
    options = NatsOptions(urls=(url,), name="n")

    assert options.urls == ("nats://one",)
    assert (options.user, options.password, options.token) == account
    assert "hush" not in repr(options)


def test_account_apart_from_the_url_wins() -> None:
    options = NatsOptions(urls=("nats://bus:hush@one",), name="n", user="other", password="secret")

    assert (options.user, options.password) == ("other", "secret")


@pytest.mark.parametrize(
    ("kind", "urls", "reason"),
    [
        (RabbitMqOptions, ("one:5672",), "amqp://, amqps://"),
        (RabbitMqOptions, ("nats://one",), "amqp://, amqps://"),
        (RabbitMqOptions, (), "names no server"),
        (RabbitMqOptions, ("amqp://u:hush#hush@one",), "# as %23"),
        (NatsOptions, ("amqp://one",), "nats://, tls://"),
        (NatsOptions, (), "names no server"),
        (NatsOptions, ("nats://u:hush/hush@one",), "/ as %2F"),
    ],
)
def test_what_is_no_url_is_refused(
    kind: type[BusOptions], urls: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(BusSettingsError, match=reason) as refused:
        kind(urls=urls, name="n")

    assert "hush" not in str(refused.value)


def test_one_url_may_stand_for_itself() -> None:
    options = NatsOptions(urls="one,two", name="n")  # type: ignore[arg-type]  # a user's slip

    assert options.urls == ("nats://one", "nats://two")
