"""A bus by its URL, without settings."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.errors import BusSettingsError
from ari_proxy.bus.memory.bus import MemoryBus
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.rabbitmq.bus import RabbitMqBus
from ari_proxy.client.bus_at import BusAccess, bus_at
from tests.support.certificates import Certificates

PAGE = Path(__file__).parents[3] / "docs" / "install.md"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("nats://h:4222", NatsBus),
        ("tls://u:p%23@h", NatsBus),
        ("nats://a,nats://b", NatsBus),
        ("ws://h", NatsBus),
        ("wss://h/behind", NatsBus),
        ("amqp://u:p@h/voice", RabbitMqBus),
        (" AMQPS://h", RabbitMqBus),
        ("memory://", MemoryBus),
        ("memory://tests-1", MemoryBus),
    ],
)
def test_scheme_chooses_the_bus(url: str, kind: type) -> None:
    assert type(bus_at(url, name="n")) is kind


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "nats://, tls://, ws://, wss://, amqp://, amqps://, memory://"),
        ("u:hush@h:4222", "must begin with one of"),
        ("kafka://u:hush@h", "must begin with one of"),
        ("hush", "must begin with one of"),
        ("nats://u:hush#hush@h", "# as %23"),
        ("nats://u:hush@h?ca_file=hush", "must not have a query"),
        ("nats://u:hush@h,amqp://u:hush@g", "since the bus is NATS"),
        ("amqp://u:hush@h:hush", "port"),
        ("memory://u:hush@h", "letters, digits"),
    ],
)
def test_url_that_is_none_is_refused_and_not_shown(url: str, reason: str) -> None:
    with pytest.raises(BusSettingsError, match=reason) as refused:
        bus_at(url, name="n")

    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "access", "reason"),
    [
        ("amqp://h", {"token": "hush", "credentials_file": "f"}, "no credentials_file, token"),
        ("amqp://h", {"ca_file": "f"}, "ca_file: amqp:// is without TLS; use amqps://"),
        ("ws://h", {"certificate_file": "f", "key_file": "k"}, "certificate_file, key_file: ws://"),
        ("memory://", {"user": "hush"}, "leave out user"),
    ],
)
def test_keyword_that_would_change_nothing_is_refused(
    url: str, access: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BusSettingsError, match=reason) as refused:
        bus_at(url, name="n", **access)

    assert "hush" not in str(refused.value)


def test_keyword_may_be_empty_as_an_unset_variable_is() -> None:
    bus_at("amqp://h", name="n", token="", ca_file="", user="")
    bus_at("memory://", name="n", password="")


@pytest.mark.parametrize("scheme", ["tls", "nats", "wss", "amqps"])
def test_certificates_are_read_at_once(scheme: str, tmp_path: Path) -> None:
    files = Certificates(tmp_path).settings(with_client=True)
    bus_at(f"{scheme}://h", name="n", **files)  # type: ignore[arg-type]  # Only texts are given.

    with pytest.raises(BusSettingsError, match=r"^bus\.ca_file .*/none\.pem: No such file"):
        bus_at(f"{scheme}://h", name="n", ca_file=str(tmp_path / "none.pem"))


async def test_those_in_memory_meet_by_name() -> None:
    heard: list[str] = []
    async with (
        opened(bus_at("memory://a", name="1")) as one,
        opened(bus_at("memory://a", name="2")) as two,
        opened(bus_at("memory://b", name="3")) as other,
    ):
        for bus in (one, other):

            def hear(message: Message, bus: object = bus) -> None:
                heard.append(f"{'one' if bus is one else 'other'} {message.topic}")

            await bus.subscribe("topic", hear)
        await two.wait_connected()
        two.publish("topic", b"")
        await two.flush(timeout_seconds=5)
        await asyncio.sleep(0)

    assert heard == ["one topic"]


def test_each_loop_has_brokers_of_its_own() -> None:
    """As pytest-asyncio has a loop for each test: what one has left there is gone."""
    kept = []

    async def session() -> bool:
        async with opened(bus := bus_at("memory://kept", name="n")):
            kept.append(bus)
            await bus.wait_connected()
            is_heard = bool(await bus.publish_to_listener("topic", b""))
            await bus.subscribe("topic", lambda _: None)
            return is_heard

    assert [asyncio.run(session()) for _ in range(2)] == [False, False]


def test_documentation_shows_what_works() -> None:
    page = PAGE.read_text()
    (shown,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(shown, names)  # noqa: S102  our own

    assert isinstance(names["bus"], NatsBus)
    documented = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \|", page.partition("| keyword")[2], re.MULTILINE
    )
    keywords = {word for row in documented for word in re.findall(r"`(\w+)`", row)}
    assert keywords == {"name", *BusAccess.__annotations__}
