"""Passwords of any kind in URLs: they log in as they are, or are refused, and stand in no text."""

import json
import os
import re
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock
from urllib.parse import quote

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ari_proxy.bus.errors import BusSettingsError
from ari_proxy.bus.nats.options import NatsOptions
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions
from ari_proxy.connections import factories
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import load
from ari_proxy.settings.servers import as_text
from ari_proxy.settings.urls import UrlError, bus_address

#: Of a password: words that stand in no text by chance, and what may stand between them.
words = st.text("QXZ0123456789", min_size=6, max_size=9)
odd = st.one_of(
    st.sampled_from([*"#/?[]@:,;%&=+ \\\"'\n\t", "[::1]", "%ff", "://"]), st.characters()
)
passwords = st.lists(st.one_of(words, odd), min_size=1, max_size=6).map("".join)
schemes = st.sampled_from(["nats", "tls", "ws", "WSS", "amqp", "AMQPS", ""])
KINDS = {"amqp": "RABBITMQ", "amqps": "RABBITMQ"}


def words_of(password: str) -> list[str]:
    return re.findall("[QXZ0-9]{6,}", password)


def url_of(scheme: str, account: str) -> str:
    return f"{scheme}://{account}@localhost:5555" if scheme else f"{account}@localhost:5555"


@given(schemes, passwords)
def test_encoded_password_is_read_as_it_is(scheme: str, password: str) -> None:
    try:
        encoded = quote(password, safe="")
    except UnicodeEncodeError:  # A lone surrogate is in no password.
        return

    address = bus_address(url_of(scheme, f"user:{encoded}"))

    assert (address.user, address.password) == ("user", password)
    assert not [word for word in words_of(password) if word in repr(address)]


@settings(max_examples=40)
@given(schemes, passwords)
@example("amqp", "123456#")
@example("nats", "123456,")
@example("", "123456\n")
def test_password_stands_in_no_text(scheme: str, password: str) -> None:
    """However it is written, and whichever source it comes from."""
    if "://" in password and re.search("[,\r\n]", password):
        return  # A second URL: nobody can know that it is none.
    url = url_of(scheme, f"user:{password}")
    kind = KINDS.get(scheme.lower(), "NATS")

    shown = "\n".join(texts(url, kind))

    assert not [word for word in words_of(password) if word in shown], shown


def texts(url: str, kind: str) -> Iterator[str]:
    """Yield all that is ever shown of a URL."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "file")
        with suppress(UnicodeEncodeError):
            file.write_text(url)
            with shown_errors() as found:
                loaded = load(bus={"kind": kind, "url_file": str(file)})
                found.append(repr(factories.bus(loaded, "test")))
            yield from found
        with shown_errors() as found:
            file.write_text(json.dumps({"message_bus": kind, "bus_config": {"url": url}}))
            loaded = load(file)
            found.append(as_text([loaded]) + repr(loaded))
        yield from found
    for setting in ("BUS__URLS", "ARI__REST_URL", "ARI__WEBSOCKET_URL", "LEASE__API_URL"):
        with shown_errors() as found, suppress(ValueError):  # No variable holds a NUL.
            name = f"ARI_PROXY_{setting}"
            with mock.patch.dict(os.environ, {name: url, "ARI_PROXY_BUS__KIND": kind}):
                load()
        yield from found
    with shown_errors() as found:
        made = RabbitMqOptions if kind == "RABBITMQ" else NatsOptions
        found.append(repr(made(urls=(url,), name="test")))
    yield from found


@contextmanager
def shown_errors() -> Iterator[list[str]]:
    """Collect what a user sees of an error: its text, its traceback, its repr."""
    found: list[str] = []
    try:
        yield found
    except (SettingsError, UrlError, BusSettingsError) as error:
        found += [str(error), repr(error), *traceback.format_exception(error)]
